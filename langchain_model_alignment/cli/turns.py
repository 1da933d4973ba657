"""What a person types in the feedback loop, read as a turn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

HELP = """Say what is wrong with the answer, and it becomes a principle. Or:
  1 to 6         take a suggestion
  c TEXT         critique: what should change
  k TEXT         kudos: what should stay
  r              rewrite the answer yourself
  b 2 TEXT       the same about answer 2, where there are several
  e p1 TEXT      reword a principle
  d p1           delete a principle
  on p1, off p1  switch a principle on or off
  i name=value   answer another input
  a              answer again
  p              show the prompt and its principles
  q              accept and leave
  ?              this help"""


@dataclass(frozen=True)
class Turn:
    """What a line amounts to: a review to resume the graph with, or something to show."""

    review: dict[str, Any] | None = None
    show: str = ""


_ALONE = {
    "q": Turn(review={"action": "accept"}),
    "a": Turn(review={"action": "again"}),
    "p": Turn(show="prompt"),
    "?": Turn(show="help"),
}
_SAME = {"quit": "q", "exit": "q", "help": "?", "accept": "q", "again": "a"}
_KINDS = {"c": "critique", "k": "kudos", "r": "rewrite"}
_INCOMPLETE = {
    "c": "c and your critique",
    "k": "k and your kudos",
    "b": "b, the number of an answer, and your feedback, as in: b 2 too long",
    "i": "i name=value",
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
    if rest and word in _KINDS:
        return Turn(review={"action": _KINDS[word], "text": rest})
    if word == "b":
        return _about(rest, suggestions, read_more)
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
