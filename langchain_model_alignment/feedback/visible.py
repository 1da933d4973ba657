"""What code sees for certain of an answer: limits on words and sentences, and a name or quotation that is there or not.

Only a principle that asks for nothing else is decided here, and only where every way of counting agrees.
"""

import operator
import re

from langchain_model_alignment.amounts import numbers_in
from langchain_model_alignment.languages import has_cjk
from langchain_model_alignment.wording import sentences_of

__all__ = ["seen_in"]

_COMPARE = {
    "at most": operator.le,
    "no more than": operator.le,
    "up to": operator.le,
    "under": operator.lt,
    "fewer than": operator.lt,
    "less than": operator.lt,
    "at least": operator.ge,
    "no fewer than": operator.ge,
    "more than": operator.gt,
    "over": operator.gt,
    "exactly": operator.eq,
}
_LIMIT = re.compile(
    r"(?:please |always )?"
    r"(?:(?:use|write|give|stay|be|keep (?:it|the answer|answers)|(?:answer|reply|respond)(?: in| with)?) )?"
    rf"(?P<how>{'|'.join(_COMPARE)}) (?P<number>\w+) (?P<unit>words|sentences)[.!]?",
    re.IGNORECASE,
)
_TERM = re.compile(
    r"(?:(?P<no>[Nn]ever|[Dd]o not|[Dd]on['’]t) |(?:[Pp]lease |[Aa]lways )?)(?:"
    r"(?:[Mm]ention|[Ss]ay|[Uu]se|[Ww]rite|[Ii]nclude)(?: the (?:word|words|name|phrase))? "
    r"[\"“„«](?P<quoted>[^\"“”„«»]+)[\"“”»]"
    r"|[Mm]ention (?P<name>[A-Z][\w&-]*(?: [A-Z][\w&-]*)*))[.!]?"
)


def seen_in(response: str, principle: str) -> tuple[bool, str, str] | None:
    """Return whether a response follows a principle, the words that show it, and why; nothing where a model must judge.

    Example:
        >>> seen_in("Try Zalando. It is cheap.", "Never mention Zalando.")
        (False, 'Try Zalando.', 'It says “Zalando”.')
        >>> seen_in("Cut paper.", "Use at most 10 words.")
        (True, '', 'It has 2 words.')
        >>> seen_in("Cut paper.", "Be creative, in at most 10 words.") is None
        True
    """
    principle = " ".join(principle.split())
    if limit := _LIMIT.fullmatch(principle):
        return _counted(response, limit["how"].lower(), limit["number"], limit["unit"].lower())
    if term := _TERM.fullmatch(principle):
        return _said(response, term["quoted"] or term["name"], forbidden=bool(term["no"]))
    return None


def _counted(response: str, how: str, number: str, unit: str) -> tuple[bool, str, str] | None:
    numbers = [n for n in numbers_in(f"{number} {unit}") if n.isdigit()]
    counts = _words(response) if unit == "words" else _sentences(response)
    if len(numbers) != 1 or counts is None:
        return None
    verdicts = {_COMPARE[how](count, int(numbers[0])) for count in counts}
    if len(verdicts) != 1:
        return None
    shown = " to ".join(str(count) for count in sorted(counts))
    return verdicts.pop(), "", f"It has {shown} {unit if shown != '1' else unit[:-1]}."


def _words(response: str) -> set[int] | None:
    """The fewest and the most words that one may count: a "well-known" is one or two."""
    if has_cjk(response):
        return None
    return {len(re.findall(r"\S*\w\S*", response)), len(re.findall(r"\w+", response))}


def _sentences(response: str) -> set[int] | None:
    """The fewest and the most sentences that one may count; in a list or under a title nobody can say."""
    text = response.strip()
    if has_cjk(text) or "\n" in text:
        return None
    return {len(sentences_of(text.replace(";", ","))), len(re.split(r"(?<=[.!?;])[\"”')]*\s+", text))}


def _said(response: str, term: str, *, forbidden: bool) -> tuple[bool, str, str] | None:
    anywhere = re.compile(re.escape(term), re.IGNORECASE)
    alone = re.compile(rf"(?<!\w){re.escape(term)}(?!\w)", re.IGNORECASE)
    said = bool(alone.search(response))
    if said != bool(anywhere.search(response)):  # inside another word: an ending, or a word of its own
        return None
    words = next((s for s in sentences_of(response) if alone.search(s)), "")
    return said != forbidden, words, f"It {'says' if said else 'does not say'} “{term}”."
