"""What a rewrite changed, in a few lines that a small model can read; and what a principle lost of it."""

import difflib
import re

from langchain_model_alignment.wording import SOFT_NOT, is_negated, numbers_in, quotes, stems_in

_TOKEN = re.compile(r"\S+")
_LIST = re.compile(r"^[^\S\n]*(?:[-*•]|\d+[.)])\s+", re.MULTILINE)
_EMOJI = re.compile(r"[\U0001F300-\U0001FAFF\u2600-\u27BF]")
_LONG = 1_000_000
_ALIKE = 0.45  # below this the passages are shown whole: single replacements would only confuse


def describe_change(before: str, after: str) -> str:
    """Return what changed between two texts: passages added, removed and replaced, and the change of form.

    Example:
        >>> print(describe_change("Founded in 1999 by Jane Miller.", "Founded in 1999."))
        Removed: by Jane Miller
        >>> print(describe_change("It is nice.", "Is it nice?"))
        Before: It is nice.
        After: Is it nice?
        New: ends with a question
    """
    old, new = _TOKEN.findall(before), _TOKEN.findall(after)
    # Of a long text the frequent words are left out of the comparison: they would take it minutes.
    long = len(old) * len(new) > _LONG
    matcher = difflib.SequenceMatcher(None, [_bare(t) for t in old], [_bare(t) for t in new], autojunk=long)
    lines: list[str] = []
    if not before.strip():
        lines.append(f"Written: {after}")
    elif matcher.ratio() < _ALIKE:
        lines += [f"Before: {before}", f"After: {after}"]
    else:
        for operation, i, j, k, m in matcher.get_opcodes():
            gone, come = _passage(old[i:j]), _passage(new[k:m])
            if operation == "replace":
                lines.append(f"Replaced: {gone} -> {come}")
            elif operation == "delete":
                lines.append(f"Removed: {gone}")
            elif operation == "insert":
                lines.append(f"Added: {come}")
    return "\n".join([*lines, *_change_of_form(before, after, len(old), len(new))])


def form_asked(before: str, after: str) -> list[str]:
    """Return what a rewrite asks for in its form, as sentences that need no model.

    Example:
        >>> form_asked("One two three four five six seven eight nine ten eleven twelve.", "Is it twelve?")
        ['Keep it short.', 'End with a question.']
    """
    asked = {"shorter": "Keep it short.", "a list": "Write a list.", "question": "End with a question."}
    lines = _change_of_form(before, after, len(_TOKEN.findall(before)), len(_TOKEN.findall(after)))
    return [
        sentence for line in lines for word, sentence in asked.items() if line.endswith(word) and "Gone" not in line
    ]


def lost_of_change(before: str, after: str, words: str) -> list[str]:
    """Return what a principle made from a rewrite lost: it must speak of what changed, as a rule for all answers.

    Example:
        >>> lost_of_change("Jane Miller opened it in 1999.", "It opened in 1999.", "Name Jane Miller.")
        ['what was taken out (the order asks for it)']
    """
    first = words.split(" ", 1)[0].strip(".,:").lower()
    if first in {"change", "replace", "rename", "rewrite", "edit"} or quotes(words, after, run=6):
        return ["being a rule for all answers (it is about this one)"]
    change = describe_change(before, after)
    added = " ".join(line for line in change.splitlines() if line.startswith("Added:"))
    numbers = sorted(numbers_in(added) - numbers_in(words))
    if numbers:
        return [f"the number {numbers[0]}"]
    if len(after) > 1.5 * len(before) and stems_in(words) & stems_in("short shorter brief concise"):
        return ["that the answer became longer"]
    told, old, new = stems_in(words), stems_in(before), stems_in(after)
    gone, come = old - new, new - old
    if told & gone and not told & come and not (is_negated(words) or SOFT_NOT.search(words.lower())):
        return ["what was taken out (the order asks for it)"]
    if not come and told & old and (is_negated(words) or SOFT_NOT.search(words.lower())):
        return []
    return [] if told & (_FORM | gone | come) else ["what was changed"]


# Words that speak of the form of an answer, which no word of the answer itself shows.
_FORM = stems_in(
    "short shorter brief concise simple clear list bullet bullets numbered table polite friendly formal informal "
    "casual direct careful greeting question tone source sources cite example examples steps units details facts "
    "positive"
)


def _change_of_form(before: str, after: str, old: int, new: int) -> list[str]:
    lines: list[str] = []
    if old - new > 8 and new <= 0.6 * old:
        lines.append(f"Length: {old} words -> {new} words, shorter")
    elif new - old > 8 and old <= 0.6 * new and old:
        lines.append(f"Length: {old} words -> {new} words, longer")
    had, has = len(_LIST.findall(before)), len(_LIST.findall(after))
    if has > 1 and not had:
        lines.append("New: a list")
    elif had > 1 and not has:
        lines.append("Gone: the list")
    if after.rstrip().endswith("?") and not before.rstrip().endswith("?"):
        lines.append("New: ends with a question")
    if bool(_EMOJI.search(after)) != bool(_EMOJI.search(before)):
        lines.append("New: emoji" if _EMOJI.search(after) else "Gone: emoji")
    return lines


def _passage(tokens: list[str]) -> str:
    return " ".join(tokens).rstrip(".,;:") or " ".join(tokens)


def _bare(token: str) -> str:
    return token.lower().strip(".,;:!") or token
