"""Aligned prompts under names, in a LangGraph store: what a loop begins from, and what answers meanwhile."""

from typing import Annotated

from langgraph.store.base import BaseStore
from pydantic import StringConstraints

from langchain_model_alignment.errors import NotFoundError
from langchain_model_alignment.feedback.records import AlignedPrompt

__all__ = ["StoredName", "StoredPrompts"]

StoredName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""The name of something that is served: letters, digits, `_` and `-`."""

_MOST_NAMES = 10_000


class StoredPrompts:
    """Aligned prompts under names; each is read anew at every use, so what is put there holds from the next call on.

    Args:
        store: Where they are.

    Example:
        >>> import asyncio
        >>> from langgraph.store.memory import InMemoryStore
        >>> prompts = StoredPrompts(InMemoryStore())
        >>> asyncio.run(prompts.aput("greeting", AlignedPrompt.from_prompt("Greet {name}.")))
        >>> asyncio.run(prompts.aget("greeting")).description, asyncio.run(prompts.anames())
        ('Greet {name}.', ['greeting'])
    """

    def __init__(self, store: BaseStore) -> None:
        self._store = store
        self._place = ("served_prompts",)

    async def aget(self, name: str) -> AlignedPrompt:
        """Return a prompt.

        Raises:
            NotFoundError: There is none of that name, or no longer.
            ArtifactError: It is damaged, or a newer release wrote it.
        """
        item = await self._store.aget(self._place, name)
        if item is None:
            raise _missing(name)
        return AlignedPrompt.from_dict(item.value, f'The stored prompt "{name}"')

    async def aput(self, name: str, prompt: AlignedPrompt) -> None:
        """Store a prompt, in the place of an older one of that name."""
        await self._store.aput(self._place, name, prompt.model_dump(mode="json"), index=False)

    async def adelete(self, name: str) -> None:
        """Delete a prompt; a loop that began from it has its own copy and goes on.

        Raises:
            NotFoundError: There is none of that name.
        """
        if await self._store.aget(self._place, name) is None:
            raise _missing(name)
        await self._store.adelete(self._place, name)

    async def anames(self) -> list[str]:
        """Return the names, sorted."""
        return sorted(item.key for item in await self._store.asearch(self._place, limit=_MOST_NAMES))


def _missing(name: str) -> NotFoundError:
    return NotFoundError(f'There is no stored prompt "{name}", or it was deleted; store one of that name.')
