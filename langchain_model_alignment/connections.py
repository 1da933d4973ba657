"""Connections belong to the event loop that made them.

The OpenAI packages keep one pool of connections for a whole process. Used from a second event loop (a sync method
here, `asyncio.run` there) it hands out connections of the first and fails with "Event loop is closed". So each loop
gets a pool of its own, which is closed together with the loop.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:  # slow to import, and whoever has a model has it already
    from langchain_core.language_models import BaseChatModel


__all__ = ["PerLoopModel"]

# The pool of each loop, with the generator that closes it.
_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[Any, AsyncGenerator[None, None]]] = WeakKeyDictionary()


class PerLoopModel:
    """A chat model, with connections of the running loop where it would share them between loops.

    Args:
        llm: Any chat model; it stays as it is. One that was given its own HTTP client keeps it.
    """

    def __init__(self, llm: "BaseChatModel") -> None:
        self._llm = llm
        given = getattr(llm, "http_async_client", None)
        self._shared = given is None and hasattr(getattr(llm, "root_async_client", None), "with_options")
        self._copies: WeakKeyDictionary[asyncio.AbstractEventLoop, BaseChatModel] = WeakKeyDictionary()

    async def here(self) -> "BaseChatModel":
        """The model to use on the running loop."""
        if not self._shared:
            return self._llm
        loop = asyncio.get_running_loop()
        copy = self._copies.get(loop)
        if copy is None:
            root = vars(self._llm)["root_async_client"].with_options(http_client=await _pool(loop))
            copy = self._llm.model_copy(update={"root_async_client": root, "async_client": root.chat.completions})
            self._copies[loop] = copy
        return copy


async def _pool(loop: asyncio.AbstractEventLoop) -> Any:
    if loop not in _pools:
        from openai import DefaultAsyncHttpxClient

        client = DefaultAsyncHttpxClient()
        closing = _close_with_loop(client)
        _pools[loop] = (client, closing)
        await anext(closing)
    return _pools[loop][0]


async def _close_with_loop(client: Any) -> AsyncGenerator[None, None]:
    """A loop that shuts down closes the async generators that were begun on it, and so the pool."""
    try:
        yield
    finally:
        await client.aclose()
