"""Aligned prompts under names, in a LangGraph store: what a loop begins from, and what answers meanwhile."""

from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated

from langgraph.store.base import BaseStore
from pydantic import StringConstraints

from langchain_model_alignment.constitution import digest
from langchain_model_alignment.errors import ConflictError, NotFoundError
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.integrations.serving.claims import Claim, Claims

__all__ = ["StoredName", "StoredPrompts", "version_of"]

StoredName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""The name of something that is served: letters, digits, `_` and `-`."""

_MOST_NAMES = 10_000


def version_of(prompt: AlignedPrompt) -> str:
    """Return what tells a stored prompt from what others stored in its place.

    Example:
        >>> one, other = AlignedPrompt.from_prompt("Greet {name}."), AlignedPrompt.from_prompt("Thank {name}.")
        >>> version_of(one) == version_of(one.model_copy()), version_of(one) == version_of(other)
        (True, False)
    """
    return digest(prompt.model_dump(mode="json"))


class StoredPrompts:
    """Aligned prompts under names; each is read anew at every use, so what is put there holds from the next call on.

    Args:
        store: Where they are.
        claim: How a name is held while it is written; by default against other writers in this process that share it.

    Example:
        >>> import asyncio
        >>> from langgraph.store.memory import InMemoryStore
        >>> prompts = StoredPrompts(InMemoryStore())
        >>> asyncio.run(prompts.aput("greeting", AlignedPrompt.from_prompt("Greet {name}.")))
        >>> asyncio.run(prompts.aget("greeting")).description, asyncio.run(prompts.anames())
        ('Greet {name}.', ['greeting'])
    """

    def __init__(self, store: BaseStore, *, claim: Claim | None = None) -> None:
        self._store = store
        self._claim = claim or Claims()
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

    async def aput(self, name: str, prompt: AlignedPrompt, *, expected: Collection[str] | None = None) -> None:
        """Store a prompt, in the place of an older one of that name.

        Args:
            name: Its name.
            prompt: What to store.
            expected: The versions of which one is to be replaced, see `version_of`; any, or none, when absent.

        Raises:
            ConflictError: Another version is there, or somebody else writes at this moment; nothing is written.
        """
        async with self._writing(name):
            if expected is not None and await self._version(name) not in expected:
                raise ConflictError(
                    f'The stored prompt "{name}" is not the one that was read; read it again, then store yours.'
                )
            await self._store.aput(self._place, name, prompt.model_dump(mode="json"), index=False)

    async def adelete(self, name: str) -> None:
        """Delete a prompt; a loop that began from it has its own copy and goes on.

        Raises:
            NotFoundError: There is none of that name.
            ConflictError: Somebody else writes it at this moment.
        """
        async with self._writing(name):
            if await self._store.aget(self._place, name) is None:
                raise _missing(name)
            await self._store.adelete(self._place, name)

    async def anames(self) -> list[str]:
        """Return the names, sorted."""
        return sorted(item.key for item in await self._store.asearch(self._place, limit=_MOST_NAMES))

    async def _version(self, name: str) -> str | None:
        try:
            return version_of(await self.aget(name))
        except NotFoundError:
            return None

    @asynccontextmanager
    async def _writing(self, name: str) -> AsyncIterator[None]:
        """Hold a name, since a store cannot compare and set."""
        async with AsyncExitStack() as held:
            try:
                await held.enter_async_context(self._claim(f"prompt/{name}"))  # no id of a thread has a slash
            except ConflictError:
                raise ConflictError(
                    f'Somebody else writes the stored prompt "{name}"; read it, then try again.'
                ) from None
            yield


def _missing(name: str) -> NotFoundError:
    return NotFoundError(f'There is no stored prompt "{name}", or it was deleted; store one of that name.')
