"""What a rewritten prompt lost, turned round or made up, checked in code.

Sure or refused: where code cannot see that a text still says what it said, the old text stays and what was asked is
listed below it.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from langchain_model_alignment.amounts import limits_in, numbers_in
from langchain_model_alignment.directions import SAYING, sides_in
from langchain_model_alignment.feedback.relations import clash
from langchain_model_alignment.languages import has_cjk, words_of
from langchain_model_alignment.literals import VARIABLE, check_variables, literals_in, variables_in
from langchain_model_alignment.orders import ORDERS, is_negated, is_wish
from langchain_model_alignment.wishes import claims_absence, lost, takes_back
from langchain_model_alignment.wording import names_in, says, sentences_of, stems_in

__all__ = ["adds", "follows", "keeps_text"]

_THOUGHT = re.compile(
    r"\A\W*(?:thoughts?\b|thinking|reasoning|i (?:should|would|will|need|think|am|have)\b|i'[dlm]|let me|let's|okay|ok,"
    r"|first,|sure|the (?:prompt|instructions?|feedback|user|person|request) "
    r"(?:is|should|asks|says|needs|wants|already))",
    re.IGNORECASE,
)
# Words that join rules to sentences and ask for nothing by themselves.
_JOINING = stems_in(" ".join(ORDERS)) | stems_in(
    "ensure ensuring sure following follows below above including includes within without while during according "
    "based both between also additionally finally well such using keeping making avoiding remember important rule "
    "rules principle principles instruction instructions output sentence sentences word words item items case clearly "
    "regardless overall along them themselves whether provided given"
)
_SIZES = re.compile(
    r"\b(?:many|few|fewer|less|more|long|longer|short|shorter|brief|enough|single|every|all|only|number|count|limit|"
    r"lang|kurz|kürzer|mehr|weniger|larg\w+|cort\w+|más|menos)\b|长|短|多|少",
    re.IGNORECASE,
)
_ADDED = 4
_ADDED_BY_FEEDBACK = 8


def keeps_text(old: str, new: str) -> str | None:
    """Return what a rewritten text lost of the old one, or nothing.

    Kept must be variables, literals, numbers, names, most words, and every sentence that asks for something, on its
    own side.

    Example:
        >>> keeps_text('Reply as {"a": 1} to {name}.', 'Reply to {name}.')
        'it changes or drops the literal {"a": 1}'
        >>> keeps_text("Do not mention prices.", "Mention prices. Be brief.")
        'it no longer says “Do not mention prices.”'
    """
    fault = _fault_of_form(old, new)
    if fault:
        return fault
    if new.count("\n") < 0.75 * old.count("\n"):
        return "it joins lines that were separate"
    for what, found in (("number", numbers_in), ("name", names_in)):
        gone = sorted(found(old) - found(new))
        if gone and gone[0] not in new:
            return f"it drops the {what} {gone[0]}"
    stems = stems_in(old)
    if len(stems & stems_in(new)) < 0.75 * len(stems):
        return "it drops part of the instructions"
    return _unsaid(sentences_of(old), old, new) or (
        "it repeats instructions" if len(new) > 2 * len(old) + 2000 else None
    )


def follows(old: str, new: str, feedback: str) -> str | None:
    """Return what a direct update did wrong; it may change what the feedback is about, but must say what is asked.

    Example:
        >>> follows("Sum up {text}.", "Sum up {text} and mention prices.", "never mention prices")
        'it loses the “not” of the feedback'
        >>> follows("Sum up {text}.", "Sum up {text} without prices.", "never mention prices")
    """
    fault = _fault_of_form(old, new)
    if fault:
        return fault
    gone = sorted((numbers_in(feedback) - numbers_in(new)) | {n for n in names_in(feedback) if n not in new})
    if gone:
        return f"it does not say {gone[0]}"
    if new.strip() == old.strip():
        return "it changes nothing"
    about = stems_in(feedback)
    kept = {stem for stem in stems_in(old) - about - _JOINING if not stem.isdigit()}
    if len(kept & stems_in(new)) < 0.6 * len(kept):
        return "it drops part of the instructions"
    others = [sentence for sentence in sentences_of(old) if not stems_in(sentence) & about]
    return (
        _unsaid(others, old, new)
        or _turned(old, new, feedback)
        or _unheard(old, new, feedback)
        or adds(old, new, [feedback], _ADDED_BY_FEEDBACK)
    )


def adds(old: str, new: str, asked: Iterable[str], at_most: int = _ADDED) -> str | None:
    """Return whether a rewritten text says more than the old text and what was asked, a few words aside.

    Example:
        >>> adds("Uses of {item}?", "Uses of {item}? Rope, rain cover, sun shade, umbrella.", ["Be brief."])
        'it adds what nobody asked for'
        >>> adds("Uses of {item}?", "Briefly list uses of {item}.", ["Be brief."])
    """
    known = stems_in(old).union(_JOINING, *(stems_in(text) for text in asked))
    added = stems_in(_bare(new)) - known
    # In Chinese each pair of characters counts as a word, the pairs at every seam too.
    bound = 4 * at_most if has_cjk(new) else at_most
    return "it adds what nobody asked for" if len(added) > bound else None


def _fault_of_form(old: str, new: str) -> str | None:
    if not new.strip():
        return "it is empty"
    if _THOUGHT.match(new) and not _THOUGHT.match(old):
        return "it thinks about the instructions instead of writing them"
    fault = check_variables(old, new)
    if fault:
        return fault
    was, now = Counter(VARIABLE.findall(old)), Counter(VARIABLE.findall(new))
    for name in variables_in(old):
        if now[name] < was[name]:
            return f"it drops a use of the variable {{{name}}}"
    # Who is compared with whom, what goes from where to where: only the places of the variables tell.
    return "it changes the order of the variables" if variables_in(old) != variables_in(new) else None


def _unsaid(sentences: Sequence[str], old: str, new: str) -> str | None:
    """The first sentence, of those that bind an answer, that a rewritten text does not say, or turns round."""
    literals = set(literals_in(old))
    plain, bare = " ".join(new.split()), _bare(new, literals)
    for sentence in sentences:
        if sentence in plain or not (numbers_in(sentence) or is_negated(sentence) or is_wish(sentence)):
            continue
        if not says(bare, _bare(sentence, literals)):
            return f"it no longer says “{sentence}”"
    return None


def _turned(old: str, new: str, feedback: str) -> str | None:
    """What a direct update dropped or turned round although the feedback is not about it."""
    limits, told = limits_in(old), limits_in(new)
    if not numbers_in(feedback) and not _SIZES.search(feedback):
        gone = sorted(numbers_in(old) - numbers_in(new))
        gone += [number for number, side in limits.items() if told.get(number, side) != side]
        if gone:
            return f"it changes the number {gone[0]}"
    about, was, now = SAYING | sides_in(feedback).keys(), sides_in(_bare(old)), sides_in(_bare(new))
    for root, sides in was.items():
        if root in now and root not in about and "open" not in sides | now[root] and not sides & now[root]:
            return f"it turns “{root}” round"
    return None


def _unheard(old: str, new: str, feedback: str) -> str | None:
    """What a direct update does not say of the feedback, judged by the sentences that it changed."""
    before, after = sentences_of(old), sentences_of(new)
    changed = " ".join(sentence for sentence in after if sentence not in before)
    if not changed:
        refuses = is_negated(feedback) or takes_back(feedback) or not is_wish(feedback)
        gone = " ".join(sentence for sentence in before if sentence not in after)
        meant = refuses and not claims_absence(feedback) and stems_in(gone) & stems_in(feedback)
        return None if meant else "it does not say what was asked"
    asked = stems_in(feedback) - stems_in(old)
    counted = numbers_in(feedback) - numbers_in(old)  # that these are said is known already
    if asked and not counted and not asked & stems_in(new):
        return "it does not say what was asked"
    missing = [loss for loss in lost(feedback, _bare(changed), "critique") if loss not in _OF_A_PRINCIPLE]
    if missing:
        return f"it loses {missing[0]} of the feedback"
    wanted, said = sides_in(feedback), sides_in(_bare(changed))
    if "only" in words_of(feedback):  # a direction too, though none that a "not" turns round
        wanted = {root: sides - {"open"} or {"for"} for root, sides in wanted.items()}
    shared = [root for root in wanted if root in said and "open" not in wanted[root] | said[root]]
    if is_wish(feedback) and any(not wanted[root] & said[root] for root in shared):
        return "it turns the feedback round"
    kept = [sentence for sentence in after if sentence in before and stems_in(sentence) & stems_in(feedback)]
    against = next((sentence for sentence in kept if clash(sentence, changed)), None)
    return f"it still says “{against}”" if against else None


# What a principle of its own must be, and a text around it need not.
_OF_A_PRINCIPLE = {"the form of an order", "what it is about", "the language of the feedback"}


def _bare(text: str, literals: Iterable[str] = ()) -> str:
    """A text without its variables and literals: they stand letter by letter, and are no words of a wish."""
    for literal in literals:
        text = text.replace(literal, " ")
    return VARIABLE.sub(" ", text)
