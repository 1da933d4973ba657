"""The numbers of a text, and which of them are limits: at least or at most."""

import re
import unicodedata
from collections.abc import Mapping

from langchain_model_alignment.languages import LANGUAGES, WORD, has_cjk, language_of

__all__ = ["limits_in", "numbers_in", "plain_limits"]

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_UNIT = r"(?:sentences?|words?|paragraphs?|lines?|examples?|items?|points?|questions?|pages?|options?|bullets?)"
_ONE = re.compile(rf"\b(?:one|a single|1)\b(?=\s+(?:[a-z]+\s+)?{_UNIT}\b)", re.IGNORECASE)
_HAN = re.compile(r"[一二两三四五六七八九十百]+")

_NOT = r"(?:\b(?:not|never|no|cannot|nicht|nie|kein\w{0,3}|pas|nunca)|n't|不)"
_LOW = r"at least|minimum(?: of)?|mindestens|al menos|por lo menos|au moins|至少|不少于"
_HIGH = "at most|maximum(?: of)?|max\\.?|up to|within|höchstens|maximal|bis zu|como máximo|máximo|au plus|最多|以内"
_ABOVE = (
    r"(?:more|longer|larger|higher|bigger|greater|later|older|further) than|over|above|exceed(?:s|ing)?|"
    r"(?:mehr|länger) als|über|más (?:\w{1,30} )?(?:de|que)|plus de|超过"
)
_BELOW = (
    r"(?:less|fewer|shorter|smaller|lower|cheaper|earlier|younger) than|under|below|weniger als|unter|menos de|"
    r"moins de|少于"
)
# Every repetition is bounded, and a word is tried at its beginning only: prompts may hold 100 kB of codes.
_WORDS = r"\s{0,3}(?:\w{1,30}\s{1,3}){0,4}?"
_BOUND = re.compile(
    rf"(?P<no>{_NOT}{_WORDS})?(?:\b|(?<=[\u3400-\u9fff]))(?:(?P<low>{_LOW})|(?P<high>{_HIGH})|(?P<above>{_ABOVE})|(?P<below>{_BELOW}))"
    rf"(?=(?P<rest>(?:[^\w.;!?]{{0,9}}\w[\w.,:]{{0,30}}){{1,3}}))"
)
_AFTER = re.compile(
    r"(?<![\w.,:])(?P<n>\w[\w.,:]{0,30})(?:\s{1,3}[^\W\d_]{1,30}){0,2},?\s{1,3}"
    r"(?:(?P<low>or more\b|minimum\b)|(?P<high>or less\b|or fewer\b|max\b|maximum\b|at most$))"
)
_AFTER_HAN = re.compile(r"(\d{1,12}|[一二两三四五六七八九十百]{1,9})[^，。\d]{0,4}(以内|以上|以下)")
_NO_LIMIT = re.compile(rf"(?:\bdo )?{_NOT}{_WORDS}(?:(?P<above>{_ABOVE})|(?P<below>{_BELOW}))(?=\W{{0,9}}\w)")
_DO_IT = re.compile(r"\b(?:don't|do not|never) (?:forget|fail|omit|skip|leave out|neglect)(?: to)?\b")


def numbers_in(text: str) -> set[str]:
    """Return the numbers of a text as digits, written-out ones of known languages included.

    Example:
        >>> sorted(numbers_in("at least ten words, 1,000 letters, one sentence, two hundred"))
        ['1', '10', '1000', '200']
    """
    text = unicodedata.normalize("NFKC", text)
    found = {re.sub(r"[,.](?=\d{3}\b)", "", n) for n in _NUMBER.findall(text)}
    if _ONE.search(text):
        found.add("1")
    if has_cjk(text):
        runs = (_value_of_han(run) for run in _HAN.findall(text))
        found.update(str(value) for value in runs if value > 1)
    return found | {str(value) for value in _spelled(text)}


def _spelled(text: str) -> list[int]:
    """The numbers written as words; neighbours are put together: twenty-five, two hundred."""
    known = LANGUAGES.get(language_of(text) or "en", LANGUAGES["en"]).numbers
    values: list[int] = []
    end = -1
    for match in WORD.finditer(text.lower()):
        value = known.get(match[0])
        if value is None:
            continue
        near = values and text[end : match.start()] in {" ", "-"}
        if near and value in {100, 1000} and values[-1] < value:
            values[-1] *= value
        elif near and value < 10 <= values[-1] and values[-1] % 10 == 0:
            values[-1] += value
        else:
            values.append(value)
        end = match.end()
    return values


def _value_of_han(run: str) -> int:
    digits = {"一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
    total, digit = 0, 0
    for sign in run:
        if sign in digits:
            digit = digits[sign]
        else:
            total += (digit or 1) * (10 if sign == "十" else 100)
            digit = 0
    return total + digit


def limits_in(text: str) -> dict[str, str]:
    """Return the numbers that a text makes limits: "low" for at least, "high" for at most.

    Example:
        >>> limits_in("At least ten words, not more than 3 lines")
        {'10': 'low', '3': 'high'}
    """
    limits: dict[str, str] = {}
    lower = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
    spelled = LANGUAGES.get(language_of(text) or "en", LANGUAGES["en"]).numbers
    for match in _BOUND.finditer(lower):
        low = bool(match["low"] or match["above"])
        if match["no"] and (match["above"] or match["below"]):
            low = not low
        for part in re.findall(r"\w[\w.,:]*", match["rest"]):
            numbers = _read(part, spelled)
            limits.update(dict.fromkeys(numbers, "low" if low else "high"))
            if numbers:
                break
    for match in _AFTER.finditer(lower):
        for number in _read(match["n"], spelled):
            limits.setdefault(number, "low" if match["low"] else "high")
    for match in _AFTER_HAN.finditer(text):
        for number in numbers_in(match[1] + "个个"):
            limits.setdefault(number, "low" if match[2] == "以上" else "high")
    return limits


def _read(part: str, spelled: Mapping[str, int]) -> set[str]:
    """Read one word as a number, with the number words of the text's language."""
    if part.isascii() and part[0].isdigit():
        return {re.sub(r"[,.](?=\d{3}\b)", "", n) for n in _NUMBER.findall(part)}
    if has_cjk(part):
        return numbers_in(part)
    value = spelled.get(part.strip(".,:"))
    return set() if value is None else {str(value)}


def plain_limits(text: str) -> str:
    """Return a text in lower case, with limits and reminders said without their "not".

    Example:
        >>> plain_limits("It must not be longer than 50 words, and don't forget the price")
        'it must at most 50 words, and always the price'
    """
    lower = _DO_IT.sub("always", text.lower().replace("’", "'"))
    lower = re.sub(r"\b(do|should|must|could|would|does|did|ca|wo)n't\b", r"\1 not", lower)
    return _NO_LIMIT.sub(lambda match: "at most" if match["above"] else "at least", lower)
