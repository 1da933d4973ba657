"""A piece of feedback becomes the next version of a constitution in a store."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.store.base import BaseStore

from langchain_model_alignment.calls import ChatModelLike, as_caller
from langchain_model_alignment.constitution import Constitution
from langchain_model_alignment.errors import ConfigurationError, ConflictError
from langchain_model_alignment.feedback.exchanges import Feedback
from langchain_model_alignment.feedback.findings import Conflict
from langchain_model_alignment.feedback.principles import PrincipleProposal, Strategy, create_principle_chain
from langchain_model_alignment.integrations.entries import Entry
from langchain_model_alignment.integrations.store import ConstitutionLibrary
from langchain_model_alignment.tracing import tell

__all__ = ["Blocking", "Learned", "Learner", "NameOf", "Place", "library_for", "name_for"]

NameOf = str | Callable[[Any], str]
"""The name of a constitution, or a function from the run's `Runtime` to it, such as `lambda run: run.context.user`."""

_TRIES = 5  # writers of one constitution who may come first


def library_for(library: ConstitutionLibrary | None, store: BaseStore | None) -> ConstitutionLibrary:
    """Return the library given, else one in the store of the run.

    Raises:
        ConfigurationError: There is neither.
    """
    if library is not None:
        return library
    if store is None:
        raise ConfigurationError(
            "There is no store for the principles; give a library, or store=… to create_agent or to compile."
        )
    return ConstitutionLibrary(store)


def name_for(name: NameOf, run: Any) -> str:
    """Return the name of the constitution for a run.

    Raises:
        ConfigurationError: The function did not return a text.
    """
    found: Any = name if isinstance(name, str) else name(run)
    if not isinstance(found, str):
        raise ConfigurationError(
            f"The function that names the constitution returned a {type(found).__name__} for this run; let it return "
            "a text, also where the run has no context."
        )
    return found


@dataclass(frozen=True)
class Blocking:
    """A library by its sync methods, for a coroutine that sync code runs."""

    library: ConstitutionLibrary

    async def anewest(self, name: str) -> Entry | None:
        """Return the newest version."""
        return await asyncio.to_thread(self.library.newest, name)

    async def aput(self, name: str, constitution: Constitution, *, expected: int, reason: str) -> int:
        """Write the next version."""
        return await asyncio.to_thread(self.library.put, name, constitution, expected=expected, reason=reason)


Place = ConstitutionLibrary | Blocking


@dataclass(frozen=True)
class Learned:
    """What became of feedback."""

    changes: list[str]
    conflicts: list[str]


class Learner:
    """Turns feedback into the next version of a constitution."""

    def __init__(self, llm: ChatModelLike, strategy: Strategy | None) -> None:
        self._chain = create_principle_chain(as_caller(llm), strategy=strategy)

    async def learn(self, place: Place, name: str, feedback: Feedback, config: RunnableConfig) -> Learned:
        """Write the next version; where somebody else wrote one meanwhile, decide anew in the face of that.

        Raises:
            ConflictError: Others came first every time.
            ModelError: The model failed; nothing is written.
        """
        tries = 0
        while True:
            entry = await place.anewest(name)
            before, version = (entry.constitution, entry.version) if entry else (Constitution(), 0)
            proposal = await self._chain.ainvoke({"feedback": feedback, "constitution": before}, config)
            after = before.apply_all(proposal.edits)
            if after.fingerprint() == before.fingerprint():
                return Learned([], [])
            try:
                version = await place.aput(name, after, expected=version, reason=f"{feedback.kind}: {feedback.text}")
            except ConflictError:
                tries += 1
                if tries == _TRIES:
                    raise
            else:
                tell(_event(name, version, before, after, proposal))
                return Learned(before.diff(after), [_told(found, after) for found in proposal.conflicts])


def _told(found: Conflict, after: Constitution) -> str:
    texts = (f"{p.id} “{p.text}”" for p in after if p.id in found.ids)
    return f"{found.why} ({', '.join(texts)})"


def _event(
    name: str, version: int, before: Constitution, after: Constitution, proposal: PrincipleProposal
) -> dict[str, Any]:
    return {
        "type": "learned",
        "name": name,
        "version": version,
        "principles": [p.model_dump(mode="json") for p in after],
        "changes": before.diff(after),
        "written_by": proposal.written_by,
        "conflicts": [found.model_dump(mode="json") for found in proposal.conflicts],
    }
