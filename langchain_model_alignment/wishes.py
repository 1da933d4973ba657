"""What a wish says that the principle made from it must not lose, checked in code.

A small model writes a usable principle most of the time; what it loses is a number, a name, a "not", or which of two
things was wanted. Those are things code can see. Each check returns what is lost as a phrase, for a person and for the
model that repairs it.
"""

import re
from typing import Literal

from langchain_model_alignment.amounts import limits_in, numbers_in, plain_limits
from langchain_model_alignment.directions import Side, clauses_of, opposite_in, sides_in, too_much_in
from langchain_model_alignment.languages import LANGUAGES, has_cjk, language_of, word_set, words_of
from langchain_model_alignment.orders import asks_outright, describes, is_negated, is_order, is_wish, outright
from langchain_model_alignment.wording import SOFT_NOT, alike, names_in, sentences_of, stems_in

Kind = Literal["critique", "kudos", "rewrite"]

_ABSENCE = re.compile(
    r"\b(?:fehlt|fehlen|falta|faltan|manque|manquent|no mention|"
    r"missing|lacks?|lacking|forgot|forgets|omits?|left out|leaves out|not enough|"
    r"(?:doesn't|does not|didn't|did not|isn't|is not|aren't|wasn't|has no|have no|there is no|there are no|there's no|"
    r"nothing|never|(?:can't|cannot|couldn't|don't|do not) (?:see|find|spot))\b)|没有?提|缺少?|没有"
)
_ALIKE = 3  # letters that "fly" and "flying" share
_PLEASE = re.compile(r",\s{1,3}please\b(?=\s{0,3}[.!]?\s{0,3}$)", re.IGNORECASE)
_BARRED = re.compile(
    r"\W{0,3}(?:i|we|she|he|they|(?:my|our|his|her|their|the) \w{1,30}"
    r"|(?:one|two|three|some|many) of \w{1,30} \w{1,30})"
    r"(?:(?: do| does| can| will| may| must)(?: not|n't|'t)| cannot| won't| never"
    r"| (?:am|is|are) (?:allergic|afraid|scared|intolerant)|'m (?:allergic|afraid|scared)"
    r"| (?:eat|eats|drink|drinks|have|has) no)"
    r"(?! (?:\w{1,30} )?(?:understand|see|find|know|like|get|follow|read|care|think|believe|agree|sure|say|mention|name"
    r"|give|tell|explain|show|answer|fit|work|help|make|end|begin|start|include|contain)s?)\b"
)
# Who looks in vain is the person; the answer has nothing to look for.
_SEARCHED = re.compile(r"\b(?:find|see|spot)\b")
_SEARCHES = re.compile(r"(?:look|search|find|see|check|spot)\b")
_UNASKED = re.compile(r"\b(?:i (?:did not|didn't|never)|nobody) ask(?:ed)? for\b")
# What the person, not the answer, does not have or do.
_OTHERS = re.compile(
    r"^(?:but |and |because |since )?(?:we|i|our|my|they|people|customers)\b(?!.*\b(?:see|find|spot|get)\b)"
)
_SHOULD = re.compile(r"\b(?:must|should|shall|may|can)\b", re.IGNORECASE)
_SAY = re.compile(r"(?:say|state|mention|note|write|tell)(?: that)? (.+)")
_TO_THE_PERSON = re.compile(r"(?:thanks?\b|thank you|sorry|sure\b|could\b|would\b|can\b|because\b|yes\b)")
_GENERIC = {"answer", "response", "reply", "text", "result", "output", "fact", "part", "whole"}
_SUBJECT = re.compile(r"^(?:the|its|your)\s+([a-z]{4,})")
_VERDICT = re.compile(r"\b(?:too|zu|trop|demasiado)\s+[a-zäöüß]{4,}|太")
_REFUSES = re.compile(r"(?:do not|don't|never|avoid|no|without|nicht|kein\w*|nunca|evit\w+|ne)\b")
_DESCRIBED = re.compile(r"^(?:it|you|this|that|the (?:answer|response|text|reply)|they)\s+(.*)")
_FAULT = re.compile(r"^(?:but |and )?(?:you|it|this|that|the (?:answer|response|text|reply|list))\b")
_FALLS_SHORT = re.compile(
    r"\b(?:only|just|barely|hardly|too (?:few|little|short)|not|never|no|should|must|forgot|fails?|"
    r"ignor\w+|skip\w*|miss\w*|omit\w*|lack\w*|neglect\w*|hid\w+)\b|n't"
)
_WANTED_LAST = re.compile(
    r"^(?P<was>.+?)(?:,? (?:but|while|although|whereas)|[,;])\s+(?P<wanted>(?:we|our|i|my|the right)\b.+)$"
)
_WANTED_FIRST = re.compile(
    r"^i (?:asked|said|wanted|told you|meant|ordered|need|live)\b(?P<wanted>.+?)"
    r"(?:,? (?:and|but|yet)|[,;])\s+(?P<was>(?:you|it|this)\b.+)$"
)
_TURNS = re.compile(r",?\s*(?:\bnot\b|\binstead of\b|\brather than\b|\bno\b)\s+")
_TAKES_BACK = re.compile(
    r"\b(?:no longer (?:need|want|have|necessary|required)|(?:don't|do not|doesn't|does not) (?:need|have) to\b|"
    r"(?:don't|do not|doesn't|does not) (?:need|want) .{1,60}\bany ?more\b|(?:don't|do not) need (?:the|that|any)\b|"
    r"(?:is|are)(?:n't| not) (?:needed|necessary|required)|needn't|forget (?:about )?(?:the|that|my)|"
    r"(?:drop|remove|delete|cancel|undo) (?:the|that|my) (?:rule|principle|requirement|instruction|limit)|"
    r"not necessary|nicht mehr nötig|ya no (?:hace|es|hay))\b|不再需要|不需要"
)


def takes_back(feedback: str) -> bool:
    """Return whether feedback withdraws an earlier wish, so that its principle can go.

    Example:
        >>> takes_back("You don't need to mention the price any more"), takes_back("Don't mention the price")
        (True, False)
    """
    return bool(_TAKES_BACK.search(feedback.lower().replace("’", "'")))


def lost(feedback: str, principle: str, kind: Kind) -> list[str]:
    """Return what a principle lost of the feedback it was made of, as phrases; nothing when it holds all.

    Example:
        >>> lost("The answer needs at least ten words", "Use more words.", "critique")
        ['the number 10']
        >>> lost("Never mention Zalando", "Never mention Zalando.", "critique")
        []
    """
    feedback = outright(_PLEASE.sub(" please", feedback))  # apart, "please" would be a clause that asks nothing
    missing = [f"the number {n}" for n in sorted(_numbers_wanted(feedback, kind) - numbers_in(principle))]
    plain = principle.casefold()
    missing += [f"“{name}”" for name in sorted(names_in(feedback)) if name.casefold() not in plain]
    spoken, written = language_of(feedback), language_of(principle)
    if (spoken and written and spoken != written) or (has_cjk(principle) and not has_cjk(feedback)):
        missing.append("the language of the feedback")
    wish = kind == "kudos" or is_wish(feedback)
    missing += _lost_direction(feedback, principle, kind)
    if wish:
        missing += _lost_limits(feedback, principle) + _lost_strength(feedback, principle)
    if not _covers(feedback, principle):
        missing.append("what it is about")
    if _is_no_order(feedback, principle, kind):
        missing.append("the form of an order")
    return missing


def _is_no_order(feedback: str, principle: str, kind: Kind) -> bool:
    plain = principle.lower().replace("’", "'")
    if (describes(principle) and not _SHOULD.search(plain)) or _TO_THE_PERSON.match(plain):
        return True
    if _VERDICT.search(plain) and not is_negated(principle):
        return True
    said_again = alike(principle, feedback) >= 0.8 and _is_verdict(feedback) and not is_order(principle)
    return kind == "critique" and (said_again or _says_the_fault(feedback, plain))


def _says_the_fault(feedback: str, principle: str) -> bool:
    """Whether a principle asks the answer to state the criticism: "Say that it is dull"."""
    said = _SAY.match(principle)
    if not said or is_wish(feedback) or claims_absence(feedback):
        return False
    return describes(said[1]) and stems_in(said[1]) <= stems_in(feedback)


def _is_verdict(feedback: str) -> bool:
    return not is_wish(feedback) and (describes(feedback) or len(words_of(feedback)) < 3)


def _numbers_wanted(feedback: str, kind: Kind) -> set[str]:
    """The numbers a principle must hold: all, but for those of a fault ("you gave 5") beside the one that is wanted."""
    clauses = clauses_of(feedback) if kind == "critique" else []
    wanted = [c for c in clauses if not _FAULT.match(c) or asks_outright(c)]
    if len(wanted) == len(clauses) or not numbers_in(" ; ".join(wanted)):
        return numbers_in(feedback)
    return numbers_in(" ; ".join(wanted))


def _lost_direction(feedback: str, principle: str, kind: Kind) -> list[str]:
    """Whether a "not" went missing, or an absence that was criticised became what is asked for."""
    lower = feedback.lower().replace("’", "'")
    if kind == "critique" and (_repeats_fault(lower, principle) or _asks_for_too_much(lower, principle)):
        return ["that this was criticised (the order asks for it again)"]
    if kind == "critique" and _takes_wrong_side(lower, principle):
        return ["which of the two is wanted"]
    if kind == "kudos" and (subject := _praised(lower)) and not stems_in(subject) <= stems_in(principle):
        return [f"“{subject}”"]
    return _lost_more_or_less(feedback, principle) or _lost_not(lower, principle, kind)


def _lost_more_or_less(feedback: str, principle: str) -> list[str]:
    was, now = set(words_of(feedback)), set(words_of(principle))
    for word, opposite in (("less", "more"), ("fewer", "more"), ("more", "less"), ("more", "fewer")):
        if word in was and opposite in now - was:
            return [f"the “{word}”"]
    for word in ("less", "fewer"):
        if word in was and "more" in now and not now & {"less", "fewer"}:
            return [f"the “{word}”"]
    return []


def _lost_not(feedback: str, principle: str, kind: Kind) -> list[str]:
    """Whether a "not" went missing or came in: as a whole, or before one of the words that both have."""
    plain = plain_limits(principle)
    softened = is_negated(plain) or bool(SOFT_NOT.search(plain))
    said = sides_in(principle)
    if _turned_twice(plain) and not _turned_twice(plain_limits(feedback)):
        return ["the “not” (said twice, it turns into its opposite)"]
    for clause in clauses_of(plain_limits(feedback)):
        clause = _UNASKED.sub("i do not want", clause)
        asked = kind == "kudos" or _asks(clause)
        absent = not asked and bool(_ABSENCE.search(clause)) and not _OTHERS.match(clause)
        if asked and is_negated(clause) and not softened:
            return ["the “not”"]
        if not asked and not absent:
            continue
        if absent and _REFUSES.match(plain) and language_of(feedback) not in ("en", None):
            return ["what was missing (the order forbids it)"]
        if absent and _SEARCHES.match(plain) and _SEARCHED.search(clause):
            return ["that the answer has to say it"]
        wanted: dict[str, set[Side]] = {root: {"for"} if absent else sides for root, sides in sides_in(clause).items()}
        if opposite_in(wanted, said):
            return ["which of the two is wanted"]
        shared = [root for root in wanted if root in said and "open" not in wanted[root] | said[root]]
        turned = [root for root in shared if not wanted[root] & said[root]]
        if turned and len(turned) * 2 >= len(shared):
            if absent:
                return ["what was missing (the order forbids it)"]
            return ["the “not”" if wanted[turned[0]] == {"against"} else "what is asked for (the order forbids it)"]
    return []


def _turned_twice(text: str) -> bool:
    negations = LANGUAGES["en"].negations - {"nor", "neither"}
    return any(
        sum(w in negations or w.endswith("n't") for w in words_of(clause)) > 1
        for clause in re.split(r"[,;.]|\bor\b|\band\b", text)
    )


def _asks(clause: str) -> bool:
    """Whether a clause of a critique asks: outright, or by an order; "you didn't say please" describes."""
    return asks_outright(clause) or (is_wish(clause) and not describes(clause))


def _praised(feedback: str) -> str:
    """The thing that praise is about, where it begins with it: "The table makes it easy to compare"."""
    subject = _SUBJECT.match(feedback)
    return subject[1] if subject and subject[1] not in _GENERIC else ""


def _repeats_fault(feedback: str, principle: str) -> bool:
    """Whether a principle orders the very thing that a clause of the feedback describes as done wrong."""
    orders = [words_of(part) for part in re.split(r"[.;,]|\band\b", principle.lower()) if words_of(part)]
    for clause in re.split(r"[.;,]|\bbut\b|\band\b", feedback):
        described = _DESCRIBED.match(clause.strip())
        if not described or _FALLS_SHORT.search(clause):
            continue
        done = {word[:4] for word in words_of(described[1])}
        for order in orders:
            bare = [word for word in order if word not in LANGUAGES["en"].stopwords - {"use", "write", "make", "give"}]
            if len(bare) > 1 and not is_negated(" ".join(order)) and {word[:4] for word in bare} <= done:
                return True
    return False


def _asks_for_too_much(feedback: str, principle: str) -> bool:
    """Whether a principle asks for what the feedback finds too much: "too expensive", "suggest expensive things"."""
    said = sides_in(principle)
    return any(said.get(root) == {"for"} for clause in clauses_of(feedback) for root in too_much_in(clause))


def _takes_wrong_side(feedback: str, principle: str) -> bool:
    """Whether, of "A, but we want B", a principle asks for A or forbids B."""
    sides = _WANTED_FIRST.match(feedback.strip()) or _WANTED_LAST.match(feedback.strip())
    if not sides:
        return False
    was, wanted = _last_word(sides["was"]), _last_word(sides["wanted"])
    if not was or not wanted or was == wanted:
        return False
    asked, *forbidden = _TURNS.split(principle.lower(), maxsplit=1)
    if _REFUSES.match(principle.lower()):
        asked, forbidden = "", [principle]
    return was in stems_in(asked) or any(wanted in stems_in(part) for part in forbidden)


def _last_word(clause: str) -> str:
    for word in reversed(words_of(clause)):
        stems = stems_in(word)
        if stems:
            return stems.pop()
    return ""


def _lost_limits(feedback: str, principle: str) -> list[str]:
    """Whether a number changed sides: at least became at most, or the other way round."""
    now = limits_in(principle)
    return [
        f"that {number} is a{'n upper' if side == 'high' else ' lower'} limit"
        for number, side in sorted(limits_in(feedback).items())
        if now.get(number, side) != side
    ]


def _lost_strength(feedback: str, principle: str) -> list[str]:
    """Whether "only", a condition or an "if possible" went missing, or was put in where the wish was firm."""
    was, now = set(words_of(feedback)), set(words_of(principle))
    hedges = LANGUAGES["en"].hedges
    missing: list[str] = []
    if (
        "only" in was
        and not limits_in(principle)
        and not now & {"only", "just", "exclusively", "solely", "limit", "nothing", "never", "not", "no"}
    ):
        missing.append("the “only”")
    if "first" in was and not now & word_set("first before begin start open 1st top initial name"):
        missing.append("the “first”")
    if was & {"unless", "except"} and not now & {"unless", "except", "until", "if", "only", "but", "without"}:
        missing.append("the exception")
    if was & {"if", "when", "whenever"} and not now & word_set("if when whenever for case unless only where"):
        missing.append("the condition")
    if was & hedges and not now & (hedges | {"try", "should", "rather", "over", "can", "could"}):
        missing.append("that it is a preference")
    if was & {"must", "always", "never"} and now & hedges - was:
        missing.append("how firm it is")
    return missing


def _covers(feedback: str, principle: str) -> bool:
    """Whether a principle shares words with what it was made of; turned-around English may share few."""
    told = stems_in(principle)
    whole = stems_in(feedback)
    if language_of(feedback) not in ("en", None) or has_cjk(feedback):
        # A fault is turned around in other words: "zu lang" becomes "kürzer".
        return not whole or not is_wish(feedback) or len(whole & told) >= max(1, round(len(whole) * 0.3))
    parts = sentences_of(feedback)
    if len(parts) > 1 and any(len(stems_in(p)) >= 2 and not p.endswith("?") and not stems_in(p) & told for p in parts):
        return False
    if bars(feedback):
        # What somebody cannot have or do is in the words: another word for it cannot be told from a slip.
        return not whole or any(a[:_ALIKE] == b[:_ALIKE] for a in whole for b in told)
    return len(whole) < 4 or bool(whole & told)


def bars(feedback: str) -> bool:
    """Return whether feedback tells what somebody cannot have or do.

    Example:
        >>> bars("we don't fly"), bars("I don't understand this"), bars("don't name the price")
        (True, False, False)
    """
    return bool(_BARRED.match(feedback.lower().replace("’", "'")))


def claims_absence(text: str) -> bool:
    """Return whether a sentence says that something is missing.

    Example:
        >>> claims_absence("It does not name its sources."), claims_absence("It is too long.")
        (True, False)
    """
    return bool(_ABSENCE.search(text.lower().replace("’", "'")))
