"""Reading a label out of what a model answered, exactly or not at all."""

import re
from collections.abc import Sequence

__all__ = ["LabelReader", "read_numbers"]

_EDGES = " \t\r\n.,:;!?\"'`*_()[]{}<>«»“”„‘’"
_NOT = (
    r"(?:not|no|non|nor|neither|never|without|cannot|isn.?t|wasn.?t|aren.?t|don.?t|doesn.?t|didn.?t|can.?t|won.?t|"
    r"nicht|kein\w*|ohne|pas|sans|sin|不|不是|没有|非)"
)
_FILLER = r"(?:a|an|the|really|very|at|all|any|quite|being|be|considered|exactly|necessarily|clearly|ein\w*|un[ae]?)"
_NEGATED = re.compile(rf"(?:^|(?<=\W)){_NOT}[\s\-]+(?:{_FILLER}\s+){{0,2}}[\"'`*_«“„‘(]*$")


class LabelReader:
    """Reads labels out of answers.

    An answer that is a label, but for case and punctuation around it, is that label. Else the label that stands in it
    as a whole word counts, when it is the only one; a longer label hides the shorter ones inside it, and one that is
    directly negated does not count.

    Args:
        labels: The labels' texts.

    Example:
        >>> reader = LabelReader(["toxic", "nontoxic"])
        >>> [reader.read(a) for a in ("Nontoxic.", "It is toxic", "not toxic", "toxic or nontoxic", "unknown")]
        [1, 0, None, None, None]
    """

    def __init__(self, labels: Sequence[str]) -> None:
        folded = [label.casefold() for label in labels]
        self._exact = {label: index for index, label in enumerate(folded)}
        trimmed = [label.strip(_EDGES) for label in folded]
        self._trimmed = {t: i for i, t in enumerate(trimmed) if t and trimmed.count(t) == 1}
        self._patterns = [re.compile(_whole(label)) for label in folded]

    def read(self, answer: str) -> int | None:
        """Return the index of the label that an answer gives; None when it gives none, or more than one."""
        text = answer.strip().casefold()
        if (index := self._exact.get(text)) is not None:
            return index
        if (index := self._trimmed.get(text.strip(_EDGES))) is not None:
            return index
        spans = [(m.start(), m.end(), i) for i, pattern in enumerate(self._patterns) for m in pattern.finditer(text)]
        shown = [s for s in spans if not any(o[0] <= s[0] and s[1] <= o[1] and o[:2] != s[:2] for o in spans)]
        negated = {i for start, _, i in shown if _NEGATED.search(text[max(0, start - 60) : start])}
        found = {i for _, _, i in shown} - negated
        return found.pop() if len(found) == 1 and not negated else None


def read_numbers(answer: str, most: int) -> list[int]:
    """Return the numbers from 1 to `most` that an answer names, in order, each once.

    Example:
        >>> read_numbers("Principles 2 and 12, then 2", 5)
        [2]
    """
    numbers = (int(found) for found in re.findall(r"(?<![\d.])\d{1,4}(?![\d])", answer))
    return list(dict.fromkeys(number for number in numbers if 1 <= number <= most))


def _whole(label: str) -> str:
    """A pattern for the label as a whole word: no letter, digit or hyphenated part beside it, no part of a number."""
    before = r"(?<!\w)(?<!\w[-‐‑])(?<!\d[.,])" + (r"(?<![-−])" if label[:1].isdigit() else "")
    after = r"(?!\w)(?![-‐‑]\w)(?![.,]\d)"
    return before + re.escape(label) + after
