"""What code can see in words: names, content, near-duplicates, what a text says, and a model's scaffolding."""

import json
import re
from functools import lru_cache
from typing import NamedTuple

from langchain_model_alignment.amounts import limits_in, numbers_in
from langchain_model_alignment.directions import Side, is_content, opposite_in, root_of, sides_in
from langchain_model_alignment.languages import LANGUAGES, has_cjk, language_of, word_set, words_of
from langchain_model_alignment.orders import ORDERS, describes, is_negated, is_order, is_wish

__all__ = [
    "SOFT_NOT",
    "alike",
    "clean_sentence",
    "describes",
    "is_negated",
    "is_order",
    "is_wish",
    "names_in",
    "near_duplicate",
    "numbers_in",
    "quotes",
    "says",
    "sentences_of",
    "stems_in",
]

_QUOTED = re.compile(
    r"\"([^\"]{1,200})\"|“([^”]{1,200})”|„([^“”]{1,200})[“”]|«([^»]{1,200})»|`([^`]{1,200})`|「([^」]{1,200})」"
)
_ADDRESS = re.compile(
    r"https?://\S+[^\s.,;)]|(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}\.[\w.]{1,63}|[#@]\w+|\{[^\W\d]\w*\}"
)
_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|(?<=[。！？；])\s*|\n+")
_ABBREVIATION = re.compile(r"(?:\b(?:dr|mr|mrs|ms|prof|st|vs|etc|approx|bzw|ca|sr|sra|no)|\b\w|\d)\.$", re.IGNORECASE)
_CAPITAL = re.compile(r"[A-ZÀ-Þ][\w'’-]*|[a-z]+[A-Z]\w*")
SOFT_NOT = re.compile(
    r"\b(?:avoid|refrain|omit|exclude|leave out|leave off|skip|instead|rather|only|less|fewer|limit|minimi[sz]e|reduce|"
    r"stop|remove|forbid|drop|free|out of|no longer|sin|evit\w*|ohne|vermeid\w*|verzicht\w*|weglassen|statt)\b"
)
_LABEL = re.compile(
    r"^\W*(?:(?:sure|certainly|of course|okay|ok)\W+)?(?:here(?: is|'s)[^:\n]{0,40}|(?:the |new |rewritten |revised )*"
    r"(?:rule|principle|order|instruction(?:_addition)?|answer|assistant|output|criticism|praise|feedback|critique|kudos)"
    r"|regel|regla|règle|规则|原则)\s*\d*\W?\s*[:：]\s*",
    re.IGNORECASE,
)
# What follows one of these is another turn, which nobody took.
_TURN = re.compile(r"<\|\w+\|?>?|<(?:end|start)_of_turn>")
# Only the tags that models put around an answer: a person may ask for "<b>".
_TAG = re.compile(
    r"</?(?:rule|principle|order|answer|output|instruction|sentence|response|text)s?>|```\w*", re.IGNORECASE
)


def sentences_of(text: str) -> list[str]:
    """Split a text at sentence ends and line breaks, not at abbreviations and in numbers.

    Example:
        >>> sentences_of("Too long. Ask Dr. Weber for 3.5 stars!")
        ['Too long.', 'Ask Dr. Weber for 3.5 stars!']
    """
    sentences: list[str] = []
    glue = False
    for part in _SENTENCE_END.split(text):
        part = (part or "").strip()
        if not part:
            continue
        if glue:
            sentences[-1] += f" {part}"
        else:
            sentences.append(part)
        glue = bool(_ABBREVIATION.search(part)) and len(part) > 2
    return sentences


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
    lines = [re.sub(r"^\s*(?:[-*•]|\d+[.)])\s+", "", part) for part in re.split(r"\n+|:\s", text)]
    if text.isupper():  # shouted: no word stands out
        return found
    for sentence in (sentence for line in lines for sentence in sentences_of(line)):
        bare = _ADDRESS.sub(" ", _QUOTED.sub(" ", sentence))
        tokens = re.findall(r"[^\s,;:!?()\"“”]+", bare)
        shouted = sum(t.isupper() and len(t) > 1 for t in tokens) > 3
        for position, token in enumerate(tokens):
            word = re.sub(r"['’]s$", "", token.strip(".'’-*_/"))
            follows = position + 1 < len(tokens) and _CAPITAL.match(tokens[position + 1])
            inside = position > 0 or (follows and not _begins_sentence(word.lower()))
            stands_out = inside or (word.isupper() and len(word) > 1)
            if stands_out and _CAPITAL.fullmatch(word) and not shouted and not _is_plain(word):
                found.add(word)
    return found


def _begins_sentence(word: str) -> bool:
    return word in ORDERS or word in LANGUAGES["en"].stopwords or describes(word)


def _is_plain(word: str) -> bool:
    """Whether a capitalised word is no name: "I", "OK", or a shouted frequent word."""
    lower = word.lower()
    loud = word.isupper() and (lower in ORDERS or any(lower in v.stopwords | v.negations for v in LANGUAGES.values()))
    return loud or lower in {"i", "i'm", "i'd", "i've", "i'll", "i’m", "i’d", "i’ve", "ok", "a"}


def stems_in(text: str) -> set[str]:
    """Return the content of a text, for comparing: beginnings of its rarer words, and pairs of Chinese characters."""
    stops = frozenset[str]().union(*(language.stopwords | set(language.numbers) for language in LANGUAGES.values()))
    stems = {word[:5] for word in words_of(text) if word not in stops and not has_cjk(word) and len(word) > 2}
    for run in re.findall(r"[\u3400-\u9fff]+", text):
        stems |= {run[i : i + 2] for i in range(len(run) - 1)}
    return stems


def alike(a: str, b: str) -> float:
    """Return how much of the content of two texts is shared, from 0 to 1.

    Example:
        >>> alike("Use short sentences.", "Write short sentences!"), alike("Be brief.", "Name the price.")
        (1.0, 0.0)
    """
    first, second = stems_in(a), stems_in(b)
    if not first or not second:
        return float(words_of(a) == words_of(b))
    return len(first & second) / len(first | second)


def near_duplicate(a: str, b: str) -> bool:
    """Return whether two sentences say the same in the same content words: only small words and endings differ.

    Example:
        >>> near_duplicate("Do not use emojis.", "Don't use emojis!")
        True
        >>> near_duplicate("Use emojis.", "Don't use emojis.")
        False
    """
    return (
        _content_of(a) == _content_of(b)
        and numbers_in(a) == numbers_in(b)
        and limits_in(a) == limits_in(b)
        and is_negated(a) == is_negated(b)
        and sides_in(a) == sides_in(b)
    )


def _content_of(text: str) -> list[str]:
    """The words that tell two sentences apart, in order."""
    if has_cjk(text):
        return re.findall(r"\w", text)
    kept = [word for word in words_of(text) if is_content(word) or word in _TELLING]
    return [root_of(word) for word in kept] or words_of(text)


_TELLING = word_set(
    "more less fewer before after only if unless when until except always at first last most each every some or with "
    "from into too out i he she they we my"
)


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
    text = _TAG.sub("", _TURN.split(text, maxsplit=1)[0]).strip()
    value = _value_in(text)
    if value is not None:
        return value
    paragraphs = [part for part in re.split(r"\n\s*\n", text) if part.strip()]
    while len(paragraphs) > 1 and re.search(r"[:：]\s*$", paragraphs[0]):
        paragraphs.pop(0)
    lines = (paragraphs[0] if paragraphs else "").splitlines()
    if len(lines) > 1 and re.search(r"[:：]\s*$", lines[0]):
        lines.pop(0)
    bare = [_LABEL.sub("", re.sub(r"^\s*(?:[-*•]|\d+[.)])\s+", "", line)).strip() for line in lines]
    return _unwrapped(" ".join(line for line in bare if line))


def _unwrapped(sentence: str) -> str:
    """Take the quotation marks, brackets or JSON off that stand around the whole sentence."""
    pairs = {'"': '"', "'": "'", "“": "”", "„": "“”", "«": "»", "「": "」", "{": "}", "[": "]", "*": "*", "`": "`"}
    while len(sentence) > 1 and sentence[-1] in pairs.get(sentence[0], ""):
        inner = sentence[1:-1].strip()
        if sentence[0] == "{":
            if re.fullmatch(r"[^\W\d]\w*", inner):
                break
        elif sentence[0] in inner and not (sentence[0] == "*" and inner[0] == "*" == inner[-1]):
            break
        sentence = _LABEL.sub("", inner)
    return sentence


def _value_in(text: str) -> str | None:
    """The one sentence that a JSON object holds: under a telling name, else the longest."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    values = {key: value for key, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}
    told = next((values[key] for key in ("principle", "rule", "text", "order") if key in values), None)
    told = max(values.values(), key=len, default=None) if told is None else told
    return None if told is None else told.strip()


class _Facts(NamedTuple):
    numbers: set[str]
    limits: dict[str, str]
    stems: set[str]
    sides: dict[str, set[Side]]


@lru_cache(maxsize=16)
def _facts_of(text: str) -> _Facts:
    """What a text says, found once for all the principles that it may say."""
    return _Facts(numbers_in(text), limits_in(text), stems_in(text), sides_in(text))


def says(text: str, sentence: str) -> bool:
    """Return whether a text says what a sentence says: its numbers, limits, names and most of its words, on their side.

    Example:
        >>> says("Sum up {text} in at most 40 words and name no people.", "Use at most 40 words.")
        True
        >>> says("Sum up {text} and mention prices.", "Never mention prices.")
        False
    """
    plain = text.casefold()
    told = _facts_of(text)
    if numbers_in(sentence) - told.numbers or any(n.casefold() not in plain for n in names_in(sentence)):
        return False
    if any(told.limits.get(number, side) != side for number, side in limits_in(sentence).items()):
        return False
    stems = stems_in(sentence)
    if len(stems & told.stems) < 0.8 * len(stems):
        return False
    if has_cjk(sentence):
        return not is_negated(sentence) or any(
            is_negated(part) for part in re.split(r"[，。,.；;！!\n]", text) if stems & stems_in(part)
        )
    wanted, said = sides_in(sentence), told.sides
    shared = [root for root in wanted if root in said]
    # A text may name a word on both sides; what it must not do is turn all that it shares the other way.
    turned = [root for root in shared if "open" not in wanted[root] | said[root] and not wanted[root] & said[root]]
    return not turned and not opposite_in(wanted, said)
