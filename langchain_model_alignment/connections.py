"""Connections belong to the event loop that made them.

The OpenAI and Google packages keep one pool of connections for all event loops. Used from a second event loop (a sync
method here, `asyncio.run` there) it hands out connections of the first and fails with "Event loop is closed". So each
loop gets a pool of its own, which is closed together with the loop.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:  # slow to import, and whoever has a model has it already
    from langchain_core.language_models import BaseChatModel


__all__ = ["PerLoopModel"]

# What is closed together with a loop: async generators that were begun on it and wait there.
_closing: WeakKeyDictionary[asyncio.AbstractEventLoop, list[AsyncGenerator[None, None]]] = WeakKeyDictionary()
# The pool that the OpenAI models of a loop share.
_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = WeakKeyDictionary()


class PerLoopModel:
    """A chat model, with connections of the running loop where it would share them between loops.

    Args:
        llm: Any chat model; it stays as it is. An OpenAI one that was given its own HTTP client keeps it.
    """

    def __init__(self, llm: "BaseChatModel") -> None:
        self._llm = llm
        self._copied = _copier_for(llm)
        self._copies: WeakKeyDictionary[asyncio.AbstractEventLoop, BaseChatModel] = WeakKeyDictionary()

    async def here(self) -> "BaseChatModel":
        """The model to use on the running loop."""
        if self._copied is None:
            return self._llm
        loop = asyncio.get_running_loop()
        copy = self._copies.get(loop)
        if copy is None:
            copy = self._copies[loop] = await self._copied(self._llm)
        return copy


def _copier_for(llm: "BaseChatModel") -> "Callable[[Any], Awaitable[BaseChatModel]] | None":
    given = getattr(llm, "http_async_client", None)
    if given is None and hasattr(getattr(llm, "root_async_client", None), "with_options"):
        return _with_own_pool
    google = any(base.__name__ == "ChatGoogleGenerativeAI" for base in type(llm).__mro__)
    return _with_own_client if google and hasattr(llm, "aclose") else None


async def _with_own_pool(llm: Any) -> "BaseChatModel":
    """A copy of an OpenAI model on the pool of the running loop."""
    loop = asyncio.get_running_loop()
    if loop not in _pools:
        from openai import DefaultAsyncHttpxClient

        _pools[loop] = DefaultAsyncHttpxClient()
        await _close_with_loop(_pools[loop])
    root = vars(llm)["root_async_client"].with_options(http_client=_pools[loop])
    copy: BaseChatModel = llm.model_copy(update={"root_async_client": root, "async_client": root.chat.completions})
    return copy


async def _with_own_client(llm: Any) -> "BaseChatModel":
    """A copy of a Gemini model with a client of its own, which the package makes from the model's fields."""
    copy: Any = llm.model_copy()
    copy.validate_environment()
    await _close_with_loop(copy)
    return copy  # type: ignore[no-any-return]


async def _close_with_loop(thing: Any) -> None:
    """Have something closed when the running loop shuts down, which ends the async generators begun on it."""
    waiting = _until_the_end(thing)
    _closing.setdefault(asyncio.get_running_loop(), []).append(waiting)
    await anext(waiting)


async def _until_the_end(thing: Any) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await thing.aclose()
