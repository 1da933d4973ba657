"""What a wish is about, as a thing that an answer has or has not: a small model can tell that much of a text."""

import re

from langchain_model_alignment.directions import clauses_of
from langchain_model_alignment.languages import language_of, word_set, words_of
from langchain_model_alignment.orders import outright
from langchain_model_alignment.wording import stems_in

__all__ = ["unwanted_in", "wanted_in"]

_MOST = 3  # things in one wish
_WORDS = 8  # in one thing; more is a sentence, not a thing
_BANS = (
    # allergic to nuts; afraid of blood and killing
    re.compile(r"\b(?:allergic to|intolerant to|afraid of|scared of|fed up with|tired of)\s+(?P<thing>.+)"),
    # without alcohol; free of nuts; nothing with a screen
    re.compile(
        r"\b(?:without|free of|free from|nothing (?:with|containing|involving|made (?:of|from|with)"
        r"|that has to do with))\s+(?P<thing>.+)"
    ),
    # no numbers; no eggs and no milk
    re.compile(r"\bno (?!longer\b|more than\b|less than\b|fewer than\b|need\b|one\b|idea\b)(?P<thing>.+)"),
    # don't mention a date; we can't walk far; never promise speed; avoid emojis
    re.compile(
        r"\b(?:not|never|cannot|avoid|omit|leave out|stop)\b(?! (?:only|enough|just|too|sure)\b)\s+(?P<thing>.+)"
    ),
)
_LEAD = re.compile(
    r"^(?:(?:to|be|ever|use|using|have|having|want|wanting|like|give|giving|get|include|including|mention|mentioning|"
    r"name|naming|say|saying|suggest|suggesting|offer|offering|recommend|serve|eat|drink|write|writing|add|put|talk|"
    r"speak|promise|about|with|that|anything|something|any|the|a|an|some|of|in it) )+"
)
_TAIL = re.compile(
    r"[\s,.;:!?]*(?:please|thanks|thank you|at all|in it|in there|any ?more|in any form|in the answer|here|either)?"
    r"[\s,.;:!?]*$"
)
_SPLIT = re.compile(r",| or (?:any |a |an |no )?| and (?:any |a |an |no )?|, no ")
# What begins so is told, not named: "it makes you faster".
_CLAUSE = word_set("it they you we i he she this these those there when where how why what who which whether if")
# How something is said; whether an answer has that manner is no question of what is in it.
_MANNER = re.compile(
    r"\b(?:tone|way|style|manner|words?|sentences?|short|brief|long|simple|plain|clear|concise|friendly|formal|polite|"
    r"language|voice|order|once|answer|answers|criticism|same|different|better|more|less|fewer|creative|careful)\b"
)
_HAS = re.compile(
    r"^(?:please |always |also )?(?:mention|name|include|give|say|state|tell|add|list|show|provide|quote|cite|explain|"
    r"describe|suggest|recommend|offer|ask for|point out|refer to|end with|close with|start with|begin with)\s+"
    r"(?P<thing>.+)$"
)


def unwanted_in(text: str) -> list[str]:
    """Return the things that a wish wants to be without; none where it has none that code can name.

    Example:
        >>> unwanted_in("I do not want any alcohol"), unwanted_in("she eats no eggs and no milk products")
        (['alcohol'], ['eggs', 'milk products'])
        >>> unwanted_in("nothing with a screen, please"), unwanted_in("It is too long")
        (['screen'], [])
    """
    if language_of(text) not in ("en", None):
        return []
    plain = " ".join(text.lower().replace("’", "'").split())
    plain = re.sub(
        r"\b(?:can't|cannot)\b", "can not", re.sub(r"(?<=\w)n't\b", " not", plain.replace("can't", "cannot"))
    )
    for clause in clauses_of(plain):
        for ban in _BANS:
            if found := ban.search(clause):
                things = [_bare(part) for part in _SPLIT.split(found["thing"])]
                return [thing for thing in things if thing][:_MOST]
    return []


def wanted_in(principle: str) -> str:
    """Return the thing that a principle asks an answer to have; empty where it asks for a manner, or forbids.

    Example:
        >>> wanted_in("Name the price."), wanted_in("Write in a lively way."), wanted_in("Do not name the price.")
        ('price', '', '')
    """
    if language_of(principle) not in ("en", None):
        return ""
    found = _HAS.match(" ".join(outright(principle).lower().split()))
    if not found or _MANNER.search(found["thing"]) or unwanted_in(principle):
        return ""
    return _bare(found["thing"])


def _bare(phrase: str) -> str:
    """A phrase without what leads into it and what trails after it; empty where it is more than a thing."""
    thing = _TAIL.sub("", _LEAD.sub("", phrase.strip()))
    words = words_of(thing)
    return thing if 0 < len(words) <= _WORDS and words[0] not in _CLAUSE and stems_in(thing) else ""
