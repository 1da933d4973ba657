"""The history of a prompt: a document, revisions of it, and the way back.

A `Document` is the prompt as it stands: the person's own text, that text with principles woven in, and the
constitution. A `History` is a tree of revisions with a head. Undo, redo and rewind move the head; a revision made
after an undo is a new branch. Nothing that was ever committed is lost.
"""

import difflib
import re
from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from langchain_model_alignment.constitution import (
    Add,
    Constitution,
    Principle,
    PrincipleEdit,
    Value,
    digest,
    id_number,
)
from langchain_model_alignment.errors import EditError
from langchain_model_alignment.templates import Template


class TemplateEdit(Value):
    """Change the text of the prompt itself.

    With `woven` unset the template is the person's own new text. With `woven` set it is that text rewritten so
    that it says those principles, named by `principle_key`.
    """

    op: Literal["template"] = "template"
    template: Template
    woven: tuple[str, ...] | None = None


AnyEdit = Annotated[PrincipleEdit | TemplateEdit, Field(discriminator="op")]


def principle_key(principle: Principle) -> str:
    """Return what tells whether a principle is still the one that was woven in: its id and a hash of its words."""
    return f"{principle.id}:{digest(principle.sentence())}"


class Document(Value):
    """A prompt as it stands after some revision.

    Example:
        >>> document = Document(base=Template.of("Sum up {text}."), constitution=Constitution.of("Be brief."))
        >>> document.description.text, [p.text for p in document.loose]
        ('Sum up {text}.', ['Be brief.'])
    """

    base: Template = Template()
    woven: Template | None = None
    woven_keys: tuple[str, ...] = ()
    constitution: Constitution = Constitution()

    def _weave_holds(self) -> bool:
        current = {principle_key(p) for p in self.constitution.enabled()}
        return self.woven is not None and current.issuperset(self.woven_keys)

    @property
    def description(self) -> Template:
        """The text to send: with principles woven in, as long as all of those still stand as they were."""
        return self.woven if self.woven is not None and self._weave_holds() else self.base

    @property
    def loose(self) -> tuple[Principle, ...]:
        """The enabled principles that the description does not say yet; they are listed below it."""
        said = self.woven_keys if self._weave_holds() else ()
        return tuple(p for p in self.constitution.enabled() if principle_key(p) not in said)

    def apply(self, edit: AnyEdit) -> Self:
        """Return the document after one edit.

        Raises:
            EditError: The constitution refuses the edit, or a rewritten text has other variables than the person's.
        """
        if not isinstance(edit, TemplateEdit):
            return self.model_copy(update={"constitution": self.constitution.apply(edit)})
        if edit.woven is None:
            return self.model_copy(update={"base": edit.template, "woven": None, "woven_keys": ()})
        if odd := set(edit.template.variables) ^ set(self.base.variables):
            names = ", ".join(f"{{{name}}}" for name in sorted(odd))
            raise EditError(f"The rewritten text drops or invents {names}; keep the prompt's variables as they are.")
        return self.model_copy(update={"woven": edit.template, "woven_keys": edit.woven})

    def diff(self, other: "Document") -> list[str]:
        r"""Return what changes from this document to the other: lines of its text, then the principles.

        Example:
            >>> old = Document(base=Template.of("Sum up {text}.\nUse German."))
            >>> old.diff(Document(base=Template.of("Sum up {text}."), constitution=Constitution.of("Be brief.")))
            ['- Use German.', '+ p1: Be brief.']
        """
        mine, theirs = self.description.text.splitlines(), other.description.text.splitlines()
        compared = list(difflib.unified_diff(mine, theirs, n=0, lineterm=""))[2:]  # the first two name files
        text = [f"{line[0]} {line[1:]}" for line in compared if not line.startswith("@@")]
        return text + self.constitution.diff(other.constitution)

    def fingerprint(self) -> str:
        """Return a hash of everything a model could be shown."""
        return digest([self.base.model_dump(mode="json"), self.constitution.fingerprint()])


class Revision(Value):
    """One or more edits made for one reason."""

    id: str
    parent: str | None
    edits: tuple[AnyEdit, ...]
    reason: str = ""
    author: str = ""
    time: str = ""
    """When, as an ISO 8601 text given by whoever commits; the history itself reads no clock."""


class History(Value):
    """A tree of revisions with a head; every method returns a new history.

    Example:
        >>> history = History().commit([Add(text="Be brief.")], reason="too long")
        >>> history.document.constitution.render()
        '- Be brief.'
        >>> history.undo().document.constitution.render()
        ''
        >>> history.undo().redo() == history
        True
    """

    root: Document = Document()
    revisions: tuple[Revision, ...] = ()
    head: str | None = None
    """The id of the revision the prompt stands at; nothing at the root."""

    @model_validator(mode="after")
    def _tree_is_sound(self) -> Self:
        known: set[str | None] = {None}
        for number, revision in enumerate(self.revisions, 1):
            if revision.id != f"r{number}" or revision.parent not in known:
                raise ValueError(f"revision {number} of the history has a wrong id or parent")
            known.add(revision.id)
        if self.head not in known:
            raise ValueError(f"the history stands at {self.head!r}, which it does not have")
        added = [e.id for r in self.revisions for e in r.edits if isinstance(e, Add)]
        taken = [p.id for p in self.root.constitution]
        if None in added or len({*added, *taken}) != len(added) + len(taken):
            raise ValueError("the history gives one id to two principles, or none to one")
        try:
            for tip in self.branches():
                self.at(tip)
        except EditError as error:
            raise ValueError(f"an edit in the history cannot be made: {error}") from error
        return self

    @property
    def document(self) -> Document:
        """The document at the head."""
        return self.at(self.head)

    def at(self, revision: str | None) -> Document:
        """Return the document as it stood after a revision; after nothing at all, the root.

        Raises:
            EditError: There is no such revision.
        """
        document = self.root
        for step in self.path(revision):
            for edit in step.edits:
                document = document.apply(edit)
        return document

    def path(self, revision: str | None) -> list[Revision]:
        """Return the revisions from the root to this one, in order."""
        steps: list[Revision] = []
        while revision is not None:
            step = self.get(revision)
            steps.append(step)
            revision = step.parent
        return steps[::-1]

    def get(self, revision: str) -> Revision:
        """Return the revision with this id.

        Raises:
            EditError: There is none.
        """
        index = int(revision[1:]) - 1 if re.fullmatch(r"r[1-9][0-9]{0,11}", revision) else -1
        if 0 <= index < len(self.revisions):
            return self.revisions[index]
        raise EditError(f"There is no revision {revision!r}; this history has r1 to r{len(self.revisions)}.")

    def commit(self, edits: Iterable[AnyEdit], *, reason: str = "", author: str = "", time: str = "") -> Self:
        """Return the history with one more revision at its head.

        Raises:
            EditError: An edit cannot be applied; nothing is kept then.
        """
        document, fixed = self.document, []
        number = self._next_number()
        for edit in edits:
            if isinstance(edit, Add):
                # An id once given on another branch stays taken, so the counter is the whole history's.
                if edit.id is not None and id_number(edit.id) < number:
                    raise EditError(f"The id {edit.id!r} was used before; ids are never used again, so leave it out.")
                edit = edit.model_copy(update={"id": edit.id or f"p{number}"})
            document = document.apply(edit)
            number = max(number, document.constitution.next_number)
            fixed.append(edit)
        revision = Revision(
            id=f"r{len(self.revisions) + 1}",
            parent=self.head,
            edits=tuple(fixed),
            reason=reason,
            author=author,
            time=time,
        )
        return self.model_copy(update={"revisions": (*self.revisions, revision), "head": revision.id})

    def undo(self) -> Self:
        """Return the history with its head one revision earlier.

        Raises:
            EditError: The head is at the root already.
        """
        if self.head is None:
            raise EditError("There is nothing to undo; the prompt stands as it began.")
        return self.model_copy(update={"head": self.get(self.head).parent})

    def redo(self) -> Self:
        """Return the history with its head at the newest revision made after this one.

        Raises:
            EditError: Nothing was made after the head.
        """
        children = [r for r in self.revisions if r.parent == self.head]
        if not children:
            raise EditError("There is nothing to redo; the prompt stands at its newest revision.")
        return self.model_copy(update={"head": children[-1].id})

    def rewind(self, revision: str | None) -> Self:
        """Return the history with its head at any revision, or at the root.

        Raises:
            EditError: There is no such revision.
        """
        if revision is not None:
            self.get(revision)
        return self.model_copy(update={"head": revision})

    def diff(self, a: str | None, b: str | None) -> list[str]:
        """Return what changes from one revision to another, a line each; without an id, the root is meant.

        Raises:
            EditError: There is no such revision.
        """
        return self.at(a).diff(self.at(b))

    def tree(self) -> str:
        """Return the revisions as a text that shows the branches, a line each, with a star at the head.

        What goes on below its predecessor stands in one column; a branch that was left is indented.

        Example:
            >>> history = History().commit([Add(text="Be brief.")], reason="too long", author="Ann")
            >>> history = history.undo().commit([Add(text="Be exact.")], reason="too vague")
            >>> print(history.tree())
              the beginning
                r1  too long  (Ann)
            * r2  too vague
        """
        children: dict[str | None, list[Revision]] = {}
        for revision in self.revisions:
            children.setdefault(revision.parent, []).append(revision)
        lines = [f"{' ' if self.head else '*'} the beginning"]
        ahead = _with_depth(children.get(None, []), 0)
        while ahead:  # a loop, since a history may be longer than Python recurses
            revision, depth = ahead.pop()
            told = ", ".join(filter(None, (revision.author, revision.time)))
            words = [revision.id, " ".join(revision.reason.split()), f"({told})" if told else ""]
            mark = "*" if revision.id == self.head else " "
            lines.append(f"{mark} {'  ' * depth}{'  '.join(filter(None, words))}")
            ahead += _with_depth(children.get(revision.id, []), depth)
        return "\n".join(lines)

    def branches(self) -> list[str]:
        """Return the ids of the revisions that nothing was made after: the tips of the tree."""
        parents = {r.parent for r in self.revisions}
        return [r.id for r in self.revisions if r.id not in parents]

    def _next_number(self) -> int:
        # Numbers only rise along every branch, so the highest over all additions is the whole history's.
        added = (edit for revision in self.revisions for edit in revision.edits if isinstance(edit, Add) and edit.id)
        return max([self.root.constitution.next_number, *(id_number(str(edit.id)) + 1 for edit in added)])


def _with_depth(children: list[Revision], depth: int) -> list[tuple[Revision, int]]:
    """Return a revision's children as they are to be taken from the end of a list: the newest, which goes on, last."""
    return [(child, depth if child is children[-1] else depth + 1) for child in reversed(children)]
