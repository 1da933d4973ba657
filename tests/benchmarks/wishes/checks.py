"""What code can tell of an answer: a length, a word, a format, a language, a count.

A check is a function of the answer and the inputs it answers. What stands around an answer (blanks, quotation marks,
asterisks) is nobody's fault and does not count where an answer begins or ends.
"""

import json
import re
from collections.abc import Callable, Mapping

Inputs = Mapping[str, str]
Check = Callable[[str, Inputs], bool]

_AROUND = " \n\t\"'“”„«»*_`"
_END_OF_SENTENCE = re.compile(r"[.!?…]+[\"'”»)*]*(?=\s|$)")
_NUMBERED = re.compile(r"^\s*(?:\*\*)?\d+[.)]\s", re.MULTILINE)
_DASHED = re.compile(r"^\s*[-–—]\s*(?=\S)", re.MULTILINE)
_BULLET = re.compile(r"^\s*[-–—*•]\s+(?=\S)", re.MULTILINE)
_FENCE = re.compile(r"^```\w*\n(.*?)\n?```$", re.DOTALL)
_EMOJI = "[\u2600-\u27bf\u2b50\U0001f300-\U0001faff]"

# Small words of which none is common in another of these languages.
_SMALL_WORDS = {
    "English": "the and is of to that it for with you your are this be have not",
    "French": "les et est des une pour dans vous votre avec sur qui pas du au nous ce cette",
    "German": "der die das und ist von zu den mit für sie ein eine nicht auf im ihr sich wir",
    "Italian": "il gli e è di che per della non sono nel alla ti tuo più questo",
    "Spanish": "el los y es para por las su muy más como está pero este esta",
}


def words_at_most(number: int) -> Check:
    """The answer has no more words than that."""
    return lambda answer, _: len(re.findall(r"\w[\w'’-]*", answer)) <= number


def characters_at_most(number: int) -> Check:
    """The answer has no more characters than that."""
    return lambda answer, _: len(answer.strip()) <= number


def sentences(number: int) -> Check:
    """The answer is so many whole sentences; one that was cut before its end is none."""

    def check(answer: str, _: Inputs) -> bool:
        whole = bool(re.search(r"[.!?…][\"'”»)*]*$", answer.strip()))
        return whole and len(_END_OF_SENTENCE.findall(answer)) == number

    return check


def one_of(*said: str) -> Check:
    """The answer is one of these words and nothing else."""
    return lambda answer, _: answer.strip(f"{_AROUND}.!").casefold() in said


def has(pattern: str) -> Check:
    """The answer has what the pattern tells, in capitals or not."""
    return lambda answer, _: re.search(pattern, answer, re.IGNORECASE) is not None


def lacks(pattern: str) -> Check:
    """The answer has nothing of what the pattern tells."""
    return lambda answer, _: re.search(pattern, answer, re.IGNORECASE) is None


def both(first: Check, second: Check) -> Check:
    """Both checks pass."""
    return lambda answer, inputs: first(answer, inputs) and second(answer, inputs)


def begins(words: str) -> Check:
    """The answer begins with these words."""
    return lambda answer, _: answer.strip(_AROUND).casefold().startswith(words.casefold())


def begins_with_input(variable: str) -> Check:
    """The answer begins with the value of a variable."""
    return lambda answer, inputs: begins(inputs[variable])(answer, inputs)


def ends(words: str) -> Check:
    """The answer ends with these words; a full stop after them does not count."""
    return lambda answer, _: answer.strip(_AROUND).rstrip(".").casefold().endswith(words.casefold())


def has_emoji(answer: str, _: Inputs) -> bool:
    """There is an emoji in the answer."""
    return re.search(_EMOJI, answer) is not None


def in_capitals(answer: str, _: Inputs) -> bool:
    """Every letter of the answer is a capital."""
    return answer.isupper()


def dashed(answer: str, _: Inputs) -> bool:
    """Two lines or more begin with a dash, and none does not, but for one that introduces them."""
    lines = [line for line in answer.splitlines() if line.strip()]
    with_dash = sum(bool(_DASHED.match(line)) for line in lines)
    return with_dash >= 2 and len(lines) - with_dash <= 1


def no_list(answer: str, _: Inputs) -> bool:
    """No line is an item of a list."""
    return not (_NUMBERED.search(answer) or _BULLET.search(answer))


def items(number: int) -> Check:
    """The answer is a list of so many items; points below numbered items are no items."""

    def check(answer: str, _: Inputs) -> bool:
        return len(_NUMBERED.findall(answer) or _BULLET.findall(answer)) == number

    return check


def times(pattern: str, number: int) -> Check:
    """The pattern is found so many times."""
    return lambda answer, _: len(re.findall(pattern, answer)) == number


def on_one_line(separator: str) -> Check:
    """The answer is one line, with the separator twice or more."""
    return lambda answer, _: len(answer.strip().splitlines()) == 1 and answer.count(separator) >= 2


def json_object(*keys: str) -> Check:
    """The answer is a JSON object with these keys and no others, in a code block or not."""

    def check(answer: str, _: Inputs) -> bool:
        block = _FENCE.match(answer.strip())
        try:
            found = json.loads(block[1] if block else answer)
        except ValueError:
            return False
        return isinstance(found, dict) and set(found) == set(keys)

    return check


def in_language(name: str) -> Check:
    """The answer has more of a language's small words than of any other's, and two of them at least."""

    def check(answer: str, _: Inputs) -> bool:
        said = re.findall(r"\w+", answer.lower())
        counts = {language: sum(word in small.split() for word in said) for language, small in _SMALL_WORDS.items()}
        own = counts.pop(name)
        return own >= 2 and own > max(counts.values())

    return check
