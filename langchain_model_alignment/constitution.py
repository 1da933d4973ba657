"""Principles, the primitive edits, and the immutable constitution that edits turn into the next one.

Everything that changes a prompt is one of these edits. Nothing here knows a model, a clock or a file.
"""

import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from langchain_model_alignment.errors import EditError

_ID = re.compile(r"p[1-9][0-9]{0,11}")


class Value(BaseModel):
    """An immutable plain value that round-trips through JSON and refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _stripped(text: str) -> str:
    text = text.strip()
    if not text:
        raise ValueError("a principle needs words; give it a text or delete it")
    return text


class Principle(Value):
    """One readable rule that answers must follow.

    Example:
        >>> Principle(id="p1", text="Name a creative use.").text
        'Name a creative use.'
    """

    id: str
    """Unique for ever within a constitution's history; never used again after a deletion."""
    text: str
    label: str | None = None
    """For a rulebook: the label this principle argues for, as text."""
    enabled: bool = True
    group: str | None = None
    condition: str | None = None
    """When the principle applies, such as "the user asks for a recipe"; always, when absent."""
    evidence: tuple[str, ...] = ()
    """What made it: ids of the feedback or of the examples behind it."""
    reason: str = ""
    """Why it is here, in a few words for a reader."""

    _strip = field_validator("text")(_stripped)

    def sentence(self) -> str:
        """Return the principle as it is put before a model: its condition, if any, then its text."""
        text = " ".join(self.text.split())
        return f"When {self.condition}: {text}" if self.condition else text


class Add(Value):
    """Add a principle; its id comes from the constitution's counter unless a history has fixed it."""

    op: Literal["add"] = "add"
    text: str
    label: str | None = None
    group: str | None = None
    condition: str | None = None
    evidence: tuple[str, ...] = ()
    reason: str = ""
    at: int | None = None
    """Position to insert at; the end, when absent."""
    id: str | None = None

    _strip = field_validator("text")(_stripped)


class Edit(Value):
    """Give a principle new words; what made it is added to its evidence."""

    op: Literal["edit"] = "edit"
    id: str
    text: str
    evidence: tuple[str, ...] = ()
    reason: str = ""

    _strip = field_validator("text")(_stripped)


class Delete(Value):
    """Take a principle out."""

    op: Literal["delete"] = "delete"
    id: str


class Move(Value):
    """Put a principle at another position; the first ones are obeyed most."""

    op: Literal["move"] = "move"
    id: str
    to: int


class Set(Value):
    """Set whether a principle is enabled, its group, or its condition."""

    op: Literal["set"] = "set"
    id: str
    field: Literal["enabled", "group", "condition"]
    value: bool | str | None

    @model_validator(mode="after")
    def _value_fits_field(self) -> Self:
        if (self.field == "enabled") != isinstance(self.value, bool):
            raise ValueError(f"{self.field!r} cannot be {self.value!r}; enabled takes true or false, the others text")
        return self


PrincipleEdit = Annotated[Add | Edit | Delete | Move | Set, Field(discriminator="op")]


class Constitution(Value):
    """An ordered, immutable list of principles; `apply` is the only way to the next one.

    Example:
        >>> constitution = Constitution().apply(Add(text="Be brief.")).apply(Add(text="Be kind."))
        >>> [(p.id, p.text) for p in constitution.principles]
        [('p1', 'Be brief.'), ('p2', 'Be kind.')]
        >>> constitution.apply(Delete(id="p1")).apply(Add(text="Be exact.")).principles[-1].id
        'p3'
        >>> print(constitution.render())
        - Be brief.
        - Be kind.
    """

    principles: tuple[Principle, ...] = ()
    next_number: int = Field(default=1, ge=1)
    """The counter that ids come from; it only rises."""

    @model_validator(mode="before")
    @classmethod
    def _count_what_is_there(cls, value: Any) -> Any:
        """Let the counter of a constitution written by hand begin above the ids in it."""
        principles = value.get("principles") if isinstance(value, dict) else None
        if "next_number" in (value or ()) or not isinstance(principles, list | tuple):
            return value
        ids = [p.get("id") if isinstance(p, dict) else getattr(p, "id", None) for p in principles]
        numbers = [int(id[1:]) for id in ids if isinstance(id, str) and _ID.fullmatch(id)]
        return {**value, "next_number": 1 + max(numbers, default=0)}

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        ids = [principle.id for principle in self.principles]
        if odd := [id for id in ids if not _ID.fullmatch(id)]:
            raise ValueError(f"{odd[0]!r} is not the id of a principle; ids look like p1, p2, p3")
        if len(set(ids)) != len(ids):
            raise ValueError(f"two principles share an id ({', '.join(ids)}); every id may stand once")
        if max((int(id[1:]) for id in ids), default=0) >= self.next_number:
            raise ValueError(f"the counter stands at {self.next_number}, but {', '.join(ids)} are in use")
        return self

    @classmethod
    def of(cls, *texts: str) -> Self:
        """Build a constitution from plain sentences, in order."""
        return cls().apply_all(Add(text=text) for text in texts)

    def apply(self, edit: PrincipleEdit) -> Self:
        """Return the constitution after one edit; this one stays as it is.

        Raises:
            EditError: The edit names an unknown id, reuses one, or points outside the list.
        """
        match edit:
            case Add():
                return self._add(edit)
            case Edit():
                old = self.get(edit.id)
                evidence = tuple(dict.fromkeys(old.evidence + edit.evidence))
                changes = {"text": edit.text, "evidence": evidence, "reason": edit.reason or old.reason}
                return self._replace(old, old.model_copy(update=changes))
            case Delete():
                old = self.get(edit.id)
                return self._with(p for p in self.principles if p is not old)
            case Move():
                old = self.get(edit.id)
                if not 0 <= edit.to < len(self.principles):
                    raise EditError(
                        f"Position {edit.to} is outside the list of {len(self.principles)} principles; "
                        f"give one from 0 to {len(self.principles) - 1}."
                    )
                rest = [p for p in self.principles if p is not old]
                return self._with([*rest[: edit.to], old, *rest[edit.to :]])
            case Set():
                old = self.get(edit.id)
                return self._replace(old, old.model_copy(update={edit.field: edit.value}))

    def apply_all(self, edits: Iterable[PrincipleEdit]) -> Self:
        """Return the constitution after several edits in order."""
        result = self
        for edit in edits:
            result = result.apply(edit)
        return result

    def get(self, id: str) -> Principle:
        """Return the principle with this id.

        Raises:
            EditError: No principle has it.
        """
        for principle in self.principles:
            if principle.id == id:
                return principle
        known = ", ".join(p.id for p in self.principles) or "none yet"
        raise EditError(f"There is no principle {id!r}; the ids here are: {known}.")

    def enabled(self) -> tuple[Principle, ...]:
        """Return the principles that are switched on, in order."""
        return tuple(p for p in self.principles if p.enabled)

    def render(self) -> str:
        """Return the enabled principles as a list, one line each."""
        return "\n".join(f"- {p.sentence()}" for p in self.enabled())

    def diff(self, other: "Constitution") -> list[str]:
        r"""Return what changes from this constitution to the other, a line each.

        `+` is added, `-` gone, and `~` reworded, switched on or off, moved, or given another condition, label or group.

        Example:
            >>> old = Constitution.of("Be brief.", "Be kind.")
            >>> edits = [Move(id="p2", to=0), Set(id="p1", field="group", value="tone"), Add(text="Rhyme.")]
            >>> print("\n".join(old.diff(old.apply_all(edits))))
            ~ p2: moved to place 1
            ~ p1: group tone
            + p3: Rhyme.
        """
        mine = {p.id: p for p in self.principles}
        theirs = {p.id for p in other.principles}
        lines = [f"- {p.id}: {p.sentence()}" for p in self.principles if p.id not in theirs]
        # Places are compared among those that stayed: whatever keeps its order beside the others was not moved.
        here, there = [id for id in mine if id in theirs], [p.id for p in other.principles if p.id in mine]
        matcher = difflib.SequenceMatcher(None, here, there, autojunk=False)
        still = {id for at, _, size in matcher.get_matching_blocks() for id in here[at : at + size]}
        for place, principle in enumerate(other.principles, 1):
            id = principle.id
            if id not in mine:
                lines.append(f"+ {id}: {principle.sentence()}")
                continue
            lines += [f"~ {id}: {change}" for change in _changes(mine[id], principle)]
            if id not in still:
                lines.append(f"~ {id}: moved to place {place}")
        return lines

    def fingerprint(self) -> str:
        """Return a hash of what a model is shown: label, text, condition and order; never ids, reasons or evidence."""
        shown = [[p.label, p.text, p.enabled, p.condition] for p in self.principles]
        return digest(shown)

    def __iter__(self) -> Iterator[Principle]:  # type: ignore[override]  # principles, not pydantic's field pairs
        return iter(self.principles)

    def __len__(self) -> int:
        return len(self.principles)

    def _add(self, edit: Add) -> Self:
        id = edit.id or f"p{self.next_number}"
        number = id_number(id)
        if edit.id is not None and number < self.next_number:
            raise EditError(f"The id {id!r} was used before; ids are never used again, so leave it out.")
        at = len(self.principles) if edit.at is None else edit.at
        if not 0 <= at <= len(self.principles):
            raise EditError(f"Position {at} is outside the list of {len(self.principles)} principles.")
        principle = Principle(id=id, **edit.model_dump(exclude={"op", "at", "id"}))
        return self._with([*self.principles[:at], principle, *self.principles[at:]], next_number=number + 1)

    def _replace(self, old: Principle, new: Principle) -> Self:
        return self._with(new if p is old else p for p in self.principles)

    def _with(self, principles: Iterable[Principle], next_number: int | None = None) -> Self:
        return type(self)(principles=tuple(principles), next_number=next_number or self.next_number)


def _changes(old: Principle, new: Principle) -> list[str]:
    """Return what is different about a principle, in words."""
    changes: list[str] = []
    if old.text != new.text:
        changes.append(f"{old.sentence()} -> {new.sentence()}")
    elif old.condition != new.condition:
        changes.append(f"when {new.condition}" if new.condition else "no condition")
    if old.label != new.label:
        changes.append(f"speaks for {new.label}" if new.label else "speaks for no label")
    if old.group != new.group:
        changes.append(f"group {new.group}" if new.group else "no group")
    if old.enabled != new.enabled:
        changes.append(f"switched {'on' if new.enabled else 'off'}")
    return changes


def id_number(id: str) -> int:
    """Return the number in a principle's id.

    Raises:
        EditError: The id is not a `p` and a number.
    """
    if not _ID.fullmatch(id):
        raise EditError(f"{id!r} is not the id of a principle; ids look like p1, p2, p3.")
    return int(id[1:])


def digest(value: Any) -> str:
    """Return a short stable hash of a JSON value."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
