"""Where principles contradict or repeat each other, or fit one example only: findings with edits to accept.

What code sees is asked of no model. A strong model then looks at all principles in one call; a small one is asked about
the pairs that speak of the same thing, one yes or no each.
"""

import logging
from collections.abc import Sequence
from itertools import combinations
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig
from pydantic import BaseModel, ConfigDict, Field

from langchain_model_alignment.calls import Caller, ChatModelLike, as_caller
from langchain_model_alignment.constitution import Constitution, Delete, Principle
from langchain_model_alignment.directions import SAYING, clauses_of, root_of
from langchain_model_alignment.errors import MalformedAnswerError
from langchain_model_alignment.feedback import check_instructions, instructions
from langchain_model_alignment.feedback.exchanges import Exchange, in_words
from langchain_model_alignment.feedback.findings import (
    Conflict,
    ToldConflict,
    by_age,
    conflict,
    made_from_one,
    seen_conflicts,
    told_conflicts,
    too_specific,
    touches,
)
from langchain_model_alignment.feedback.mending import give_way
from langchain_model_alignment.feedback.principles import Strategy, strategy_of
from langchain_model_alignment.feedback.relations import share_of_yes
from langchain_model_alignment.feedback.together import together
from langchain_model_alignment.loop import make_runnable
from langchain_model_alignment.structured import ask_structured
from langchain_model_alignment.wording import stems_in

__all__ = ["Conflict", "ConflictReport", "ConflictRequest", "create_conflict_chain"]

logger = logging.getLogger(__name__)

_CANNOT_AT = 0.5  # as in `relations.contradicted`, for principles that share words
_PAIRS_AT_MOST = 12
_EXAMPLE_LENGTH = 600


class ConflictRequest(BaseModel):
    """The principles to look at."""

    model_config = ConfigDict(extra="forbid")

    constitution: Constitution = Field(description="The principles; only those that are switched on are looked at")
    new: tuple[str, ...] | None = Field(
        default=None, description="Ids of new principles: only conflicts that involve one of them are looked for"
    )
    exchanges: tuple[Exchange, ...] = Field(
        default=(), description="What principles were made from, to see which fit one example only"
    )


class ConflictReport(BaseModel):
    """What is wrong among the principles."""

    conflicts: tuple[Conflict, ...] = Field(default=(), description="What code found, then what the model found")


class _Conflicts(BaseModel):
    """The conflicts among the principles; an empty list where there are none."""

    conflicts: list[ToldConflict]


def create_conflict_chain(
    llm: ChatModelLike, *, strategy: Strategy | None = None
) -> Runnable[ConflictRequest | dict[str, Any], ConflictReport]:
    """Create the chain that finds principles which contradict or repeat each other, or fit one example only.

    Nothing is changed: each finding holds edits that a person may accept, by `constitution.apply_all(found.edits)`.

    Args:
        llm: The model that looks for what code cannot see.
        strategy: How to ask it; by default what fits the model.

    Returns:
        A Runnable from a `ConflictRequest` (or a dict like it) to a `ConflictReport`.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> chain = create_conflict_chain(FakeListChatModel(responses=['{"conflicts": []}']))
        >>> principles = Constitution.of("Use emojis.", "Name the price.", "Never use emojis.")
        >>> found = chain.invoke({"constitution": principles}).conflicts[0]
        >>> found.kind, found.ids, found.why
        ('contradiction', ('p1', 'p3'), 'No answer can follow both.')
        >>> print(principles.apply_all(found.edits).render())
        - Name the price.
        - Never use emojis.
    """
    caller = as_caller(llm)
    chosen = strategy or strategy_of(caller)

    async def find(value: ConflictRequest | dict[str, Any], config: RunnableConfig) -> ConflictReport:
        nonlocal chosen
        request = ConflictRequest.model_validate(value)
        constitution, new = request.constitution, request.new
        seen = [*seen_conflicts(constitution, new), *too_specific(constitution, request.exchanges, new)]
        if chosen == "one_call":
            try:
                return ConflictReport(conflicts=(*seen, *await _in_one_call(caller, request, seen, config)))
            except MalformedAnswerError as error:
                if chosen == "one_call":  # said once, and not tried again at every call
                    logger.warning("The model's findings could not be read, so it is asked in short steps: %s", error)
                chosen = "short_steps"
        return ConflictReport(conflicts=(*seen, *await _in_short_steps(caller, request, seen, config)))

    return make_runnable(find, name="conflicts", input_type=ConflictRequest, output_type=ConflictReport)


async def _in_one_call(
    caller: Caller, request: ConflictRequest, seen: Sequence[Conflict], config: RunnableConfig
) -> list[Conflict]:
    constitution, new = request.constitution, request.new
    enabled = constitution.enabled()
    single = [(p, e) for p, e in made_from_one(constitution, request.exchanges) if touches([p], new)]
    if not single and not _pairs(request, seen):
        return []
    messages = check_instructions.find_conflicts(
        principles=[(p.id, p.sentence()) for p in enabled],
        examples=[(p.id, _shown(exchange)) for p, exchange in single],
        found=[f"{c.kind} {', '.join(c.ids)}" for c in seen],
        new=None if new is None else [p.id for p in enabled if p.id in new],
    )
    told = await ask_structured(caller, messages, _Conflicts, config=config)
    return told_conflicts(constitution, told.conflicts, seen, new)


async def _in_short_steps(
    caller: Caller, request: ConflictRequest, seen: Sequence[Conflict], config: RunnableConfig
) -> list[Conflict]:
    """Ask about the pairs that share words, most alike first, whether both can be followed."""
    ranked = sorted(
        ((shared, older, newer) for older, newer in _pairs(request, seen) if (shared := _shared(older, newer))),
        key=lambda item: -item[0],
    )
    # On a small model's word alone, none of several wishes in one principle is in doubt; a condition is an exception.
    asked = [
        (older, newer)
        for _, older, newer in ranked
        if len(clauses_of(older.text)) == 1 and older.condition == newer.condition
    ][:_PAIRS_AT_MOST]
    shares = await together(
        share_of_yes(caller, instructions.can_follow_both(older.sentence(), newer.sentence()), config)
        for older, newer in asked
    )
    return [
        conflict(request.constitution, "contradiction", [older, newer], give_way([older], newer))
        for (older, newer), share in zip(asked, shares, strict=True)
        if 1 - share >= _CANNOT_AT
    ]


def _pairs(request: ConflictRequest, seen: Sequence[Conflict]) -> list[tuple[Principle, Principle]]:
    """The pairs that may be in conflict and are in none that code saw, the older one first."""
    gone = {edit.id for c in seen if c.kind == "duplicate" for edit in c.edits if isinstance(edit, Delete)}
    left = [p for p in request.constitution.enabled() if p.id not in gone]
    pairs = []
    for pair in combinations(left, 2):
        known = any({p.id for p in pair} <= set(c.ids) for c in seen)
        if pair[0].label == pair[1].label and touches(pair, request.new) and not known:
            older, newer = by_age(pair, request.new)
            pairs.append((older, newer))
    return pairs


def _shared(a: Principle, b: Principle) -> int:
    """How many words two principles share that say what they are about."""
    return len({stem for stem in stems_in(a.text) & stems_in(b.text) if root_of(stem) not in SAYING})


def _shown(exchange: Exchange) -> str:
    """The example behind a principle, short enough to be shown beside others."""
    lines = [*in_words(exchange.inputs), *(f"feedback: {feedback.text}" for feedback in exchange.feedback)]
    return "\n".join(line[:_EXAMPLE_LENGTH] for line in lines)
