"""A batch of feedback becomes a constitution in one go: extract, group, merge, resolve contradictions, one update.

Each record costs one call with a strong model; all that follows costs a twentieth of that at most. With a cache the
same batch goes on after a kill, and only what was in flight is paid again.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Union

from langchain_core.runnables import Runnable, RunnableConfig
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from langchain_model_alignment.calls import Caller, ChatModelLike, as_caller
from langchain_model_alignment.constitution import Add, Edit
from langchain_model_alignment.errors import AuthenticationError, ConfigurationError, DataError, ModelError
from langchain_model_alignment.feedback.batch.conflicts import Contender, Settlement, edits_of, settle
from langchain_model_alignment.feedback.batch.groups import Group, groups_of, wordings_of
from langchain_model_alignment.feedback.batch.merging import merge_groups
from langchain_model_alignment.feedback.batch.records import (
    BatchResult,
    FeedbackRecord,
    PrincipleGroup,
    UnusedRecord,
    evidence_of,
    numbered_exchanges,
)
from langchain_model_alignment.feedback.exchanges import Exchange
from langchain_model_alignment.feedback.principles import PrincipleRequest, Strategy, create_principle_chain
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.feedback.steps import base_of, keep_update, weave
from langchain_model_alignment.feedback.updates import create_prompt_update_chain
from langchain_model_alignment.gathering import gather_from
from langchain_model_alignment.loop import make_runnable, run_sync

if TYPE_CHECKING:
    from langchain_core.prompts import ChatPromptTemplate

__all__ = [
    "BatchRequest",
    "BatchResult",
    "FeedbackRecord",
    "PrincipleGroup",
    "UnusedRecord",
    "aalign_batch",
    "align_batch",
    "create_batch_chain",
]

logger = logging.getLogger(__name__)

MOST_PRINCIPLES = 30
_MOST_EXCHANGES = 1_000

Progress = Callable[[int], None]


def _as_aligned(prompt: Any) -> Any:
    # A dict is an aligned prompt in JSON, which pydantic reads.
    return prompt if isinstance(prompt, AlignedPrompt | dict) else AlignedPrompt.from_prompt(prompt)


class BatchRequest(BaseModel):
    """A prompt and the feedback that it is to learn from."""

    model_config = ConfigDict(extra="forbid")

    prompt: Annotated[AlignedPrompt, BeforeValidator(_as_aligned, json_schema_input_type=str | AlignedPrompt)] = Field(
        description="The prompt: a string, a LangChain prompt or an aligned prompt"
    )
    records: tuple[FeedbackRecord, ...] = Field(description="The feedback")


AnyPrompt = Union[AlignedPrompt, str, "ChatPromptTemplate"]


def create_batch_chain(
    llm: ChatModelLike, *, strategy: Strategy | None = None, max_principles: int = MOST_PRINCIPLES
) -> Runnable[BatchRequest | dict[str, Any], BatchResult]:
    """Create the chain that aligns a prompt with a batch of feedback.

    Args:
        llm: The model that writes principles; a `Caller` with a cache goes on where it was stopped.
        strategy: How to ask it; by default what fits the model.
        max_principles: How many principles the prompt may have in the end; those it has already all stay.

    Returns:
        A Runnable from a `BatchRequest` (or a dict like it) to a `BatchResult`.

    Raises:
        ConfigurationError: `max_principles` is less than 1.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> replies = ['{"reason": "asked", "action": "add", "principle": "Be brief."}']
        >>> replies.append('{"text": "Speak on {x}. Be brief."}')
        >>> chain = create_batch_chain(FakeListChatModel(responses=replies))
        >>> record = {"id": "1", "response": "…", "feedback": {"kind": "critique", "text": "Too long"}}
        >>> chain.invoke({"prompt": "Speak on {x}.", "records": [record]}).prompt.description
        'Speak on {x}. Be brief.'
    """
    batch = _Batch(as_caller(llm), strategy, max_principles)

    async def align(value: BatchRequest | dict[str, Any], config: RunnableConfig) -> BatchResult:
        request = BatchRequest.model_validate(value)
        return await batch.run(request.prompt, request.records, config)

    return make_runnable(align, name="batch", input_type=BatchRequest, output_type=BatchResult)


async def aalign_batch(
    llm: ChatModelLike,
    prompt: AnyPrompt,
    records: Iterable[FeedbackRecord],
    *,
    strategy: Strategy | None = None,
    max_principles: int = MOST_PRINCIPLES,
    progress: Progress | None = None,
    config: RunnableConfig | None = None,
) -> BatchResult:
    """Align a prompt with a batch of feedback; see `align_batch`."""
    batch = _Batch(as_caller(llm), strategy, max_principles, progress)
    return await batch.run(_as_aligned(prompt), records, config)


def align_batch(
    llm: ChatModelLike,
    prompt: AnyPrompt,
    records: Iterable[FeedbackRecord],
    *,
    strategy: Strategy | None = None,
    max_principles: int = MOST_PRINCIPLES,
    progress: Progress | None = None,
    config: RunnableConfig | None = None,
) -> BatchResult:
    """Align a prompt with a batch of feedback.

    Args:
        llm: The model that writes principles; a `Caller` with a cache goes on where it was stopped.
        prompt: The prompt, plain or aligned before.
        records: The feedback; an iterator is read as it is worked on.
        strategy: How to ask the model; by default what fits it.
        max_principles: How many principles the prompt may have in the end; those it has already all stay.
        progress: Told how many records are done; it is called on the loop's thread, so it should be quick.
        config: Callbacks, tags and metadata for the calls.

    Returns:
        The prompt with its new principles, and what became of each record.

    Raises:
        ConfigurationError: `max_principles` is less than 1.
        DataError: There are no records.
        PromptError: There is no prompt.
        AuthenticationError: The key is wrong.
        ModelError: Every record failed.
        BudgetError: The budget is spent.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> from langchain_model_alignment.feedback.exchanges import Feedback
        >>> replies = ['{"reason": "asked", "action": "add", "principle": "Be brief."}']
        >>> replies.append('{"text": "Speak on {x}. Be brief."}')
        >>> record = FeedbackRecord(id="1", response="…", feedback=Feedback(kind="critique", text="Too long"))
        >>> result = align_batch(FakeListChatModel(responses=replies), "Speak on {x}.", [record])
        >>> [(group.text, group.records) for group in result.groups], result.calls
        ([('Be brief.', ('1',))], 2)
    """
    return run_sync(
        aalign_batch(
            llm,
            prompt,
            records,
            strategy=strategy,
            max_principles=max_principles,
            progress=progress,
            config=config,
        )
    )


@dataclass(frozen=True, slots=True)
class _Read:
    """What became of one record."""

    id: str
    exchange: Exchange | None = None
    """The record as the prompt keeps it, where it led to words and is among the first ones."""
    words: tuple[str, ...] = ()
    skipped: str = ""
    error: ModelError | None = None


class _Batch:
    """The steps, on one caller."""

    def __init__(
        self, caller: Caller, strategy: Strategy | None, max_principles: int, progress: Progress | None = None
    ) -> None:
        if max_principles < 1:
            raise ConfigurationError(f"max_principles is {max_principles}; let there be at least 1.")
        self._caller = caller
        self._strategy = strategy
        self._most = max_principles
        self._progress = progress

    async def run(
        self, prompt: AlignedPrompt, records: Iterable[FeedbackRecord], config: RunnableConfig | None
    ) -> BatchResult:
        base_of(prompt)  # nothing is paid for a prompt that is not there
        before = self._caller.usage.snapshot().calls
        read = await self._extract(prompt, records, config)
        asked = [r for r in read if not r.skipped]
        # Grouping thousands takes seconds, which the loop has other work for.
        said = [(number, words) for number, r in enumerate(asked) for words in r.words]
        groups = await asyncio.to_thread(lambda: groups_of(wordings_of(said)))
        texts = await merge_groups(self._caller, groups, self._most, len(asked), config)
        found = _contenders(groups, texts)
        settlement = await asyncio.to_thread(settle, prompt.constitution, found, self._most)
        after = _keep(prompt, asked, settlement)
        after = await self._weave(after, config)
        ids = [r.id for r in asked]
        return BatchResult(
            prompt=after,
            groups=_supported(after, settlement, ids),
            left_out=tuple(PrincipleGroup(text=c.text, records=_named(c, ids)) for c in settlement.left_out),
            conflicts=settlement.conflicts,
            skipped=tuple(UnusedRecord(id=r.id, reason=r.skipped) for r in read if r.skipped),
            failed=tuple(UnusedRecord(id=r.id, reason=str(r.error)) for r in read if r.error),
            calls=self._caller.usage.snapshot().calls - before,
        )

    async def _extract(
        self, prompt: AlignedPrompt, records: Iterable[FeedbackRecord], config: RunnableConfig | None
    ) -> list[_Read]:
        """Make a principle of each record alone, in one call where the model can."""
        description, done = prompt.description, 0

        async def extract(given: tuple[int, Exchange, str]) -> _Read:
            nonlocal done
            number, exchange, skipped = given
            if skipped:
                read = _Read(exchange.id, skipped=skipped)
            else:
                read = await self._read(exchange, description, config)
            done += 1
            if self._progress is not None:
                self._progress(done)
            return read if number < _MOST_EXCHANGES else replace(read, exchange=None)

        read = await gather_from(numbered_exchanges(prompt, records), extract, self._caller.gate.max_concurrency)
        if not read:
            raise DataError("There is no feedback in this batch; give at least one record.")
        asked = [r for r in read if not r.skipped]
        if asked and all(r.error for r in asked) and (first := asked[0].error) is not None:
            raise type(first)(f"All {len(asked)} records failed; the first one: {first}") from first
        return read

    async def _read(self, exchange: Exchange, description: str, config: RunnableConfig | None) -> _Read:
        request = PrincipleRequest(
            feedback=exchange.feedback[0], prompt=description, inputs=exchange.inputs, id=evidence_of(exchange.id)
        )
        # A chain that met one unreadable answer asks in short steps from then on, so each record has its own: what
        # becomes of it depends on no other record.
        chain = create_principle_chain(self._caller, strategy=self._strategy)
        try:
            proposal = await chain.ainvoke(request, config)
        except AuthenticationError:
            raise
        except ModelError as error:
            return _Read(exchange.id, error=error)
        words = tuple(edit.text for edit in proposal.edits if isinstance(edit, Add | Edit))
        return _Read(exchange.id, exchange, words)

    async def _weave(self, prompt: AlignedPrompt, config: RunnableConfig | None) -> AlignedPrompt:
        chain = create_prompt_update_chain(self._caller, strategy=self._strategy)
        try:
            update = await weave(chain, prompt, config)
        except AuthenticationError:
            raise
        except ModelError as error:  # a thousand records are not lost for it
            logger.warning("The principles are listed below the prompt, because writing them into it failed: %s", error)
            update = await weave(None, prompt, config)
            update = update and update.model_copy(update={"refused": str(error).rstrip(".")})
        if update is None:
            return prompt
        return keep_update(prompt, update, base_of(prompt), "principles into the prompt") or prompt


def _contenders(groups: Sequence[Group], texts: Sequence[Sequence[str]]) -> list[Contender]:
    return [Contender(text, group.records) for group, own in zip(groups, texts, strict=True) for text in own]


def _keep(prompt: AlignedPrompt, asked: Sequence[_Read], settlement: Settlement) -> AlignedPrompt:
    """The prompt with the principles in its history, in one revision, and the records among its exchanges."""
    edits = edits_of(settlement, lambda number: evidence_of(asked[number].id), len(asked))
    exchanges = [r.exchange for r in asked if r.exchange is not None]
    after = prompt.model_copy(update={"exchanges": (*prompt.exchanges, *exchanges)})
    return after.commit(edits, reason=f"a batch of {len(asked)} records", author="model") if edits else after


def _supported(prompt: AlignedPrompt, settlement: Settlement, ids: Sequence[str]) -> tuple[PrincipleGroup, ...]:
    """The principles that records of this batch ask for, with the ids that the history gave them."""
    new = iter([p.id for p in prompt.constitution][-sum(c.old is None for c in settlement.kept) or None :])
    return tuple(
        PrincipleGroup(text=c.text, records=_named(c, ids), id=next(new) if c.old is None else c.old.id)
        for c in settlement.kept
        if c.records
    )


def _named(contender: Contender, ids: Sequence[str]) -> tuple[str, ...]:
    return tuple(ids[number] for number in contender.records)
