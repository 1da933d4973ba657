"""The proposer for strong models: a group of alike mistakes is one structured call that proposes edits."""

import re
from collections.abc import Sequence
from typing import Literal

from langchain_core.runnables import RunnableConfig
from pydantic import BaseModel

from langchain_model_alignment.calls import Caller
from langchain_model_alignment.constitution import Add, Delete, Edit, Move, Principle, PrincipleEdit
from langchain_model_alignment.labeling import instructions
from langchain_model_alignment.labeling.classifier import Labeled
from langchain_model_alignment.labeling.proposers import Mined, Proposal, Proposals, name_of, settled
from langchain_model_alignment.labeling.rulebook import Evidence, Rulebook
from langchain_model_alignment.labeling.task import Row
from langchain_model_alignment.structured import ask_structured
from langchain_model_alignment.wording import clean_sentence

__all__ = ["ReflectiveProposer", "group_mistakes", "nearby"]

_GROUP = 4  # mistakes seen together (ProTeGi, 2305.03495, section 3)
_ENOUGH = 3  # mistakes for each group, so that candidates can be told apart by them
_NEAR = 4  # rows labeled rightly that are shown beside them


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
        results, failed = await settled([self._reflect(rulebook, g, mined.right, each, config) for g in chosen])
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
            instructions.wrong_row(row.text, name_of(task.labels, row.label), name_of(task.labels, f.label) or f.raw)
            for row, f in group
        ]
        near = [instructions.right_row(r.text, name_of(task.labels, r.label)) for r in nearby(group, right)]
        messages = instructions.reflect(task.question, task.labels, records, wrong, near, each)
        answer = await ask_structured(self._caller, messages, ProposedEdits, config=config)
        evidence = tuple(row.id for row, _ in group)
        found = [_as_proposal(edit, rulebook, shown, evidence) for edit in answer.edits[:each]]
        return [proposal for proposal in found if proposal is not None]


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


def _record(evidence: Evidence | None) -> tuple[int, int]:
    return (evidence.decided, evidence.right) if evidence else (0, 0)


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
