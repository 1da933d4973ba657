"""Text in pieces to be shown: what was added, what was taken out, and the variables in between."""

import re
from collections.abc import Collection, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

from langchain_model_alignment.literals import VARIABLE

__all__ = ["Piece", "marked_changes", "marked_variables"]

_WORDS = re.compile(r"\{[^\W\d]\w*\}|\w+|\s+|[^\w\s]")
_LINES = re.compile(r"[^\n]*\n|[^\n]+")
_LONG = 8_000  # characters; more that changed at one place is not compared by words, which would take its time


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
    """Return what became of a text: word by word, in the lines that changed.

    Example:
        >>> [tuple(piece) for piece in marked_changes("Be brief.", "Be very kind.")]
        [('Be ', 'same'), ('brief', 'gone'), ('very kind', 'added'), ('.', 'same')]
    """
    pieces: list[Piece] = []
    for was, now in _compared(_LINES.findall(before), _LINES.findall(after)):
        split = was != now and len(was) + len(now) < _LONG
        for old, new in _compared(_WORDS.findall(was), _WORDS.findall(now)) if split else [(was, now)]:
            if old == new:
                pieces += _apart(old, names)
            else:
                blank, rest = new[: len(new) - len(new.lstrip())], new.lstrip()  # no mark on an empty line
                pieces += [Piece(old, "gone"), Piece(blank, "same"), Piece(rest, "added")]
    return [piece for piece in pieces if piece.text]


def _compared(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield what became of what, in order; a pair of equals is what stayed."""
    for _, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        yield "".join(old[i:j]), "".join(new[k:m])


def _apart(text: str, names: Collection[str]) -> Iterator[Piece]:
    end = 0
    for found in VARIABLE.finditer(text):
        if found[1] in names:
            yield Piece(text[end : found.start()], "same")
            yield Piece(found[0], "variable")
            end = found.end()
    yield Piece(text[end:], "same")
