"""Text in pieces to be shown: what was added, what was taken out, and the variables in between."""

import re
from collections.abc import Collection, Iterator
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

from langchain_model_alignment.literals import VARIABLE

__all__ = ["Piece", "marked_changes", "marked_variables"]

_WORDS = re.compile(r"\{[^\W\d]\w*\}|\w+|\s+|[^\w\s]")
_LINES = re.compile(r"[^\n]*\n|[^\n]+")
_LONG = 30_000  # characters; a longer prompt is compared line by line, which takes no time that one notices


class Piece(NamedTuple):
    """A piece of text, and what it is."""

    text: str
    kind: Literal["same", "added", "gone", "variable"]


def marked_variables(text: str, names: Collection[str]) -> list[Piece]:
    """Return a text in pieces, its variables apart.

    Example:
        >>> [piece.text for piece in marked_variables("Sum up {text} as {json}.", ["text"])]
        ['Sum up ', '{text}', ' as {json}.']
    """
    return [piece for piece in _apart(text, names) if piece.text]


def marked_changes(before: str, after: str, names: Collection[str] = ()) -> list[Piece]:
    """Return what became of a text, word by word.

    Example:
        >>> [tuple(piece) for piece in marked_changes("Be brief.", "Be very kind.")]
        [('Be ', 'same'), ('brief', 'gone'), ('very kind', 'added'), ('.', 'same')]
    """
    split = _WORDS if len(before) + len(after) < _LONG else _LINES
    old, new = split.findall(before), split.findall(after)
    pieces: list[Piece] = []
    for change, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if change == "equal":
            pieces += _apart("".join(old[i:j]), names)
        else:
            added = "".join(new[k:m])
            blank, rest = added[: len(added) - len(added.lstrip())], added.lstrip()  # no mark on an empty line
            pieces += [Piece("".join(old[i:j]), "gone"), Piece(blank, "same"), Piece(rest, "added")]
    return [piece for piece in pieces if piece.text]


def _apart(text: str, names: Collection[str]) -> Iterator[Piece]:
    end = 0
    for found in VARIABLE.finditer(text):
        if found[1] in names:
            yield Piece(text[end : found.start()], "same")
            yield Piece(found[0], "variable")
            end = found.end()
    yield Piece(text[end:], "same")
