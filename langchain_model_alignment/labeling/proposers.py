"""From mistakes to edits of a rulebook: one small protocol, two proposers behind it."""

import asyncio
import re
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig
from pydantic import BaseModel

from langchain_model_alignment.calls import Caller
from langchain_model_alignment.constitution import Add, Delete, Edit, Move, Principle, PrincipleEdit
from langchain_model_alignment.errors import AuthenticationError, ModelError
from langchain_model_alignment.labeling import instructions
from langchain_model_alignment.labeling.classifier import Labeled
from langchain_model_alignment.labeling.rulebook import Evidence, Rulebook
from langchain_model_alignment.labeling.task import Row
from langchain_model_alignment.models import limit_of
from langchain_model_alignment.structured import ask_structured
from langchain_model_alignment.wording import clean_sentence

__all__ = ["DescribingProposer", "Mined", "Proposal", "Proposer", "ReflectiveProposer", "first_principles"]

_GROUP = 4  # mistakes seen together (ProTeGi, 2305.03495, section 3)
_ENOUGH = 3  # mistakes for each group, so that candidates can be told apart by them
_NEAR = 4  # rows labeled rightly that are shown beside them
_BUNDLE = 4  # descriptions that make one proposal
_EXAMPLES = 3  # rows that a label's first principle is written from
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
        edits: Primitive edits of the rulebook's constitution.
        reason: In a few words for a reader.
        evidence: Ids of the rows behind it.
    """

    edits: tuple[PrincipleEdit, ...]
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


class ProposedEdit(BaseModel):
    """One edit as a model writes it."""

    kind: Literal["add", "edit", "delete", "merge", "split", "exception", "reorder"]
    text: str = ""
    """The new or changed principle, one sentence; empty for delete and reorder."""
    label: str = ""
    """For add: the label that the principle argues for."""
    principle: int | None = None
    """The number of the principle that is changed."""
    other: int | None = None
    """For merge: the number of the second principle. For reorder: the new place."""
    second_text: str = ""
    """For split: the second principle."""
    reason: str = ""
    """Why, in a few words."""


class ProposedEdits(BaseModel):
    """Edits, the most useful first."""

    edits: list[ProposedEdit]


class ReflectiveProposer:
    """Shows a strong model a group of alike mistakes, near rows that went right and the rulebook's record.

    Mistakes are grouped by which label was taken for which; each group is one structured call (GEPA, 2507.19457, and
    ProTeGi, 2305.03495, reflect on grouped evidence too).

    Args:
        caller: The model.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def wants(self, groups: int) -> int:
        """Tell how many mistakes make so many groups; four each."""
        return _ENOUGH * groups

    async def propose(
        self, rulebook: Rulebook, mined: Mined, groups: int, each: int, config: RunnableConfig | None
    ) -> Proposals:
        """Propose edits, one call a group; see `Proposer`."""
        chosen = group_mistakes(mined.wrong, groups)
        results, failed = await _settled([self._reflect(rulebook, g, mined.right, each, config) for g in chosen])
        # The best of each group first: they address different mistakes.
        ranked = [p for rank in range(each) for proposals in results for p in proposals[rank : rank + 1]]
        return Proposals(tuple(ranked), failed)

    async def _reflect(
        self,
        rulebook: Rulebook,
        group: Sequence[tuple[Row, Labeled]],
        right: Sequence[tuple[Row, Labeled]],
        each: int,
        config: RunnableConfig | None,
    ) -> list[Proposal]:
        task, shown = rulebook.task, rulebook.enabled()
        records = [
            instructions.principle_record(
                n,
                instructions.principle_line(p.label or "", p.sentence()),
                *_record(rulebook.evidence.get(p.id)),
            )
            for n, p in enumerate(shown, 1)
        ]
        wrong = [
            instructions.wrong_row(row.text, _name(task.labels, row.label), _name(task.labels, f.label) or f.raw)
            for row, f in group
        ]
        near = [instructions.right_row(r.text, _name(task.labels, r.label)) for r in nearby(group, right)]
        messages = instructions.reflect(task.question, task.labels, records, wrong, near, each)
        answer = await ask_structured(self._caller, messages, ProposedEdits, config=config)
        evidence = tuple(row.id for row, _ in group)
        found = [_as_proposal(edit, rulebook, shown, evidence) for edit in answer.edits[:each]]
        return [proposal for proposal in found if proposal is not None]


class DescribingProposer:
    """Has a small model describe one mistake at a time, given its right label, in one general sentence.

    A few sentences together make a proposal: alone, each moves too little to be told from chance.

    Args:
        caller: The model.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def wants(self, groups: int) -> int:
        """Tell how many mistakes fill so many bundles."""
        return groups * _BUNDLE

    async def propose(
        self, rulebook: Rulebook, mined: Mined, groups: int, each: int, config: RunnableConfig | None
    ) -> Proposals:
        """Propose bundles of descriptions, one call a mistake; see `Proposer`."""
        mixed = _mixed(mined.wrong)[: groups * _BUNDLE]
        results, failed = await _settled([self._describe(rulebook, row, found, config) for row, found in mixed])
        adds = [add for add in results if add.text != "-"]
        bundles = [adds[at : at + _BUNDLE] for at in range(0, len(adds), _BUNDLE)]
        reasons = [f"what {len(bundle)} mistakes have in common with their right labels" for bundle in bundles]
        found = [
            Proposal(tuple(bundle), reason, tuple(id for add in bundle for id in add.evidence))
            for bundle, reason in zip(bundles, reasons, strict=True)
        ]
        return Proposals(tuple(found), failed)

    async def _describe(self, rulebook: Rulebook, row: Row, found: Labeled, config: RunnableConfig | None) -> Add:
        labels = rulebook.task.labels
        label, given = _name(labels, row.label), _name(labels, found.label)
        sentence = await _description(self._caller, rulebook, row, given, config)
        return Add(text=sentence or "-", label=label, evidence=(row.id,), reason="describes a mistake")


async def first_principles(
    caller: Caller, rulebook: Rulebook, rows: Sequence[Row], config: RunnableConfig | None
) -> Rulebook:
    """Return a rulebook with one principle for each label, written from a few of its rows.

    Where a call fails, or no row of a label is there, a plain sentence with the label's name stands in.

    Raises:
        ModelError: All calls failed.
    """
    task, failed = rulebook.task, list[ModelError]()

    async def write(label: str, examples: Sequence[Row]) -> str:
        if caller.traits.small:  # it restates the label when it sees several rows
            return await _description(caller, rulebook, examples[0], "", config)
        others = [other for other in task.labels if other != label]
        messages = instructions.begin_label(task.question, label, others, [row.text for row in examples])
        return await _sentence(caller, messages, config)

    async def add(index: int, label: str) -> Add:
        examples = [row for row in rows if row.label == index][: 1 if caller.traits.small else _EXAMPLES]
        try:
            sentence = await write(label, examples) if examples else ""
        except AuthenticationError:
            raise
        except ModelError as error:
            failed.append(error)
            sentence = ""
        evidence = tuple(row.id for row in examples)
        return Add(text=sentence or f"The row fits {label}.", label=label, evidence=evidence, reason="first principle")

    adds = await asyncio.gather(*(add(index, label) for index, label in enumerate(task.labels)))
    if len(failed) == len(adds):
        raise failed[0]
    return rulebook.apply(adds)


def group_mistakes(wrong: Sequence[tuple[Row, Labeled]], groups: int) -> list[list[tuple[Row, Labeled]]]:
    """Group mistakes by which label was taken for which, at most four each, the commonest confusion first."""
    pairs: dict[tuple[int | None, int | None], list[tuple[Row, Labeled]]] = {}
    for row, found in wrong:
        pairs.setdefault((row.label, found.label), []).append((row, found))
    ranked = sorted(pairs.values(), key=lambda members: -len(members))
    # With few confusions the common ones make several groups, so that no slot is left empty.
    size = max(1, min(_GROUP, -(-len(wrong) // groups)))
    chunks = [[members[at : at + size] for at in range(0, len(members), size)] for members in ranked]
    turns = max(map(len, chunks), default=0)
    return [group for turn in range(turns) for pair in chunks for group in pair[turn : turn + 1]][:groups]


def nearby(group: Sequence[tuple[Row, Labeled]], right: Sequence[tuple[Row, Labeled]]) -> list[Row]:
    """Return rows labeled rightly that share the most words with a group, of the labels that were confused first."""
    words = {word for row, _ in group for word in _words(row.text)}
    confused = {row.label for row, _ in group} | {found.label for _, found in group}

    def closeness(row: Row) -> tuple[bool, float]:
        own = _words(row.text)
        return row.label in confused, len(own & words) / (1 + len(own))

    ranked = sorted((row for row, _ in right), key=lambda row: (closeness(row), row.id), reverse=True)
    return ranked[:_NEAR]


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def _mixed(wrong: Sequence[tuple[Row, Labeled]]) -> list[tuple[Row, Labeled]]:
    """Mistakes with their right labels taking turns, so that every bundle speaks for several labels."""
    by_label: dict[int | None, list[tuple[Row, Labeled]]] = {}
    for pair in wrong:
        by_label.setdefault(pair[0].label, []).append(pair)
    placed = [
        ((at + 0.5) / len(members), label if label is not None else -1, pair)
        for label, members in by_label.items()
        for at, pair in enumerate(members)
    ]
    return [pair for _, _, pair in sorted(placed, key=lambda item: item[:2])]


async def _settled(work: Sequence[Awaitable[Any]]) -> tuple[list[Any], tuple[str, ...]]:
    """Wait for all; a model's failure costs its own result only, but a bad key or a spent budget ends the step."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and (
            not isinstance(result, ModelError) or isinstance(result, AuthenticationError)
        ):
            raise result
    found = [result for result in results if not isinstance(result, BaseException)]
    return found, tuple(type(result).__name__ for result in results if isinstance(result, BaseException))


async def _description(caller: Caller, rulebook: Rulebook, row: Row, given: str, config: RunnableConfig | None) -> str:
    """One sentence about a row and its label."""
    task = rulebook.task
    messages = instructions.describe_row(task.question, row.text, _name(task.labels, row.label), given)
    return await _sentence(caller, messages, config)


async def _sentence(caller: Caller, messages: Sequence[BaseMessage], config: RunnableConfig | None) -> str:
    answer = await caller.ask(messages, config=config, **limit_of(caller.llm, _SENTENCE_TOKENS))
    return clean_sentence(answer.text)


def _record(evidence: Evidence | None) -> tuple[int, int]:
    return (evidence.decided, evidence.right) if evidence else (0, 0)


def _name(labels: Sequence[str], index: int | None) -> str:
    return "" if index is None else labels[index]


def _as_proposal(
    edit: ProposedEdit, rulebook: Rulebook, shown: Sequence[Principle], evidence: tuple[str, ...]
) -> Proposal | None:
    """The primitive edits that a model's edit stands for; None where it names nothing that is there."""

    def named(number: int | None) -> Principle | None:
        return shown[number - 1] if number is not None and 1 <= number <= len(shown) else None

    first, second = named(edit.principle), named(edit.other)
    text, reason = clean_sentence(edit.text), " ".join(edit.reason.split())
    index = rulebook.task.index_of(edit.label)
    edits: list[PrincipleEdit] = []
    if edit.kind == "add" and text and index is not None:
        edits = [Add(text=text, label=rulebook.task.labels[index], evidence=evidence, reason=reason)]
    elif edit.kind in ("edit", "exception") and text and first:
        edits = [Edit(id=first.id, text=text, evidence=evidence, reason=reason)]
    elif edit.kind == "delete" and first:
        edits = [Delete(id=first.id)]
    elif edit.kind == "merge" and text and first and second and first is not second and first.label == second.label:
        edits = [Edit(id=first.id, text=text, evidence=second.evidence, reason=reason), Delete(id=second.id)]
    elif edit.kind == "split" and text and first and (rest := clean_sentence(edit.second_text)):
        edits = [
            Edit(id=first.id, text=text, evidence=evidence, reason=reason),
            Add(text=rest, label=first.label, evidence=first.evidence, reason=reason),
        ]
    elif edit.kind == "reorder" and first and second and first is not second:
        edits = [Move(id=first.id, to=[p.id for p in rulebook.constitution].index(second.id))]
    return Proposal(tuple(edits), reason or edit.kind, evidence) if edits else None
