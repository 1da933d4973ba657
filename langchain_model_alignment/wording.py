"""Checks on words, in code: what a wish says that its principle must not lose.

A small model writes a usable principle most of the time; what it loses is a number, a name, a "not". Those are
things code can see. Each check returns what is lost as a phrase for a person (and for the model that repairs it).
"""

import re
from typing import Literal

from langchain_model_alignment.languages import LANGUAGES, has_cjk, language_of, words_of

Kind = Literal["critique", "kudos", "rewrite"]

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_QUOTED = re.compile(
    r"\"([^\"]{1,200})\"|“([^”]{1,200})”|„([^“”]{1,200})[“”]|«([^»]{1,200})»|`([^`]{1,200})`|「([^」]{1,200})」"
)
_ADDRESS = re.compile(r"https?://\S+[^\s.,;)]|[\w.+-]+@[\w-]+\.[\w.]+|[#@]\w+|\{[^\W\d]\w*\}")
_SENTENCE_END = re.compile(r"(?<=[.!?。！？;；])\s*|\n+")
_CLAUSE_END = re.compile(r"(?<=[.!?;:,。！？；：，])\s*|\n+|\b(?:and|but|und|aber|y|pero|et|mais)\b")
_CAPITAL = re.compile(r"[A-ZÀ-Þ][\w'’-]*|[a-z]+[A-Z]\w*")
_UNIT = r"(?:sentences?|words?|paragraphs?|lines?|examples?|items?|points?|questions?|pages?|options?|bullets?)"
_ONE = re.compile(rf"\b(?:one|a single|1)\b(?=\s+(?:[a-z]+\s+)?{_UNIT}\b)", re.IGNORECASE)
_LOWER = "|".join(
    (
        r"at least|no less than|not less than|no fewer than|minimum(?: of)?|more than|over|above",
        r"mindestens|über|al menos|más de|au moins|plus de|至少|不少于|超过",
    )
)
_UPPER = "|".join(
    (
        r"at most|no more than|not more than|maximum(?: of)?|max\.?|less than|fewer than|under|below|up to|within",
        r"höchstens|maximal|unter|weniger als|como máximo|menos de|au plus|moins de|最多|不超过|少于|以内",
    )
)
_BOUND = re.compile(
    rf"(?:(?P<low>{_LOWER})|(?P<high>{_UPPER}))\W*(?:\w+\W+)?(?P<n>\d+(?:[.,:]\d+)*|[^\W\d]+)", re.IGNORECASE
)
_SOFT_NOT = re.compile(
    r"\b(?:avoid|refrain|omit|exclude|leave out|leave off|skip|instead|rather|only|less|fewer|limit|minimi[sz]e|reduce|"
    r"stop|remove|forbid|drop|free|out of|no longer|sin|evit\w*|ohne|vermeid\w*|verzicht\w*|weglassen|statt)\b"
)
_ABSENCE = re.compile(
    r"\b(?:no mention|missing|lacks?|lacking|forgot|forgets|omits?|left out|leaves out|not enough|"
    r"(?:doesn't|does not|didn't|did not|isn't|is not|aren't|wasn't|has no|have no|there is no|there are no)\b)"
)
_DESCRIBES = re.compile(
    r"^(?:the|it|it's|its|this|that|that's|there|there's|i|i'm|we|you|he|she|they|my|your|our|these|those|his|her|their|"
    r"very|too|way too|so|great|nice|good|love|loved|like|liked|bad|wrong|missing|lacks?|no mention|not|some|most|"
    r"mentions|uses|gives|sounds|looks|feels|reads|ends|starts|begins|contains|includes|says|has|is|was|are|were)\b"
)
_STARTS = re.compile(
    rf"{_DESCRIBES.pattern}|(?:{'|'.join(sorted(LANGUAGES['en'].stopwords | LANGUAGES['en'].wishes))})$"
)
_WISH = re.compile(
    r"\b(?:must|should|shall|needs? to|has to|have to|ought to|please|never|always|don't|do not|stop|avoid|"
    r"(?:i|we)(?:'d| would)? (?:want|need|like you|prefer|wish|do not want|don't want)|"
    r"wants? (?:you|it|the)|make sure)\b"
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
            inside = position > 0 or (follows and not _STARTS.match(word.lower()))
            stands_out = inside or (word.isupper() and len(word) > 1)
            if stands_out and _CAPITAL.fullmatch(word) and word.lower() not in _NOT_NAMES and not shouted:
                found.add(word)
    return found


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
    """Return whether a text asks for something and could stand as a principle as it is, or only describes.

    Example:
        >>> is_wish("Use at least ten words"), is_wish("It should rhyme"), is_wish("The sources are missing")
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
    return (code == "en" or text.isascii()) and not _DESCRIBES.match(lower)


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


def lost(feedback: str, principle: str, kind: Kind) -> list[str]:
    """Return what a principle lost of the feedback it was made of, as phrases; nothing when it holds all.

    Example:
        >>> lost("The answer needs at least ten words", "Use more words.", "critique")
        ['the number 10']
        >>> lost("Never mention Zalando", "Never mention Zalando.", "critique")
        []
    """
    missing = [f"the number {n}" for n in sorted(numbers_in(feedback) - numbers_in(principle))]
    plain = principle.casefold()
    missing += [f"“{name}”" for name in sorted(names_in(feedback)) if name.casefold() not in plain]
    spoken, written = language_of(feedback), language_of(principle)
    if spoken and written and spoken != written:
        missing.append("the language of the feedback")
    wish = kind == "kudos" or is_wish(feedback)
    missing += _lost_direction(feedback, principle, kind)
    if wish:
        missing += _lost_limits(feedback, principle) + _lost_strength(feedback, principle)
    if not _covers(feedback, principle):
        missing.append("what it is about")
    if not is_wish(principle) and (written == "en" or words_of(principle) == words_of(feedback)):
        missing.append("the form of an order")
    return missing


def _lost_direction(feedback: str, principle: str, kind: Kind) -> list[str]:
    """Whether a "not" went missing, or an absence that was criticised became what is asked for."""
    lower = feedback.lower().replace("’", "'")
    refuses = re.match(r"(?:do not|don't|never|avoid|no|without)\b", principle.lower().replace("’", "'"))
    if kind == "critique" and not is_wish(feedback):
        wrong = _ABSENCE.search(lower) and refuses and not re.search(r"\bno\b.*\bno\b|without", lower)
        return ["what was missing (the order forbids it)"] if wrong else []
    if kind == "kudos" and not is_negated(feedback):
        return ["what was praised (the order forbids it)"] if refuses else []
    was, now = set(words_of(feedback)), set(words_of(principle))
    for word, opposite in (("less", "more"), ("fewer", "more"), ("more", "less"), ("more", "fewer")):
        if word in was and opposite in now - was:
            return [f"the “{word}”"]
    for word in ("less", "fewer"):
        if word in was and "more" in now and not now & {"less", "fewer"}:
            return [f"the “{word}”"]
    if is_negated(feedback) and not is_negated(principle) and not _SOFT_NOT.search(principle.lower()):
        return ["the “not”"]
    return []


def _lost_limits(feedback: str, principle: str) -> list[str]:
    """Whether a number changed sides: at least became at most, or the other way round."""
    was, now = _limits(feedback), _limits(principle)
    return [
        f"that {number} is a{'n upper' if side == 'high' else ' lower'} limit"
        for number, side in sorted(was.items())
        if now.get(number, side) != side
    ]


def _limits(text: str) -> dict[str, str]:
    limits: dict[str, str] = {}
    for match in _BOUND.finditer(text):
        for number in numbers_in(match["n"]):
            limits[number] = "low" if match["low"] else "high"
    return limits


def _lost_strength(feedback: str, principle: str) -> list[str]:
    """Whether "only", a condition or an "if possible" went missing, or was put in where the wish was firm."""
    was, now = set(words_of(feedback)), set(words_of(principle))
    hedges = LANGUAGES["en"].hedges
    missing: list[str] = []
    if (
        "only" in was
        and not _limits(principle)
        and not now & {"only", "just", "exclusively", "solely", "limit", "nothing", "never", "not", "no"}
    ):
        missing.append("the “only”")
    if was & {"unless", "except", "until"} and not now & {"unless", "except", "until", "if", "only", "but", "without"}:
        missing.append("the exception")
    if was & {"if", "when", "whenever"} and not now & {
        "if",
        "when",
        "whenever",
        "for",
        "case",
        "unless",
        "only",
        "where",
    }:
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
        return not whole or len(whole & told) >= max(1, round(len(whole) * 0.3))
    parts = sentences_of(feedback)
    if len(parts) > 1 and any(len(stems_in(p)) >= 2 and not stems_in(p) & told for p in parts):
        return False
    return len(whole) < 4 or bool(whole & told)


_TAKES_BACK = re.compile(
    r"\b(?:no longer (?:need|want|have|necessary|required)|any ?more\b|"
    r"(?:don't|do not|doesn't|does not) (?:need|have) to\b|"
    r"(?:is|are)(?:n't| not) (?:needed|necessary|required)|needn't|forget (?:about )?(?:the|that|my)|"
    r"(?:drop|remove|delete|cancel|undo) (?:the|that|my) (?:rule|principle|requirement|instruction|limit)|"
    r"not necessary|nicht mehr nötig|ya no (?:hace|es|hay)|不再需要|不需要)\b"
)


def takes_back(feedback: str) -> bool:
    """Return whether feedback withdraws an earlier wish, so that its principle can go.

    Example:
        >>> takes_back("You don't need to mention the price any more"), takes_back("Don't mention the price")
        (True, False)
    """
    return bool(_TAKES_BACK.search(feedback.lower().replace("’", "'")))


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
        return any(is_negated(part) or _SOFT_NOT.search(part.lower()) for part in near)
    clauses = [part for part in _CLAUSE_END.split(text) if part and (not stems or stems & stems_in(part))]
    return any(not is_negated(part) for part in clauses)


def claims_absence(text: str) -> bool:
    """Return whether a sentence says that something is missing.

    Example:
        >>> claims_absence("It does not name its sources."), claims_absence("It is too long.")
        (True, False)
    """
    return bool(_ABSENCE.search(text.lower().replace("’", "'")))
