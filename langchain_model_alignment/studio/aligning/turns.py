"""Back and forth in the history by whole turns: what a person did, and all that the model made of it."""

from langchain_model_alignment.constitution import Edit
from langchain_model_alignment.history import History, Revision, TemplateEdit

__all__ = ["turn_after", "turn_before"]


def turn_before(history: History) -> str | None:
    """Return the revision at which the turn began that the head stands in; nothing for the root.

    Example:
        >>> from langchain_model_alignment.constitution import Add
        >>> from langchain_model_alignment.templates import Template
        >>> woven = TemplateEdit(template=Template.of("Sum up. Be brief."), woven=())
        >>> history = History().commit([Add(text="Be brief.")]).commit([Add(text="Be exact.")]).commit([woven])
        >>> history.head, turn_before(history)
        ('r3', 'r1')
    """
    head = history.head
    while head is not None:
        revision = history.get(head)
        head = revision.parent
        if not _follows(revision):
            break
    return head


def turn_after(history: History) -> str | None:
    """Return the revision at which the newest turn ended that was begun at the head; the head, where there is none.

    Example:
        >>> from langchain_model_alignment.constitution import Add
        >>> from langchain_model_alignment.templates import Template
        >>> woven = TemplateEdit(template=Template.of("Sum up. Be brief."), woven=())
        >>> history = History().commit([Add(text="Be brief.")]).commit([woven]).rewind(None)
        >>> turn_after(history)
        'r2'
    """
    head = history.head
    while found := [r for r in history.revisions if r.parent == head and (head == history.head or _follows(r))]:
        head = found[-1].id
    return head


def _follows(revision: Revision) -> bool:
    """Whether a revision only carries out the one before it: it writes principles into the prompt, or mends them."""
    edits = revision.edits
    woven = bool(edits) and all(isinstance(edit, TemplateEdit) and edit.woven is not None for edit in edits)
    # What somebody said may have been put into words in a second try too; it has the exchange as its evidence.
    mends = all(isinstance(edit, TemplateEdit) or (isinstance(edit, Edit) and not edit.evidence) for edit in edits)
    return woven or (revision.author == "repair" and mends)
