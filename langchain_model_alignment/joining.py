"""Equal work in flight at the same time is done once."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

__all__ = ["Joining"]

T = TypeVar("T")


class _Shared(Generic[T]):
    """One piece of work on its way, and how many wait for it."""

    def __init__(self, task: "asyncio.Task[T]") -> None:
        self.task = task
        self.waiters = 0


class Joining(Generic[T]):
    """Work under way, by key and by event loop.

    What is raised reaches everyone who waits. A waiter that is cancelled leaves the others waiting; the work itself
    is cancelled when nobody waits any more.

    Example:
        >>> import asyncio
        >>> async def main():
        ...     done, joining = [], Joining()
        ...     async def work():
        ...         done.append("once")
        ...         await asyncio.sleep(0)
        ...         return "answer"
        ...     return await asyncio.gather(joining.share("key", work), joining.share("key", work)), done
        >>> asyncio.run(main())
        (['answer', 'answer'], ['once'])
    """

    def __init__(self) -> None:
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Shared[T]]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def has(self, key: str) -> bool:
        """Whether work under this key is on its way on the running loop."""
        shared = self._in_flight().get(key)
        return shared is not None and not shared.task.done()

    async def share(self, key: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Wait for the work under a key, which is started unless it is on its way.

        Args:
            key: Names the work.
            work: Starts it.

        Returns:
            What the work returns.
        """
        in_flight = self._in_flight()
        shared = in_flight.get(key)
        if shared is None or shared.task.done():
            shared = in_flight[key] = _Shared(asyncio.create_task(work()))
        shared.waiters += 1
        try:
            return await asyncio.shield(shared.task)
        finally:
            shared.waiters -= 1
            if not shared.waiters:
                if in_flight.get(key) is shared:
                    del in_flight[key]
                if shared.task.done():
                    _ = shared.task.cancelled() or shared.task.exception()  # seen, also by a cancelled waiter
                else:
                    shared.task.cancel()

    def _in_flight(self) -> dict[str, _Shared[T]]:
        loop = asyncio.get_running_loop()
        with self._lock:
            return self._loops.setdefault(loop, {})
