"""What a person types in the feedback loop, read as a turn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

HELP = """Say what is wrong with the answer, and it becomes a principle. Or:
  1 … 6          take a suggestion
  c TEXT         critique: what should change        k TEXT   kudos: what should stay
  r              rewrite the answer yourself         b N      it is about answer N
  e p1 TEXT      reword a principle                  d p1     delete it
  on p1, off p1  switch a principle                  p        show the prompt and its principles
  a              answer again                        q        accept and leave
  i name=value   answer another input                ?        this help"""


@dataclass(frozen=True)
class Turn:
    """What a line amounts to: a review to resume the graph with, or something to show."""

    review: dict[str, Any] | None = None
    show: str = ""


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
    if line.startswith("b "):
        return _about(line, suggestions, read_more)
    word, _, rest = line.partition(" ")
    rest = rest.strip()
    if word in _ALONE and not rest:
        return _ALONE[word]
    if word == "r" and not rest:
        return Turn(review={"action": "rewrite", "text": read_more()})
    if word in ("c", "k", "r") and rest:
        return Turn(review={"action": {"c": "critique", "k": "kudos", "r": "rewrite"}[word], "text": rest})
    if word == "i" and "=" in rest:
        name, _, value = rest.partition("=")
        return Turn(review={"action": "again", "inputs": {name.strip(): value}})
    edit = _edit(word, rest)
    return Turn(review={"action": "edit", "edits": [edit]} if edit else {"action": "critique", "text": line})


_ALONE = {
    "q": Turn(review={"action": "accept"}),
    "a": Turn(review={"action": "again"}),
    "p": Turn(show="prompt"),
    "?": Turn(show="help"),
}


def _about(line: str, suggestions: Sequence[str], read_more: Callable[[], str]) -> Turn:
    _, number, *rest = line.split(" ", 2)
    if not number.isdecimal() or int(number) < 1 or not rest:
        raise ValueError("Write it as: b 2 your feedback, where 2 is the number of the answer.")
    turn = read_turn(rest[0], suggestions, read_more)
    return Turn(review={**turn.review, "choice": int(number) - 1}) if turn.review else turn


def _edit(word: str, rest: str) -> dict[str, Any] | None:
    id, _, text = rest.partition(" ")
    if not (id.startswith("p") and id[1:].isdecimal()):
        return None
    if word == "e" and text.strip():
        return {"op": "edit", "id": id, "text": text.strip()}
    if text:
        return None
    if word == "d":
        return {"op": "delete", "id": id}
    return {"op": "set", "id": id, "field": "enabled", "value": word == "on"} if word in ("on", "off") else None
