"""From mistakes to edits of a rulebook: what a proposer is given, and what it gives back."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig

from langchain_model_alignment.calls import Caller
from langchain_model_alignment.errors import AuthenticationError, ModelError
from langchain_model_alignment.labeling.classifier import Labeled
from langchain_model_alignment.labeling.precedents import RulebookEdit
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.task import Row
from langchain_model_alignment.traits import limit_of
from langchain_model_alignment.wording import clean_sentence

__all__ = ["Mined", "Proposal", "Proposals", "Proposer", "name_of", "sentence_of", "settled"]

_SENTENCE_TOKENS = 80


@dataclass(frozen=True)
class Mined:
    """Training rows with what a rulebook said of them.

    Attributes:
        wrong: Rows it labels wrongly; an abstention is wrong.
        right: Rows it labels rightly.
        failed: Classes of the errors of the rows whose call failed; they are neither.
    """

    wrong: tuple[tuple[Row, Labeled], ...]
    right: tuple[tuple[Row, Labeled], ...]
    failed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proposal:
    """Edits to try together, and why.

    Attributes:
        edits: Primitive edits of the rulebook.
        reason: In a few words for a reader.
        evidence: Ids of the rows behind it.
    """

    edits: tuple[RulebookEdit, ...]
    reason: str = ""
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proposals:
    """What a proposer came up with.

    Attributes:
        found: Proposals, the most useful first.
        failed: Calls that failed, by the class of the error; they cost only their own proposal.
    """

    found: tuple[Proposal, ...]
    failed: tuple[str, ...] = ()


class Proposer(Protocol):
    """Turns mistakes into edits."""

    def wants(self, groups: int) -> int:
        """Tell how many mistakes it can use when it is to learn from so many groups of them."""
        ...

    async def propose(
        self, rulebook: Rulebook, mined: Mined, groups: int, each: int, config: RunnableConfig | None
    ) -> Proposals:
        """Propose edits.

        Args:
            rulebook: What made the mistakes; its evidence tells how each principle has done.
            mined: The mistakes, and rows that were labeled rightly.
            groups: Learn from at most so many groups of mistakes.
            each: Propose at most so many edits for each.
            config: Callbacks, tags and metadata for the calls.

        Returns:
            Proposals that name only principles of the rulebook. Nothing in them has been tried.
        """
        ...


async def settled(work: Sequence[Awaitable[Any]]) -> tuple[list[Any], tuple[str, ...]]:
    """Wait for all; a model's failure costs its own result only, but a bad key or a spent budget ends the step."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and (
            not isinstance(result, ModelError) or isinstance(result, AuthenticationError)
        ):
            raise result
    found = [result for result in results if not isinstance(result, BaseException)]
    return found, tuple(type(result).__name__ for result in results if isinstance(result, BaseException))


async def sentence_of(caller: Caller, messages: Sequence[BaseMessage], config: RunnableConfig | None) -> str:
    """Ask for one sentence, and return it without what a model puts around it.

    Raises:
        ModelError: The call failed.
    """
    answer = await caller.ask(messages, config=config, **limit_of(caller.llm, _SENTENCE_TOKENS))
    return clean_sentence(answer.text)


def name_of(labels: Sequence[str], index: int | None) -> str:
    """Return the name of a label; empty for an abstention."""
    return "" if index is None else labels[index]
