"""Where principles get in each other's way: what code sees of it, and what a model told, checked.

Each finding proposes edits that a person may accept; a proposal that does not apply is left out, the finding stays.
"""

import json
import re
from collections.abc import Collection, Iterable, Sequence
from itertools import combinations
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from langchain_model_alignment.amounts import limits_in, numbers_in
from langchain_model_alignment.constitution import Constitution, Principle, PrincipleEdit, Set, id_number
from langchain_model_alignment.errors import EditError
from langchain_model_alignment.feedback.check_instructions import only_where
from langchain_model_alignment.feedback.exchanges import Exchange, Record
from langchain_model_alignment.feedback.mending import Edits, generalized, give_way, keeper, merged, replaced
from langchain_model_alignment.feedback.relations import clash
from langchain_model_alignment.wording import clean_sentence, names_in, near_duplicate

__all__ = [
    "Conflict",
    "ConflictKind",
    "Told",
    "ToldConflict",
    "ToldConflicts",
    "by_age",
    "conflict",
    "made_from_one",
    "seen_conflicts",
    "told_conflicts",
    "too_specific",
    "touches",
    "unresolved",
]

ConflictKind = Literal["contradiction", "duplicate", "too_specific"]

_WHY: dict[ConflictKind, str] = {
    "contradiction": "No answer can follow both.",
    "duplicate": "They ask for the same.",
    "too_specific": "It names what only the example it was made from has.",
}
# What holds in a case or for a part of the answer only: whether it stands against another, code cannot see.
_PARTLY = re.compile(
    r"\b(?:if|when|whenever|unless|except|only|where|once|twice|again|each|every|per|title|headline|heading|subject|"
    r"wenn|falls|außer|nur|pro|jede\w*|titel|si|cuando|salvo|solo|sólo|cada|título|sauf|quand|chaque|titre)\b"
    r"|如果|除非|只有|每|标题",
    re.IGNORECASE,
)
_NEW = "new"  # what a model calls the principle that has no id yet


class Conflict(Record):
    """A finding on principles, with what could be done about it: `constitution.apply_all(conflict.edits)`."""

    kind: ConflictKind = Field(description="What is wrong: they contradict, they say the same, or one fits one example")
    ids: tuple[str, ...] = Field(description="The principles that it is about, in their order")
    why: str = Field(description="What is wrong, in one sentence")
    edits: tuple[PrincipleEdit, ...] = Field(
        default=(), description="What would mend it, for a person to accept; nothing where a person must find the words"
    )


# Many a model says null for a text that may be empty.
Told = Annotated[str, BeforeValidator(lambda value: "" if value is None else value, json_schema_input_type=str)]


class ToldConflict(BaseModel):
    """A conflict between principles, as a model tells it."""

    kind: ConflictKind
    ids: list[str] = Field(description="the ids of the principles")
    why: Told = Field(default="", description="why, in one short sentence")
    text: Told = Field(default="", description="one principle to stand in the place of all of them; may be empty")


def _readable(value: Any) -> list[Any]:
    """The items that can be read: an odd one must not cost the decision that it comes with."""

    def fits(item: Any) -> bool:
        try:
            ToldConflict.model_validate(item)
        except ValidationError:
            return False
        return True

    return [item for item in value if fits(item)] if isinstance(value, list) else []


ToldConflicts = Annotated[list[ToldConflict], BeforeValidator(_readable)]


def conflict(
    constitution: Constitution, kind: ConflictKind, principles: Iterable[Principle], edits: Edits, why: str = ""
) -> Conflict:
    """Return a finding, with its edits where they apply to the constitution."""
    try:
        constitution.apply_all(edits)
    except EditError:
        edits = ()
    about = {p.id for p in principles}
    ids = tuple(p.id for p in constitution if p.id in about)
    return Conflict(kind=kind, ids=ids, why=why or _WHY[kind], edits=edits)


def seen_conflicts(constitution: Constitution, new: Collection[str] | None = None) -> list[Conflict]:
    """Return the duplicates and contradictions that code sees.

    Args:
        constitution: The principles.
        new: Only what touches these ids counts; everything, when absent.

    Example:
        >>> for found in seen_conflicts(Constitution.of("Use emojis.", "Be kind.", "Never use emojis.", "Be kind!")):
        ...     print(found.kind, *found.ids, [(edit.op, edit.id) for edit in found.edits])
        duplicate p2 p4 [('edit', 'p2'), ('delete', 'p4')]
        contradiction p1 p3 [('delete', 'p1')]
    """
    found: list[Conflict] = []
    left = list(constitution.enabled())
    for first in constitution.enabled():
        if first not in left:
            continue
        same = [first, *(p for p in left if p is not first and touches((first, p), new) and _repeats(first, p))]
        if len(same) == 1:
            continue
        found.append(conflict(constitution, "duplicate", same, merged(same)))
        left = [p for p in left if p not in same or p is keeper(same)]
    for pair in combinations(left, 2):
        older, newer = by_age(pair, new)
        if touches(pair, new) and _always_meet(older, newer) and clash(older.text, newer.text):
            found.append(conflict(constitution, "contradiction", pair, give_way([older], newer)))
    return found


def told_conflicts(
    constitution: Constitution,
    told: Iterable[ToldConflict],
    known: Sequence[Conflict] = (),
    new: Collection[str] | None = None,
) -> list[Conflict]:
    """Return the conflicts that a model told, where they are about principles that are there and not known already.

    Args:
        constitution: The principles.
        told: What the model said.
        known: What was found before.
        new: Only what touches these ids counts; everything, when absent. A model may call a single one "new".
    """
    found: list[Conflict] = []
    for item in told:
        named = {id.strip() for id in item.ids}
        if _NEW in named and new is not None and len(new) == 1:
            named |= set(new)
        principles = [p for p in constitution.enabled() if p.id in named]
        single = item.kind == "too_specific"
        if (len(principles) != 1 if single else len(principles) < 2) or not touches(principles, new):
            continue
        ids = {p.id for p in principles}
        if any((c.kind == "too_specific") == single and ids <= set(c.ids) for c in (*known, *found)):
            continue
        edits = _mended(item.kind, by_age(principles, new), clean_sentence(item.text))
        found.append(conflict(constitution, item.kind, principles, edits, " ".join(item.why.split())))
    return found


def unresolved(
    before: Constitution, edits: Sequence[PrincipleEdit], told: Iterable[ToldConflict] = ()
) -> tuple[Conflict, ...]:
    """Return the conflicts of what edits write with what they leave: those that code sees, then those a model told.

    Example:
        >>> from langchain_model_alignment.constitution import Add, Edit
        >>> emojis = Constitution.of("Use emojis.")
        >>> [found.ids for found in unresolved(emojis, [Add(text="Never use emojis.")])]
        [('p1', 'p2')]
        >>> unresolved(emojis, [Edit(id="p1", text="Never use emojis.")])
        ()
    """
    after = before.apply_all(edits)
    old = {p.id: p.text for p in before}
    new = [p.id for p in after if old.get(p.id) != p.text]
    seen = seen_conflicts(after, new) if new else []
    return (*seen, *told_conflicts(after, told, seen, new))


def too_specific(
    constitution: Constitution, exchanges: Sequence[Exchange], new: Collection[str] | None = None
) -> list[Conflict]:
    """Return the principles made from one exchange that name what only the inputs of that one have.

    Example:
        >>> from langchain_model_alignment.constitution import Add
        >>> made = Constitution().apply(Add(text="List shops in Oslo.", evidence=("e1.f1",)))
        >>> asked = [Exchange(id="e1", inputs={"city": "Oslo"}), Exchange(id="e2", inputs={"city": "Rome"})]
        >>> too_specific(made, asked)[0].edits[0].value
        'the city is Oslo'
    """
    found: list[Conflict] = []
    for principle, exchange in made_from_one(constitution, exchanges):
        elsewhere = [v for e in exchanges if e.id != exchange.id for v in e.inputs.values()]
        own = {
            term: name
            for term in sorted(_particulars(principle))
            for name, value in exchange.inputs.items()
            if _holds(value, term) and not any(_holds(other, term) for other in elsewhere)
        }
        if own and touches([principle], new):
            term, name = max(own.items(), key=lambda item: len(item[0]))
            whole = _text(exchange.inputs[name]).strip().casefold() == term.casefold()
            narrow = Set(id=principle.id, field="condition", value=only_where(name, term, whole=whole))
            why = f"{_WHY['too_specific'][:-1]}: {', '.join(f'“{term}”' for term in own)}."
            found.append(
                conflict(constitution, "too_specific", [principle], () if principle.condition else (narrow,), why)
            )
    return found


def made_from_one(constitution: Constitution, exchanges: Sequence[Exchange]) -> list[tuple[Principle, Exchange]]:
    """Return the enabled principles whose evidence is one of these exchanges and nothing else."""
    known = {e.id: e for e in exchanges}
    pairs = []
    for principle in constitution.enabled():
        behind = {id.rsplit(".f", 1)[0] for id in principle.evidence}
        if len(behind) == 1 and (exchange := known.get(behind.pop())):
            pairs.append((principle, exchange))
    return pairs


def by_age(principles: Iterable[Principle], new: Collection[str] | None = None) -> list[Principle]:
    """Return principles with the newest last: ids only rise, and what was just written is newer than all others."""
    return sorted(principles, key=lambda p: (p.id in (new or ()), id_number(p.id)))


def touches(principles: Iterable[Principle], new: Collection[str] | None) -> bool:
    """Return whether one of these principles is new, where only new ones count."""
    return new is None or any(p.id in new for p in principles)


def _mended(kind: ConflictKind, principles: Sequence[Principle], text: str) -> Edits:
    if kind == "too_specific":
        return generalized(principles[0], text)
    if kind == "duplicate":
        return merged(principles, text)
    return replaced(principles, text) if text else give_way(principles[:-1], principles[-1])


def _repeats(a: Principle, b: Principle) -> bool:
    """Whether two say the same at the same times, or one of them says it always."""
    always = not a.condition or not b.condition
    return a.label == b.label and (always or a.condition == b.condition) and near_duplicate(a.text, b.text)


def _always_meet(a: Principle, b: Principle) -> bool:
    """Whether two hold for the same answers, and for the whole of them."""
    partly = _PARTLY.search(a.text) or _PARTLY.search(b.text)
    return a.label == b.label and a.condition == b.condition and not partly


def _particulars(principle: Principle) -> set[str]:
    """The names and numbers that may belong to one example: no limits, no small numbers, no variables."""
    numbers = numbers_in(principle.text) - limits_in(principle.text).keys()
    names = {name for name in names_in(principle.text) if not name.startswith("{")}
    condition = (principle.condition or "").casefold()
    return {t for t in names | {n for n in numbers if len(n) > 1} if t.casefold() not in condition}


def _holds(value: Any, term: str) -> bool:
    text = _text(value)
    return term in numbers_in(text) or bool(re.search(rf"(?<!\w){re.escape(term)}(?!\w)", text, re.IGNORECASE))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
