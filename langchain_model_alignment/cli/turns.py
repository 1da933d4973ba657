"""What a person types in the feedback loop, read as a turn."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

HELP = """Say what is wrong with the answer, and it becomes a principle. Or:
  1 to 6         take a suggestion
  c TEXT         critique: what should change
  k TEXT         kudos: what should stay
  r              rewrite the answer yourself
  s 2/5 TEXT     score the answer, and say why
  b 2 TEXT       the same about answer 2, where there are several
  w 2 TEXT       answer 2 is the better one, and why; without TEXT, you choose from guesses
  e p1 TEXT      reword a principle
  d p1           delete a principle
  on p1, off p1  switch a principle on or off
  x              look for principles that conflict; x 1 takes the first proposal
  u, redo, to r1 undo, redo, or go to a revision
  i name=value   answer another input
  t TEXT         say something more, as in a conversation
  back e1        go back to an earlier exchange
  a              answer again
  p              show the prompt and its principles
  h              show the history
  f              show how often principles were followed
  q              accept and leave
  ?              this help"""


@dataclass(frozen=True)
class Turn:
    """What a line amounts to: a review to resume the graph with, or something to show."""

    review: dict[str, Any] | None = None
    show: str = ""
    proposal: int | None = None
    """Which proposed edit of conflicting principles is taken, from 1."""


_ALONE = {
    "q": Turn(review={"action": "accept"}),
    "a": Turn(review={"action": "again"}),
    "u": Turn(review={"action": "undo"}),
    "redo": Turn(review={"action": "redo"}),
    "p": Turn(show="prompt"),
    "h": Turn(show="history"),
    "f": Turn(show="followed"),
    "x": Turn(show="conflicts"),
    "?": Turn(show="help"),
}
_SAME = {"quit": "q", "exit": "q", "help": "?", "accept": "q", "again": "a", "undo": "u"}
_SCORE = re.compile(r"(\d+(?:\.\d+)?)(?:/([1-9]\d*))?")
_KINDS = {"c": "critique", "k": "kudos", "r": "rewrite"}
_INCOMPLETE = {
    "c": "c and your critique",
    "k": "k and your kudos",
    "b": "b, the number of an answer, and your feedback, as in: b 2 too long",
    "i": "i name=value",
    "s": "s, a score and why, as in: s 2/5 too long",
    "w": "w, the number of the better answer, and why if you like, as in: w 2 it is shorter",
    "t": "t and what you would say next",
    "to": "to and a revision, as in: to r2",
    "back": "back and an exchange, as in: back e1",
    "e": "e, a principle's id and its new words, as in: e p1 Be brief.",
    "d": "d and a principle's id, as in: d p1",
    "on": "on and a principle's id, as in: on p1",
    "off": "off and a principle's id, as in: off p1",
}


def read_turn(line: str, suggestions: Sequence[str], read_more: Callable[[], str]) -> Turn:
    """Read a line typed by a person.

    Args:
        line: The line.
        suggestions: What the numbers stand for, as lines of the same kind.
        read_more: Reads a rewritten answer of several lines.

    Raises:
        ValueError: The line means nothing; the message says what would.

    Example:
        >>> read_turn("too long", [], lambda: "").review
        {'action': 'critique', 'text': 'too long'}
        >>> read_turn("2", ["c Too long.", "k Very clear."], lambda: "").review
        {'action': 'kudos', 'text': 'Very clear.'}
        >>> read_turn("d p1", [], lambda: "").review
        {'action': 'edit', 'edits': [{'op': 'delete', 'id': 'p1'}]}
    """
    line = line.strip()
    if not line:
        raise ValueError("Type some feedback, a number, or ? for help.")
    if line.isdecimal():
        number = int(line)
        if not 1 <= number <= len(suggestions):
            raise ValueError(f"There is no suggestion {number}; type your own feedback, or ? for help.")
        line = suggestions[number - 1]
    word, _, rest = line.partition(" ")
    rest = rest.strip()
    if not rest or _starts_with_id(rest):  # "C code is missing" is a sentence; "Q" and "D p1" are commands
        word = word.lower()
        word = word if rest else _SAME.get(word, word)
    if word == "r" and not rest:
        return Turn(review={"action": "rewrite", "text": read_more()})
    if not rest and word in _ALONE:
        return _ALONE[word]
    if word == "b":
        return _about(rest, suggestions, read_more)
    if turn := _other(word, rest):
        return turn
    name, equals, value = rest.partition("=")
    if word == "i" and equals and name.strip().isidentifier():
        return Turn(review={"action": "again", "inputs": {name.strip(): value}})
    edit = _edit(word, rest)
    if edit:
        return Turn(review={"action": "edit", "edits": [edit]})
    if word in _INCOMPLETE and (not rest or _starts_with_id(rest) or (word == "i" and " " not in rest)):
        raise ValueError(f"Write it as: {_INCOMPLETE[word]}.")
    return Turn(review={"action": "critique", "text": line})


def _about(rest: str, suggestions: Sequence[str], read_more: Callable[[], str]) -> Turn:
    number, _, feedback = rest.partition(" ")
    if not number.isdecimal() or int(number) < 1 or not feedback.strip():
        raise ValueError(f"Write it as: {_INCOMPLETE['b']}.")
    turn = read_turn(feedback, suggestions, read_more)
    return Turn(review={**turn.review, "choice": int(number) - 1}) if turn.review else turn


def _other(word: str, rest: str) -> Turn | None:
    """Read feedback of a named kind, and what else there is: conversations, the history, proposals."""
    first, _, text = rest.partition(" ")
    if rest and word in _KINDS:
        return Turn(review={"action": _KINDS[word], "text": rest})
    if word == "t" and rest:
        return Turn(review={"action": "reply", "text": rest})
    if word == "s" and (score := _SCORE.fullmatch(first)):
        value = float(score[1]) / float(score[2] or 1)
        return Turn(review={"action": "score", "score": value, "text": text.strip()})
    if word == "w" and first.isdecimal() and int(first):
        better = int(first) - 1
        over = {"choice": better, "over": 1 if better == 0 else 0}
        return Turn(review={"action": "prefer", **over, "text": text.strip()})
    if word == "x" and first.isdecimal() and not text:
        return Turn(proposal=int(first))
    if word == "to" and re.fullmatch("r[0-9]+", rest):
        return Turn(review={"action": "rewind", "revision": "" if rest == "r0" else rest})
    if word == "back" and re.fullmatch("e[0-9]+", rest):
        return Turn(review={"action": "back", "exchange": rest})
    return None


def _starts_with_id(rest: str) -> bool:
    id = rest.split(" ", 1)[0].lower()
    return id.startswith("p") and id[1:].isdecimal()


def _edit(word: str, rest: str) -> dict[str, Any] | None:
    id, _, text = rest.partition(" ")
    if not _starts_with_id(rest):
        return None
    id, text = id.lower(), text.strip()
    if word == "e" and text:
        return {"op": "edit", "id": id, "text": text}
    if text:
        return None
    if word == "d":
        return {"op": "delete", "id": id}
    return {"op": "set", "id": id, "field": "enabled", "value": word == "on"} if word in ("on", "off") else None
