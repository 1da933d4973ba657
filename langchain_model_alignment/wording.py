"""What code can see in words: numbers, names, negation, content, near-duplicates, and a model's scaffolding."""

import re

from langchain_model_alignment.languages import LANGUAGES, has_cjk, language_of, words_of

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_QUOTED = re.compile(
    r"\"([^\"]{1,200})\"|“([^”]{1,200})”|„([^“”]{1,200})[“”]|«([^»]{1,200})»|`([^`]{1,200})`|「([^」]{1,200})」"
)
_ADDRESS = re.compile(
    r"https?://\S+[^\s.,;)]|(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}\.[\w.]{1,63}|[#@]\w+|\{[^\W\d]\w*\}"
)
_SENTENCE_END = re.compile(r"(?<=[.!?。！？;；])\s*|\n+")
_CLAUSE_END = re.compile(r"(?<=[.!?;:,。！？；：，])\s*|\n+|\b(?:and|but|und|aber|y|pero|et|mais)\b")
_CAPITAL = re.compile(r"[A-ZÀ-Þ][\w'’-]*|[a-z]+[A-Z]\w*")
_UNIT = r"(?:sentences?|words?|paragraphs?|lines?|examples?|items?|points?|questions?|pages?|options?|bullets?)"
_ONE = re.compile(rf"\b(?:one|a single|1)\b(?=\s+(?:[a-z]+\s+)?{_UNIT}\b)", re.IGNORECASE)
SOFT_NOT = re.compile(
    r"\b(?:avoid|refrain|omit|exclude|leave out|leave off|skip|instead|rather|only|less|fewer|limit|minimi[sz]e|reduce|"
    r"stop|remove|forbid|drop|free|out of|no longer|sin|evit\w*|ohne|vermeid\w*|verzicht\w*|weglassen|statt)\b"
)
# How a description begins, as opposed to an order: with what it describes, or with a verdict on it.
_DESCRIBES = re.compile(
    r"^(?:"
    r"the|it|it's|its|this|that|that's|there|there's|i|i'm|i've|i'd|we|you|he|she|they|my|your|our|these|"
    r"those|his|her|their|a|an|every|each|some|most|both|all|everything|nothing|nobody|someone|somebody|"
    r"none|very|too|way too|so|overly|great|nice|good|perfect|love|loved|like|liked|bad|wrong|missing|"
    r"lacks?|lacking|not|why|what|where|how|who|in the|on the|mentions|uses|gives|sounds|looks|feels|reads|"
    r"ends|starts|begins|contains|includes|says|has|had|is|was|are|were|does|did|doesn't|didn't|isn't|"
    r"wasn't|aren't|weren't|no mention|me (?:gusta|encanta)|falta|faltan|hay|el|la|los|las|es|der|die|das|"
    r"ich|mir|schön|gut"
    r")\b"
)
_STATES = re.compile(
    r"^(?:(?!that\b|which\b|who\b|if\b|when\b)[\w'-]+\s+){1,4}(?:is|are|was|were|has|have|lacks?|isn't|aren't|wasn't|weren't|hasn't)\b"
)
_ORDERS = frozenset(
    (  # noqa: SIM905 (a list of words reads best as words)
        "use write make give keep add include mention say tell show start end begin put remove leave drop cut "
        "shorten avoid stop be reply answer respond list name explain describe summarize summarise translate cite "
        "quote format speak address call ask offer suggest recommend focus stick limit provide replace change try "
        "let get take do don't quit mind follow return split group sort order number highlight capitalize spell "
        "round convert compare state note assume refer link sign greet thank apologize close open repeat check "
        "ensure consider choose pick prefer insert delete omit skip exclude refrain reduce increase simplify "
        "clarify elaborate expand mark set stay remain find point talk sell always never only less fewer more at "
        "under within exactly maximum max minimum instead next then rather if when whenever unless "
    ).split()
)
_LEADS = re.compile(
    r"^(?:(?:please|and|also|but|just|ok|okay|so|then|maybe|perhaps|better|ideally|preferably)\b[,:]?\s*)+"
)
_WISH = re.compile(
    r"\b(?:must|should|shall|needs? to|has to|have to|ought to|please|make sure|no (?:more|longer|later|fewer|less) than|"
    r"(?:i|we)(?:'d| would)? (?:want|need|love|like (?:to|you|it|more|less|a|the)|prefer|wish|rather)|"
    r"(?:i|we) (?:do not|don't) want|wants? (?:you|it|the))\b"
)
_LABEL = re.compile(
    r"^\W*(?:rule|principle|order|instruction(?:_addition)?|new rule|new principle|answer|assistant|output|criticism|"
    r"praise|feedback|critique|kudos|rewritten principle)\s*\d*\s*:\s*",
    re.IGNORECASE,
)
_TAG = re.compile(r"</?[A-Za-z_][A-Za-z_ ]{0,30}>|```\w*")


def sentences_of(text: str) -> list[str]:
    """Split a text at sentence ends and line breaks.

    Example:
        >>> sentences_of("Too long. Say hello!")
        ['Too long.', 'Say hello!']
    """
    return [part.strip() for part in _SENTENCE_END.split(text) if part and part.strip()]


def numbers_in(text: str) -> set[str]:
    """Return the numbers of a text as digits, written-out ones of known languages included.

    Example:
        >>> sorted(numbers_in("at least ten words, 1,000 letters, one sentence"))
        ['1', '10', '1000']
    """
    found = {re.sub(r"[,.](?=\d{3}\b)", "", n) for n in _NUMBER.findall(text)}
    if _ONE.search(text):
        found.add("1")
    language = LANGUAGES.get(language_of(text) or "en", LANGUAGES["en"])
    if has_cjk(text):
        found.update(str(value) for word, value in LANGUAGES["zh"].numbers.items() if word in text)
    return found | {str(language.numbers[w]) for w in words_of(text) if w in language.numbers}


def names_in(text: str) -> set[str]:
    """Return names, quoted words, addresses and {variables}: what must be kept letter by letter.

    A capitalised word counts inside a sentence, not at its beginning; in German it does not count at all.

    Example:
        >>> sorted(names_in('Never mention Zalando or "best price", NASA said.'))
        ['NASA', 'Zalando', 'best price']
    """
    found = {next(filter(None, groups)).strip() for groups in _QUOTED.findall(text)}
    found |= set(_ADDRESS.findall(text))
    if language_of(text) == "de":
        return found
    for sentence in sentences_of(text):
        bare = _ADDRESS.sub(" ", _QUOTED.sub(" ", sentence))
        tokens = re.findall(r"[^\s,;:!?()\"“”]+", bare)
        shouted = sum(t.isupper() and len(t) > 1 for t in tokens) > 3
        for position, token in enumerate(tokens):
            word = re.sub(r"['’]s$", "", token.strip(".'’-*_/"))
            follows = position + 1 < len(tokens) and _CAPITAL.match(tokens[position + 1])
            inside = position > 0 or (follows and not _begins_sentence(word.lower()))
            stands_out = inside or (word.isupper() and len(word) > 1)
            if stands_out and _CAPITAL.fullmatch(word) and word.lower() not in _NOT_NAMES and not shouted:
                found.add(word)
    return found


def _begins_sentence(word: str) -> bool:
    return word in _ORDERS or word in LANGUAGES["en"].stopwords or bool(_DESCRIBES.match(word))


_NOT_NAMES = {"i", "i'm", "i'd", "i've", "i'll", "i’m", "ok", "a"}


def is_negated(text: str) -> bool:
    """Return whether a text forbids or denies something, in any of the languages known here."""
    if has_cjk(text) and any(word in text for word in LANGUAGES["zh"].negations):
        return True
    words = set(words_of(text))
    code = language_of(text)
    languages = [LANGUAGES[code]] if code and code != "zh" else [v for k, v in LANGUAGES.items() if k != "zh"]
    return any(words & language.negations for language in languages) or any(w.endswith("n't") for w in words)


def is_wish(text: str) -> bool:
    """Return whether a text asks for something, as opposed to describing what is.

    Example:
        >>> is_wish("Use at least ten words"), is_wish("It should rhyme"), is_wish("It never mentions the price")
        (True, True, False)
    """
    code = language_of(text)
    lower = text.strip().lower().replace("’", "'")
    if code == "zh":
        return any(word in text for word in LANGUAGES["zh"].wishes)
    if code in ("de", "es", "fr"):
        return bool(set(words_of(text)) & LANGUAGES[code].wishes)
    if _WISH.search(lower):
        return True
    first, *rest = words_of(_LEADS.sub("", lower)) or [""]
    if first not in _ORDERS or _STATES.match(lower):
        return False
    # "Never mentions the price" describes; "never mention the price" asks.
    verb = rest[0] if rest and first in {"always", "never", "only"} else ""
    return not (verb.endswith("s") and verb not in _ORDERS)


def describes(text: str) -> bool:
    """Return whether a text begins as a description does, so that it cannot stand as an order.

    Example:
        >>> describes("A six-year-old would not understand this."), describes("Write for six-year-olds.")
        (True, False)
    """
    lower = text.strip().lower().replace("’", "'")
    return bool(_DESCRIBES.match(lower)) or bool(_STATES.match(lower) and not is_wish(text))


def is_order(text: str) -> bool:
    """Return whether a text could stand as a principle as it is: a wish that does not begin by describing.

    Example:
        >>> is_order("Use at least ten words"), is_order("It is dull; it should rhyme")
        (True, False)
    """
    return is_wish(text) and not describes(text)


def stems_in(text: str) -> set[str]:
    """Return the content of a text, for comparing: beginnings of its rarer words, and pairs of Chinese characters."""
    stops = frozenset[str]().union(*(language.stopwords for language in LANGUAGES.values()))
    stems = {word[:5] for word in words_of(text) if word not in stops and not has_cjk(word) and len(word) > 2}
    for run in re.findall(r"[\u3400-\u9fff]+", text):
        stems |= {run[i : i + 2] for i in range(len(run) - 1)}
    return stems


def near_duplicate(a: str, b: str) -> bool:
    """Return whether two sentences say the same in nearly the same words: content, numbers and negation alike.

    Example:
        >>> near_duplicate("Do not use emojis.", "Don't use emojis!")
        True
        >>> near_duplicate("Use emojis.", "Don't use emojis.")
        False
    """
    if numbers_in(a) != numbers_in(b) or is_negated(a) != is_negated(b):
        return False
    first, second = stems_in(a), stems_in(b)
    if not first or not second:
        return words_of(a) == words_of(b)
    return len(first & second) / len(first | second) >= 0.8


def quotes(text: str, source: str, run: int = 8) -> bool:
    """Return whether a text repeats at least `run` words in a row of a source, the source's own instructions aside."""
    words, known = words_of(text), words_of(source)
    if len(words) < run:
        return False
    runs = {tuple(known[i : i + run]) for i in range(len(known) - run + 1)}
    return any(tuple(words[i : i + run]) in runs for i in range(len(words) - run + 1))


def clean_sentence(text: str) -> str:
    """Return what a model meant as its sentence: no tags, fences, labels, bullets, or quotation marks around it.

    Example:
        >>> clean_sentence('INSTRUCTION_ADDITION: {"Keep it short."}')
        'Keep it short.'
    """
    text = _TAG.sub("", text).strip()
    paragraph = re.split(r"\n\s*\n", text)[0]
    lines = [_LABEL.sub("", re.sub(r"^\s*(?:[-*•]|\d+[.)])\s+", "", line)).strip() for line in paragraph.splitlines()]
    sentence = " ".join(line for line in lines if line)
    pairs = {'"': '"', "'": "'", "“": "”", "{": "}", "[": "]", "*": "*", "`": "`"}
    while len(sentence) > 1 and pairs.get(sentence[0]) == sentence[-1] and sentence.count(sentence[0]) <= 2:
        inner = sentence[1:-1].strip()
        if sentence[0] == "{" and re.fullmatch(r"[^\W\d]\w*", inner):
            break
        sentence = inner
    return sentence


def says(text: str, sentence: str) -> bool:
    """Return whether a text says what a sentence says: its numbers and names, its "not", and most of its words.

    Example:
        >>> says("Sum up {text} in at most 40 words and name no people.", "Use at most 40 words.")
        True
        >>> says("Sum up {text} and mention prices.", "Never mention prices.")
        False
    """
    plain = text.casefold()
    if numbers_in(sentence) - numbers_in(text) or any(n.casefold() not in plain for n in names_in(sentence)):
        return False
    stems = stems_in(sentence)
    if len(stems & stems_in(text)) < 0.7 * len(stems):
        return False
    # Only the parts that speak of the same thing tell whether its "not" is there, or one that should not be.
    if is_negated(sentence):
        near = [part for part in sentences_of(text) if not stems or stems & stems_in(part)]
        return any(is_negated(part) or SOFT_NOT.search(part.lower()) for part in near)
    clauses = [part for part in _CLAUSE_END.split(text) if part and (not stems or stems & stems_in(part))]
    return any(not is_negated(part) for part in clauses)
