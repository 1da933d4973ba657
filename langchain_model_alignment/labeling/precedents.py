"""Precedents: labeled training rows that a rulebook shows beside its principles, and the edits of them."""

from collections.abc import Collection, Iterable, Sequence
from typing import Annotated, Literal

from pydantic import Field

from langchain_model_alignment.constitution import Add, Delete, Edit, Move, PrincipleEdit, Set, Value
from langchain_model_alignment.errors import EditError

__all__ = ["AddPrecedent", "DropPrecedent", "Precedent", "RulebookEdit", "changed", "diff", "parted"]


class Precedent(Value):
    """A training row with its right label, shown to a model as it is.

    Example:
        >>> Precedent(row="3fa9c01d77e2", text="comment: You fool", label="yes").line()
        'yes: comment: You fool'
    """

    row: str
    """The id of the training row that it is."""
    text: str
    """The row as a model is shown it."""
    label: str
    """Its right label, as text."""

    def line(self) -> str:
        """Return it in one line for a reader."""
        return f"{self.label}: {' '.join(self.text.split())}"


class AddPrecedent(Precedent):
    """Show one more row with its label, below the others."""

    op: Literal["add_precedent"] = "add_precedent"


class DropPrecedent(Value):
    """Show a row no longer."""

    op: Literal["drop_precedent"] = "drop_precedent"
    row: str


RulebookEdit = Annotated[Add | Edit | Delete | Move | Set | AddPrecedent | DropPrecedent, Field(discriminator="op")]
"""An edit of a rulebook: of its principles, or of its precedents."""


def parted(edits: Iterable[RulebookEdit]) -> tuple[list[PrincipleEdit], list[AddPrecedent | DropPrecedent]]:
    """Return the edits of principles and those of precedents, each in their order."""
    principles: list[PrincipleEdit] = []
    precedents: list[AddPrecedent | DropPrecedent] = []
    for edit in edits:
        if isinstance(edit, AddPrecedent | DropPrecedent):
            precedents.append(edit)
        else:
            principles.append(edit)
    return principles, precedents


def changed(
    precedents: Sequence[Precedent], edits: Iterable[AddPrecedent | DropPrecedent], labels: Collection[str]
) -> tuple[Precedent, ...]:
    """Return the precedents after edits of them, in order.

    Raises:
        EditError: A row is shown already, is not shown, or has a label that is none.

    Example:
        >>> cat = AddPrecedent(row="a1", text="a cat", label="yes")
        >>> [p.row for p in changed([], [cat, AddPrecedent(row="b2", text="a lamp", label="no")], {"yes", "no"})]
        ['a1', 'b2']
        >>> changed(changed([], [cat], {"yes", "no"}), [DropPrecedent(row="a1")], {"yes", "no"})
        ()
    """
    shown = {p.row: p for p in precedents}
    for edit in edits:
        if isinstance(edit, DropPrecedent):
            if shown.pop(edit.row, None) is None:
                raise EditError(f"There is no precedent {edit.row!r}; the rows shown are: {_names(shown)}.")
            continue
        if edit.label not in labels:
            raise EditError(
                f"The precedent {edit.row!r} has the label {edit.label!r}; take one of {', '.join(labels)}."
            )
        if edit.row in shown or any(p.text == edit.text for p in shown.values()):
            raise EditError(f"The row {edit.row!r} is a precedent already; a row is shown once.")
        shown[edit.row] = Precedent(row=edit.row, text=edit.text, label=edit.label)
    return tuple(shown.values())


def diff(before: Sequence[Precedent], after: Sequence[Precedent]) -> list[str]:
    """Return what changes from some precedents to others, a line each: `+` is shown now, `-` no longer.

    Example:
        >>> diff([Precedent(row="a1", text="a cat", label="yes")], [])
        ['- row a1: yes: a cat']
    """
    gone = [f"- row {p.row}: {p.line()}" for p in before if p not in after]
    return gone + [f"+ row {p.row}: {p.line()}" for p in after if p not in before]


def _names(rows: Iterable[str]) -> str:
    return ", ".join(rows) or "none"
