"""What the alignment model is told to make one principle of many people's wishes; values are put in as they are."""

from collections.abc import Sequence

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

__all__ = ["merge_rules"]

_MERGE = """Many people gave feedback on the answers to one prompt, and a rule for future answers was made from each.
The rules that you get are about the same matter; before each stands how many people asked for it.
Write one rule that asks for what these people want: one short order, in the language of the rules.
Keep the numbers, names, limits, conditions and every "not" of the rules that most people asked for.
Only where the rules are about two different things, write two rules, a line each.
Write only the rule."""

_EXAMPLES = (
    (
        "5 people: Give the opening hours.\n2 people: Say when it opens.\n1 person: Give the hours of each day.",
        "Give the opening hours of each day.",
    ),
    (
        "9 people: Do not name competitors.\n4 people: Leave out the names of competitors.",
        "Do not name competitors.",
    ),
    (
        "3 people: Name the author of the book.\n3 people: Say in which year the book came out.",
        "Name the author of the book.\nSay in which year the book came out.",
    ),
    (
        "6 people: Write at most 5 lines.\n1 person: Keep it to 5 lines and write no headings.",
        "Write at most 5 lines, without headings.",
    ),
)  # fmt: skip


def merge_rules(rules: Sequence[tuple[str, int]]) -> list[BaseMessage]:
    r"""Ask for one rule, or two, that say what several rules with their numbers of people say.

    Example:
        >>> merge_rules([("Be brief.", 3), ("Keep it short.", 1)])[-1].text
        '3 people: Be brief.\n1 person: Keep it short.'
    """
    messages: list[BaseMessage] = [SystemMessage(_MERGE)]
    for asked, answered in _EXAMPLES:
        messages += [HumanMessage(asked), AIMessage(answered)]
    return [*messages, HumanMessage("\n".join(f"{_people(count)}: {text}" for text, count in rules))]


def _people(count: int) -> str:
    return f"{count} people" if count != 1 else "1 person"
