"""Labels from log probabilities: which token of an answer speaks for which label, or for a principle's being true."""

import math
import re
from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any

from langchain_core.messages import AIMessage

from langchain_model_alignment.labeling.calibration import Signal
from langchain_model_alignment.labeling.instructions import MOST_STATEMENTS

__all__ = ["MOST_CHECKS", "MOST_LABELS", "codes_for", "label_line", "read_signal"]

MOST_CHECKS = MOST_STATEMENTS
MOST_LABELS = 20  # as many alternatives as an OpenAI-compatible server tells about one token
_FLOOR = 0.5  # a label that is not among the alternatives gets this share of the least likely one
_RARE = 1e-6  # the share of a word that is not among the alternatives
_COMMON = 4  # labels that share so many first letters may share their first token
_NUMBERED = re.compile(r"\s*(\d{1,2})\W?\s*")
_LABEL_LINE = re.compile(r"^\s*label:(.*)$", re.IGNORECASE | re.MULTILINE)
_LABELED = re.compile(r"\s*label:\s*", re.IGNORECASE)
_PIECE = re.compile(r"\d|[^\W\d_]+|\W")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


def codes_for(labels: Sequence[str]) -> tuple[str, ...] | None:
    """Return one-letter codes to answer with where the labels' first tokens could collide, else None.

    Example:
        >>> codes_for(["hate", "not_hate"]), codes_for(["1", "10"]), codes_for(["not sure", "not hate"])
        (None, ('A', 'B'), ('A', 'B'))
    """
    firsts = [_first_piece(label) for label in labels]
    folded = [label.casefold() for label in labels]
    for at, label in enumerate(folded):
        for other in range(at):
            same = len(_common(label, folded[other]))
            if firsts[at] == firsts[other] or same >= _COMMON or same == min(len(label), len(folded[other])):
                return tuple(ascii_uppercase[: len(labels)])
    return None


def read_signal(message: AIMessage, names: Sequence[str], n_checks: int = 0) -> Signal | None:
    """Read an answer by the alternatives of its tokens.

    Args:
        message: An answer with log probabilities, as OpenAI-compatible servers give them.
        names: What the model was asked to answer with: the labels, or their codes.
        n_checks: How many principles it was asked to check first, a line for each ("1 yes"), before the label's line.

    Returns:
        What it says; a check that is missing says nothing (0). None where no token speaks for any label.
    """
    content = (message.response_metadata.get("logprobs") or {}).get("content") or []
    if not n_checks:
        logprobs = _label_logprobs(content[0], names) if content else None
        return Signal(logprobs) if logprobs else None
    checks, line = [0.0] * n_checks, ""
    for token in content:
        word = str(token["token"])
        if _LABELED.fullmatch(line) and word.strip():
            logprobs = _label_logprobs(token, names)
            return Signal(logprobs, tuple(checks)) if logprobs else None
        number = _NUMBERED.fullmatch(line)
        if number and word.strip().casefold() in ("yes", "no") and 0 < int(number[1]) <= n_checks:
            checks[int(number[1]) - 1] = _log_odds(token)
        line = (line + word).rpartition("\n")[2]
    return None


def label_line(text: str) -> str:
    r"""Return what the answer to a checklist says in its label's line; nothing where it has none.

    Example:
        >>> label_line("1 yes\n2 no\nLabel: spam"), label_line("1 yes")
        ('spam', '')
    """
    found = _LABEL_LINE.findall(text)
    return found[-1].strip() if found else ""


def _label_logprobs(token: Mapping[str, Any], names: Sequence[str]) -> tuple[float, ...] | None:
    top = token.get("top_logprobs") or []
    folded = [name.casefold() for name in names]
    mass = [0.0] * len(folded)
    for other in top:
        piece = str(other["token"]).strip().casefold()
        speaks = [i for i, name in enumerate(folded) if piece and (name.startswith(piece) or _continues(piece, name))]
        for index in speaks:
            mass[index] += math.exp(other["logprob"]) / len(speaks)
    if not any(mass):
        return None
    floor = _FLOOR * math.exp(min(other["logprob"] for other in top))
    return tuple(math.log(max(share, floor, 1e-30)) for share in mass)


def _log_odds(token: Mapping[str, Any]) -> float:
    """How much likelier yes is than no."""
    yes = no = _RARE
    for other in token.get("top_logprobs") or []:
        piece = str(other["token"]).strip().casefold()
        if piece in ("yes", "no"):
            share = math.exp(other["logprob"])
            yes, no = yes + share * (piece == "yes"), no + share * (piece == "no")
    return math.log(yes / no)


def _first_piece(label: str) -> str:
    match = _PIECE.search(_HUMP.sub(" ", label))
    return match[0].casefold() if match else ""


def _common(a: str, b: str) -> str:
    at = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return a[:at]


def _continues(piece: str, name: str) -> bool:
    """Whether a token is the whole label and more, such as "yes," for yes."""
    return piece.startswith(name) and not piece[len(name) :][:1].isalnum()
