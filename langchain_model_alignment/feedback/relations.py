"""How a new principle stands to the old ones: a twin, a contradiction, or none of their business.

A contradiction replaces an old wish, so it takes evidence: the model's own leaning, and more of it where code sees no
shared content. What an old principle asks besides is never dropped with it.
"""

import math
import re
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig

from langchain_model_alignment.amounts import limits_in, numbers_in
from langchain_model_alignment.calls import Caller
from langchain_model_alignment.constitution import Constitution, Principle
from langchain_model_alignment.directions import SAYING, clauses_of, root_of, sides_in
from langchain_model_alignment.feedback import instructions
from langchain_model_alignment.languages import language_of, word_set
from langchain_model_alignment.traits import limit_of
from langchain_model_alignment.wishes import claims_absence, takes_back
from langchain_model_alignment.wording import is_wish, names_in, near_duplicate, says, stems_in

__all__ = ["clash", "contradicted", "may_withdraw", "rest_beside", "rest_of", "share_of_yes", "taken_back", "twin_of"]

# Measured on the local 1.5B model with the examples in `instructions`.
_SEEN_AT, _SHARED_AT, _ALONE_AT = 0.3, 0.5, 0.75
_RELATED_AT_MOST = 6
_TONGUES = word_set(
    "english german french spanish italian portuguese dutch chinese japanese arabic russian hindi turkish"
)
_ALLOWS = re.compile(r"\b(?:can|could|may) (?:now )?(?:be|go)\b")  # "can be left out" misses nothing
_COUNTED = re.compile(
    r"\b(\d{1,12}|[a-z]{1,20})\b\W{1,5}(?:[a-z]{1,20}\W{1,5})?(words?|sentences?|lines?|examples?|items?|paragraphs?|points?|options?)"
)


def twin_of(constitution: Constitution, words: str) -> Principle | None:
    """Return the principle that already says these words, at all times and switched on."""
    return next((p for p in constitution if p.enabled and not p.condition and near_duplicate(p.text, words)), None)


def clash(old: str, new: str) -> bool:
    """Return whether code can see that no answer follows both: limits, counts, languages, or a "not" of the same thing.

    Example:
        >>> clash("Write at least 200 words.", "Keep it under 50 words."), clash("Use emojis.", "Never use emojis.")
        (True, True)
        >>> clash("Name the price in euros.", "Name no dates.")
        False
    """
    tongues = {word for word in _TONGUES if word in old.lower()}, {word for word in _TONGUES if word in new.lower()}
    other = tongues[0] and tongues[1] and not tongues[0] & tongues[1]
    if (other and len(stems_in(old)) == len(stems_in(new)) == 1) or _counts_clash(old, new):
        return True
    was, now = ({root: side for root, side in sides_in(t).items() if root not in SAYING} for t in (old, new))
    shared = [root for root in was if root in now and "open" not in was[root] | now[root]]
    turned = [root for root in shared if not was[root] & now[root]]
    return bool(turned) and len(turned) == len(shared) and 2 * len(turned) > min(len(was), len(now))


def _counts_clash(old: str, new: str) -> bool:
    was, now = _counts(old), _counts(new)
    for unit in was.keys() & now.keys():
        (low, high), (lowest, highest) = was[unit], now[unit]
        apart = low > highest or high < lowest
        # Two limits on the same side: the later word counts.
        other_low = low != lowest and low > 0 and lowest > 0
        other_high = high != highest and high < math.inf and highest < math.inf
        if apart or other_low or other_high:
            return True
    return False


def _counts(text: str) -> dict[str, tuple[float, float]]:
    """The range that a text allows for each unit that it counts."""
    limits = limits_in(text)
    ranges: dict[str, tuple[float, float]] = {}
    for word, unit in _COUNTED.findall(text.lower()):
        for number in numbers_in(f"{word} {unit}"):
            if number.isdigit():
                side, value = limits.get(number), float(number)
                low, high = ranges.get(unit.rstrip("s"), (0.0, math.inf))
                ranges[unit.rstrip("s")] = (
                    low if side == "high" else value,
                    high if side == "low" else value,
                )
    return ranges


async def contradicted(
    caller: Caller, constitution: Constitution, words: str, config: RunnableConfig
) -> list[Principle]:
    """Return the principles that a new one contradicts, the surest first; the most alike ones only are asked about.

    One is enough on the model's word; further ones count only where code sees the contradiction too.
    """
    stems = stems_in(words)
    enabled = [(at, p) for at, p in enumerate(constitution) if p.enabled]
    ranked = sorted(enabled, key=lambda pair: (-_closeness(pair[1].text, words, stems), -pair[0]))
    found: list[tuple[bool, float, Principle]] = []
    for _, old in ranked[:_RELATED_AT_MOST]:
        conflict = 1 - await share_of_yes(caller, instructions.can_follow_both(old.sentence(), words), config)
        seen = not old.condition and clash(old.text, words)
        enough = _SEEN_AT if seen else _SHARED_AT if stems & stems_in(old.text) else _ALONE_AT
        # Several wishes in one principle: on the model's word alone, they would all go for the sake of one.
        if conflict >= enough and (seen or len(clauses_of(old.text)) == 1):
            found.append((seen, conflict, old))
    found.sort(key=lambda item: (-item[0], -item[1]))
    return [old for at, (seen, _, old) in enumerate(found) if at == 0 or seen]


def _closeness(old: str, new: str, stems: set[str]) -> float:
    return 100.0 * clash(old, new) + len(stems & stems_in(old))


def rest_of(old: str, words: str) -> str:
    """Return what an old principle asks besides what new words contradict, as a sentence.

    Example:
        >>> rest_of("Use emojis and mention the price.", "Never use emojis.")
        'Mention the price.'
    """
    clauses = clauses_of(old)
    if len(clauses) < 2:
        return ""
    kept = [c for c in clauses if not clash(c, words)]
    return "" if len(kept) == len(clauses) else _sentences(kept, old)


def rest_beside(old: str, words: str, feedback: str) -> str:
    """Return what an old principle asks besides what its new words are about, as sentences.

    Example:
        >>> old, words = "Name the price in euros and never mention Amazon.", "Name the price in dollars."
        >>> rest_beside(old, words, "prices in dollars please")
        'Never mention Amazon.'
    """
    plain = words.casefold()
    names = [name.casefold() for name in names_in(old) if name.casefold() not in plain]
    told = _roots(words) | _roots(feedback)

    def replaced(clause: str) -> bool:
        if clash(clause, words) or clash(clause, feedback) or says(words, clause):
            return True
        lost = numbers_in(clause) - numbers_in(words) or any(name in clause for name in names)
        return not lost and bool(_roots(clause) & told)

    return _sentences([clause for clause in clauses_of(old) if not replaced(clause)], old)


def _roots(text: str) -> set[str]:
    return {stem for stem in stems_in(text) if root_of(stem) not in SAYING}


def _sentences(clauses: Sequence[str], old: str) -> str:
    """Clauses, which are in lower case, as sentences with the names written as they were."""
    plain = [re.sub(r"^(?:and|but|then) ", "", clause).rstrip(" .,;") for clause in clauses]
    text = " ".join(f"{clause[0].upper()}{clause[1:]}." for clause in plain if clause)
    for name in names_in(old):
        text = re.sub(re.escape(name), name.replace("\\", r"\\"), text, flags=re.IGNORECASE)
    return text


def taken_back(constitution: Constitution, feedback: str) -> tuple[Principle | None, str]:
    """Return the principle that feedback withdraws, if one is clearly meant, and what the feedback asks besides.

    Example:
        >>> principle, rest = taken_back(
        ...     Constitution.of("Name the colour.", "Name the price."), "You don't need the price, but name the size."
        ... )
        >>> principle.text, rest
        ('Name the price.', 'name the size.')
    """
    feedback = " ".join(feedback.split())
    parts = [part for part in re.split(r"(?<=[.!?;]) |,? \bbut\b |; ?", feedback) if part.strip()]
    back = [part for part in parts if takes_back(part)] or [feedback]
    rest = " ".join(part.strip() for part in parts if part not in back)
    stems = stems_in(" ".join(back))

    def share(principle: Principle) -> float:
        own = {stem for stem in stems_in(principle.text) if root_of(stem) not in SAYING}
        return len(stems & own) / len(own) if own else 0.0

    best = max(constitution, key=share, default=None)
    return (best if best is not None and share(best) >= 0.5 else None), rest


def may_withdraw(feedback: str, old: str) -> bool:
    """Return whether feedback can be the withdrawal of a principle: it speaks of it and asks nothing itself.

    Of two languages code cannot see whether they speak of the same thing, so it does not object.

    Example:
        >>> may_withdraw("Scrap the rule about prices", "Name the price."), may_withdraw("Be kind", "Name the price.")
        (True, False)
    """
    missed = claims_absence(feedback) and not _ALLOWS.search(feedback.lower())
    asks = missed or any(is_wish(clause) for clause in (feedback, *clauses_of(feedback)))
    more = numbers_in(feedback) - numbers_in(old) or names_in(feedback) - names_in(old)
    spoken, written = language_of(feedback), language_of(old)
    foreign = bool(spoken and written and spoken != written)
    return not (asks or more) and (foreign or bool(stems_in(feedback) & stems_in(old)))


async def share_of_yes(caller: Caller, messages: Sequence[BaseMessage], config: RunnableConfig) -> float:
    """Return how much a model leans to yes, from 0 to 1, by log probabilities where it has them."""
    options: dict[str, Any] = {"logprobs": True, "top_logprobs": 20} if caller.traits.logprobs else {}
    limit = limit_of(caller.llm, 1 if options else 5)
    answer = await caller.ask(messages, config=config, **limit, **options)
    content = (answer.message.response_metadata.get("logprobs") or {}).get("content") or []
    shares = {"yes": 0.0, "no": 0.0}
    for token in content[0].get("top_logprobs", []) if content else []:
        word = token["token"].strip().lower()
        if word in shares:
            shares[word] += math.exp(token["logprob"])
    if sum(shares.values()) > 0:
        return shares["yes"] / sum(shares.values())
    return 0.0 if answer.text.strip().lower().startswith("no") else 1.0
