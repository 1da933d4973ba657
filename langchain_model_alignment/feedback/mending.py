"""What could be done about principles that are in each other's way: edits for a person to accept.

Words are only put in another's place where nothing is lost; else there is no proposal, and a person finds the words.
"""

from collections.abc import Sequence

from langchain_model_alignment.amounts import numbers_in
from langchain_model_alignment.constitution import Delete, Edit, Principle, PrincipleEdit
from langchain_model_alignment.directions import clauses_of
from langchain_model_alignment.feedback.relations import clash, rest_of
from langchain_model_alignment.wording import names_in, near_duplicate

__all__ = ["generalized", "give_way", "keeper", "merged", "replaced"]

Edits = tuple[PrincipleEdit, ...]


def keeper(principles: Sequence[Principle]) -> Principle:
    """Return the one that stays of several that say the same: one that holds always, else the first."""
    return next((p for p in principles if not p.condition), principles[0])


def merged(principles: Sequence[Principle], text: str = "") -> Edits:
    """Return the edits that make one of principles that say the same; in the words given, if they lose nothing.

    Example:
        >>> first, second = Principle(id="p1", text="Be kind."), Principle(id="p2", text="Be kind to Ann.")
        >>> [edit.op for edit in merged([first, second], "Be kind to all, and to Ann.")], merged([first, second])
        (['edit', 'delete'], ())
    """
    kept = keeper(principles)
    if kept.condition and any(p.condition != kept.condition for p in principles):
        return ()
    text = text or kept.text
    plain = text.casefold()
    for principle in principles:
        if numbers_in(principle.text) - numbers_in(text):
            return ()
        if any(name.casefold() not in plain for name in names_in(principle.text)):
            return ()
    return _in_one(kept, principles, text)


def replaced(principles: Sequence[Principle], text: str) -> Edits:
    """Return the edits that put one text in the place of principles that contradict each other."""
    return _in_one(principles[0], principles, text) if _at_the_same_times(principles) else ()


def give_way(older: Sequence[Principle], newest: Principle) -> Edits:
    """Return the edits that take out of older principles what a newer one contradicts; what they ask besides stays.

    Example:
        >>> old = Principle(id="p1", text="Use emojis and mention the price.")
        >>> give_way([old], Principle(id="p2", text="Never use emojis."))[0].text
        'Mention the price.'
    """
    if not _at_the_same_times([*older, newest]):
        return ()
    edits: list[PrincipleEdit] = []
    for old in older:
        clauses = clauses_of(old.text)
        if len(clauses) > 1 and not any(clash(clause, newest.text) for clause in clauses):
            return ()  # which part has to go, code cannot see
        rest = rest_of(old.text, newest.text)
        edits.append(Edit(id=old.id, text=rest, reason=f"gives way to {newest.id}") if rest else Delete(id=old.id))
    return tuple(edits)


def generalized(principle: Principle, text: str) -> Edits:
    """Return the edit that gives a principle more general words, if they are other words."""
    if not text or near_duplicate(text, principle.text):
        return ()
    return (Edit(id=principle.id, text=text, reason="made more general"),)


def _in_one(kept: Principle, principles: Sequence[Principle], text: str) -> Edits:
    others = [p for p in principles if p is not kept]
    evidence = tuple(dict.fromkeys(id for p in others for id in p.evidence))
    reason = f"stands for {', '.join(p.id for p in others)} too"
    return (
        Edit(id=kept.id, text=text, evidence=evidence, reason=reason),
        *(Delete(id=p.id) for p in others),
    )


def _at_the_same_times(principles: Sequence[Principle]) -> bool:
    """Whether one condition holds for all; what applies elsewhere too must not go for the sake of an exception."""
    return len({p.condition for p in principles}) == 1
