"""How many model calls run at once, and for how long nobody may call."""

import asyncio
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Self
from weakref import WeakKeyDictionary

from langchain_model_alignment.errors import ConfigurationError

__all__ = ["Gate"]


class Gate:
    """Lets a number of callers in at once.

    One object serves several event loops; each loop has the full width.

    Args:
        max_concurrency: How many may be inside at once.

    Raises:
        ConfigurationError: `max_concurrency` is less than 1.

    Example:
        >>> import asyncio
        >>> async def work(gate):
        ...     async with gate:
        ...         return "done"
        >>> asyncio.run(work(Gate(2)))
        'done'
    """

    def __init__(self, max_concurrency: int = 32) -> None:
        if max_concurrency < 1:
            raise ConfigurationError(f"max_concurrency is {max_concurrency}; let at least 1 call run.")
        self.max_concurrency = max_concurrency
        self._resume_at = 0.0
        self._semaphores: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._executor_pid = 0

    async def __aenter__(self) -> Self:
        semaphore = self._semaphore()
        await semaphore.acquire()
        try:
            await self.ready()
        except BaseException:
            semaphore.release()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._semaphore().release()

    def pause(self, seconds: float) -> None:
        """Hold every caller back; those inside finish their call.

        Args:
            seconds: How long from now; a pause that already lasts longer stays as it is.
        """
        with self._lock:
            self._resume_at = max(self._resume_at, time.monotonic() + seconds)

    async def ready(self) -> None:
        """Wait until no pause is on."""
        while (left := self._resume_at - time.monotonic()) > 0:  # noqa: ASYNC110 (a pause may grow while it lasts)
            await asyncio.sleep(left)

    @property
    def executor(self) -> ThreadPoolExecutor:
        """Threads for models that have no async method: as many as the gate is wide."""
        with self._lock:
            if self._executor is None or self._executor_pid != os.getpid():
                self._executor = ThreadPoolExecutor(self.max_concurrency, thread_name_prefix="alignment-model")
                self._executor_pid = os.getpid()
            return self._executor

    def _semaphore(self) -> asyncio.Semaphore:
        loop = asyncio.get_running_loop()
        with self._lock:
            semaphore = self._semaphores.get(loop)
            if semaphore is None:
                semaphore = self._semaphores[loop] = asyncio.Semaphore(self.max_concurrency)
            return semaphore
