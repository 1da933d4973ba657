"""Which way a text turns each of its words: asked for, refused, or left open."""

import re
from collections.abc import Mapping
from typing import Literal

from langchain_model_alignment.amounts import plain_limits
from langchain_model_alignment.languages import LANGUAGES, language_of, word_set, words_of
from langchain_model_alignment.orders import ORDERS

__all__ = ["SAYING", "Side", "clauses_of", "is_content", "opposite_in", "root_of", "sides_in", "too_much_in"]

Side = Literal["for", "against", "open"]

# Words that are as often nouns begin no clause of their own: "no jargon and lists"; nor do "more" and "only" abroad.
_OPENERS = "|".join(
    sorted(
        ORDERS.union(*(LANGUAGES[code].orders for code in ("de", "es", "fr")))
        - word_set("at under within max order number list name point group label title liste frage ende da sea haz")
        - word_set("immer nur nicht weniger mehr kürzer höchstens maximal mindestens siempre solo máximo toujours")
    )
)
_SUBJECTS = "please|i|we|it|you|they|the|our|my|this|that|there"
_CLAUSE = re.compile(
    r"(?<=[!?;:])\s+|(?<=\w\w\.)\s+|[。！？；，()\n–—]|\s-\s|,?\s+\b(?=(?:but|sondern|aber|pero|sino|mais)\b)"
    rf"|,\s+(?=(?:and |then )?(?:{_SUBJECTS}|{_OPENERS})\b)"
    rf"|\s+(?:and|und|y|et)\s+(?=(?:{_SUBJECTS}|{_OPENERS})\b)"
)
_OPEN = word_set(
    "if when whenever unless except until where less fewer only just limit reduce minimize minimise wenn falls si "
    "cuando nur solo weniger menos too few little"
)
_AGAINST = word_set(
    "stop avoid without omit exclude skip remove drop forbid quit refrain eliminate hide spare evita evite evitar "
    "vermeide verzichte ohne sin"
)
_NOTS = frozenset[str]().union(*(language.negations for language in LANGUAGES.values()))
_PAIRS = {("instead", "of"), ("rather", "than"), ("leave", "out"), ("cut", "out"), ("free", "of"), ("leave", "off")}
_SHORT = {"no", "without"}
_PREPOSITIONS = {"in", "at", "by", "with", "to", "for", "on", "within", "under"}
_STOPS = frozenset[str]().union(*(language.stopwords for language in LANGUAGES.values()))
_EMPTY = (
    _STOPS.union(_NOTS)
    .union(*(frozenset(language.numbers) for language in LANGUAGES.values()))
    .union(word_set("always out off please instead rather free stop using want only least most"))
)
_PREFIXES = ("in", "im", "il", "ir", "un", "dis", "non")
# Roots that a longer word only seems to deny: discover, display, discount, impress, unlike.
_SEEMING = word_set("cover play count press port form vent tend like vite")
_TOO = re.compile(r"\b(?:too|trop|demasiado)\s+([^\W\d_]{3,30})|\bzu\s+([^\W\d_]{3,30})\W{0,5}$")
_ENDING = re.compile(r"(?<=[a-z]{3})(?:ies|es|s|ing|ed|e|y|en)$")


def root_of(word: str) -> str:
    """Return a word without its commonest endings, so that "prices" and "price" are one.

    Example:
        >>> root_of("prices") == root_of("price"), root_of("contract") == root_of("contrast")
        (True, False)
    """
    return _ENDING.sub("", word)


SAYING = frozenset(
    root_of(w) for w in word_set("mention name include give say add tell list show keep state always never have")
)
"""Roots of words that say what to do with a thing, not which thing."""


def clauses_of(text: str) -> list[str]:
    """Return the clauses of a text, lower case: each says one thing in one direction.

    Example:
        >>> clauses_of("Too long, but I like it. Use jokes and end with a question.")
        ['too long', 'but i like it.', 'use jokes', 'end with a question.']
    """
    parts = _CLAUSE.split(" ".join(text.lower().replace("’", "'").split()))
    return [part.strip(" ,") for part in parts if part and part.strip(" ,.")]


def sides_in(text: str) -> dict[str, set[Side]]:
    """Return on which sides the roots of a text's content words stand.

    Example:
        >>> sides = sides_in("Give prices in euros, not dollars.")
        >>> sides["euro"], sides["dollar"]
        ({'for'}, {'against'})
    """
    found: dict[str, set[Side]] = {}
    for clause in clauses_of(plain_limits(text)):
        for root, side in _sides_of_clause(clause):
            found.setdefault(root, set()).add(side)
    return found


def _sides_of_clause(clause: str) -> list[tuple[str, Side]]:
    words = words_of(clause)
    code = language_of(clause) or "en"
    negations = LANGUAGES[code].negations
    side: Side = "for"
    if code == "de":  # its "not" often comes last
        side = "against" if set(words) & (negations | _AGAINST) else "open" if set(words) & _OPEN else "for"
        return [(root_of(word), side) for word in words if is_content(word)]
    short = False
    sides: list[tuple[str, Side]] = []
    for word, after in zip(words, [*words[1:], ""], strict=False):
        if (word, after) in _PAIRS or word in negations or word in _AGAINST or word.endswith("n't"):
            side, short = "against", word in _SHORT
        elif word in _OPEN:
            side = "open"
        elif word in {"but", "instead", "sino", "mais", "pero"} or (short and word in _PREPOSITIONS):
            side, short = "for", False
        elif is_content(word):
            sides.append((root_of(word), "against" if after == "free" else side))
    return sides


def opposite_in(wanted: Mapping[str, set[Side]], said: Mapping[str, set[Side]]) -> str:
    """Return the root in one text that the other has with a denying prefix, on the same side; else nothing.

    Example:
        >>> opposite_in(sides_in("Use a formal tone."), sides_in("Use an informal tone."))
        'formal'
        >>> opposite_in(sides_in("Do not be formal."), sides_in("Be informal."))
        ''
    """
    for plain, denied in ((wanted, said), (said, wanted)):
        for root in plain.keys() - denied.keys() - _SEEMING:
            for prefix in _PREFIXES if len(root) > 3 else ():
                other = prefix + root
                if other in denied and other not in plain and plain[root] & denied[other] - {"open"}:
                    return root
    return ""


def too_much_in(clause: str) -> set[str]:
    """Return the roots of what a clause says there is too much of.

    Example:
        >>> too_much_in("far too expensive suggestions"), too_much_in("it isn't too long")
        ({'expensiv'}, set())
    """
    if set(words_of(clause)) & _NOTS or "n't" in clause:
        return set()
    words = (first or second for first, second in _TOO.findall(clause.lower()))
    return {root_of(word) for word in words if is_content(word)}


def is_content(word: str) -> bool:
    """Return whether a word carries content: no frequent word, no number, no "not"."""
    return len(word) > 2 and word not in _EMPTY and not word.endswith("n't") and not word.isdigit()
