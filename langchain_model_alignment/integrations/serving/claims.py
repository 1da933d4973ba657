"""Who may take a turn on a thread: one at a time."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from langchain_model_alignment.errors import ConflictError

__all__ = ["Claim", "Claims", "under_way"]

Claim = Callable[[str], AbstractAsyncContextManager[None]]
"""Holds a thread for one turn; raises `ConflictError` at once where another holds it."""


class Claims:
    """The threads that have a turn under way in this process."""

    def __init__(self) -> None:
        self._held: set[str] = set()

    @asynccontextmanager
    async def __call__(self, thread_id: str) -> AsyncIterator[None]:
        """Hold a thread.

        Raises:
            ConflictError: A turn is under way there.
        """
        if thread_id in self._held:
            raise under_way(thread_id)
        self._held.add(thread_id)
        try:
            yield
        finally:
            self._held.discard(thread_id)


def under_way(thread_id: str) -> ConflictError:
    """Return what to tell the second of two turns at once."""
    return ConflictError(
        f'Another turn is under way on the thread "{thread_id}"; wait for it, then look at what it asks.'
    )
