"""Whether a sentence asks for something or describes what is, told by how it begins."""

import re

from langchain_model_alignment.languages import LANGUAGES, has_cjk, language_of, word_set, words_of

__all__ = ["ORDERS", "asks_outright", "describes", "is_negated", "is_order", "is_wish", "outright"]

# How a description begins, as opposed to an order: with what it describes, or with a verdict on it.
_DESCRIBES = re.compile(
    r"^(?:"
    r"the|u|ur|it|it's|its|this|that|that's|there|there's|i|i'm|i've|i'd|we|you|he|she|they|my|your|our|these|"
    r"those|his|her|their|a|an|every|each|some|most|both|all|everything|nothing|nobody|someone|somebody|"
    r"none|very|too|way too|so|overly|great|nice|good|perfect|love|loved|like|liked|bad|wrong|missing|"
    r"lacks?|lacking|not|why|what|where|how|who|in the|on the|mentions|uses|gives|sounds|looks|feels|reads|"
    r"ends|starts|begins|contains|includes|says|has|had|is|was|are|were|does|did|doesn't|didn't|isn't|"
    r"wasn't|aren't|weren't|no mention|me (?:gusta|encanta)|falta|faltan|hay|el|la|los|las|es|der|die|das|"
    r"ich|mir|schön|gut"
    r")\b"
)
_STATES = re.compile(
    r"^(?:(?!that\b|which\b|who\b|if\b|when\b|what\b|where\b|how\b)[\w'-]+\s+){1,4}"
    r"(?:is|are|was|were|has|have|lacks?|isn't|aren't|wasn't|weren't|hasn't)\b"
)
ORDERS = word_set(
    "use write make give keep add include mention say tell show start end begin put remove leave drop cut "
    "shorten avoid stop be reply answer respond list name explain describe summarize summarise translate cite "
    "quote format speak address call ask offer suggest recommend focus stick limit provide replace change try "
    "let get take do don't quit mind follow return split group sort order number highlight capitalize spell "
    "round convert compare state note assume refer link sign greet thank apologize apologise close open repeat "
    "check ensure consider choose pick prefer insert delete omit skip exclude refrain reduce increase simplify "
    "clarify elaborate expand mark set stay remain find point talk sell promise treat sound send pretend spare "
    "always never only less fewer more at under within exactly maximum max minimum instead next then rather if "
    "when whenever unless bring define emphasize emphasise hide invent lecture lower match order present print "
    "promote rank rephrase reword rewrite share shout trim turn update vary warn wrap finish go work cover lose "
    "acknowledge admit advise announce argue attach break build combine confirm connect count credit deliver "
    "display double draw encourage extend generate help hold identify illustrate introduce invite label lead "
    "output phrase praise preserve proofread prove rate read recap remind report respect reveal save select "
    "separate specify structure support swap switch talk think title verify welcome organize organise"
)
_LEADS = re.compile(
    r"^(?:(?:please|and|also|but|just|ok|okay|so|then|maybe|perhaps|better|ideally|preferably|pls|plz|can you|"
    r"could you|would you|next time|from now on|in (?:the )?future)\b[,:]?\s*)+"
)
_OUTRIGHT = re.compile(
    r"\b(?:must|should|shall|needs? to|has to|have to|ought to|make sure|"
    r"i(?:'d| would) (?:love|like|prefer|rather|want)|we(?:'d| would) (?:love|like|prefer|rather|want)|"
    r"(?:i|we) (?:want|wish|prefer|need)|(?:i|we) (?:do not|don't) want|wants? (?:you|it|the))\b|^no \w+er than\b"
)
_SPANISH_NO = re.compile(r"^no (?:más|\w+[ae]s)\b")
_GERMAN_INFINITIVE = re.compile(r"\w{3,}(?:en|ern|eln)\W*$")

# The one language that a reader knows; of somebody in the text it says nothing.
_LANGUAGE_NAMES = (
    "Arabic|Bengali|Bulgarian|Catalan|Chinese|Croatian|Czech|Danish|Dutch|English|Estonian|Farsi|Finnish|French|German|Greek|"
    "Hebrew|Hindi|Hungarian|Indonesian|Italian|Japanese|Korean|Latvian|Lithuanian|Malay|Mandarin|Norwegian|Persian|Polish|"
    "Portuguese|Romanian|Russian|Serbian|Slovak|Slovenian|Spanish|Swahili|Swedish|Tamil|Thai|Turkish|Ukrainian|Urdu|Vietnamese"
)
_ONE_LANGUAGE = re.compile(
    r"(?:^|(?<=[.!?;] ))(?:i|we|(?:my|our) \w{1,30})(?: can)?(?: only)? "
    rf"(?:understand|speak|read|know)s?(?: only)? ({_LANGUAGE_NAMES})(?: only)?(?=[.;!]|,? please\b|$)",
    re.IGNORECASE,
)
# "Nothing about prices" misses them; "nothing with nuts" forbids them.
_NOTHING = re.compile(
    r"^\s{0,3}(?:please,? )?(nothing) (with|containing|made|involving|that (?:has|contains|needs|uses|is|takes))\b",
    re.IGNORECASE,
)


def is_negated(text: str) -> bool:
    """Return whether a text forbids or denies something, in any of the languages known here."""
    if has_cjk(text) and any(word in text for word in LANGUAGES["zh"].negations):
        return True
    words = set(words_of(text))
    code = language_of(text)
    languages = [LANGUAGES[code]] if code and code != "zh" else [v for k, v in LANGUAGES.items() if k != "zh"]
    return any(words & language.negations for language in languages) or any(w.endswith("n't") for w in words)


def asks_outright(text: str) -> bool:
    """Return whether a text says in so many words that something is wanted, however it begins.

    Example:
        >>> asks_outright("It must rhyme"), asks_outright("Use rhymes")
        (True, False)
    """
    lower = _plain(text)
    code = language_of(lower)
    if code in ("de", "es", "fr"):
        return bool(set(words_of(lower)) & LANGUAGES[code].wishes)
    return bool(_OUTRIGHT.search(lower))


def is_wish(text: str) -> bool:
    """Return whether a text asks for something, as opposed to describing what is.

    Example:
        >>> is_wish("Use at least ten words"), is_wish("It should rhyme"), is_wish("It never mentions the price")
        (True, True, False)
    """
    lower = _plain(text)
    code = language_of(text)
    if code == "zh":
        return any(word in text for word in LANGUAGES["zh"].wishes)
    if asks_outright(lower):
        return True
    first, *rest = words_of(_LEADS.sub("", lower)) or [""]
    if code in ("de", "es", "fr"):
        language = LANGUAGES[code]
        if code == "es" and _SPANISH_NO.match(lower):
            return True
        ends = code == "de" and _GERMAN_INFINITIVE.search(lower)
        return first in language.orders or bool(ends and first not in language.subjects)
    if first not in ORDERS or _STATES.match(lower):
        return bool(re.search(r"\bplease\b", lower)) and not describes(lower)
    # "Never mentions the price" describes; "never mention the price" asks.
    verb = rest[0] if rest and first in {"always", "never", "only"} else ""
    return not (verb.endswith("s") and verb not in ORDERS)


def describes(text: str) -> bool:
    """Return whether a text begins as a description does, so that it cannot stand as an order.

    Example:
        >>> describes("A six-year-old would not understand this."), describes("Write for six-year-olds.")
        (True, False)
    """
    lower = _plain(text)
    if _SPANISH_NO.match(lower):
        return False
    begins = _LEADS.sub("", lower)
    first = (words_of(begins) or [""])[0]
    return bool(_DESCRIBES.match(begins)) or bool(_STATES.match(begins) and first not in ORDERS)


def is_order(text: str) -> bool:
    """Return whether a text could stand as a principle as it is: a wish that does not begin by describing.

    Example:
        >>> is_order("Use at least ten words"), is_order("It is dull; it should rhyme")
        (True, False)
    """
    return is_wish(text) and not describes(text)


def outright(text: str) -> str:
    """Return a text with a wish said outright: a ban that begins with "nothing", the one language that somebody reads.

    A small model makes "Learn Dutch." of "We only read Dutch.".

    Example:
        >>> outright("Nothing with a screen, please"), outright("Nothing about the price")
        ('Do not give anything with a screen, please', 'Nothing about the price')
        >>> outright("We only read Dutch."), outright("We read Dutch and English.")
        ('Answer in Dutch.', 'We read Dutch and English.')
    """
    for found in reversed(list(_ONE_LANGUAGE.finditer(text))):
        if "only" in found[0].lower():
            text = f"{text[: found.start()]}Answer in {found[1]}{text[found.end() :]}"
    return _NOTHING.sub(lambda m: f"{'Do' if m[1][0].isupper() else 'do'} not give anything {m[2]}", text)


def _plain(text: str) -> str:
    return re.sub(r"^[\s\W]+", "", text.strip().lower().replace("’", "'"))
