"""What is said to a model that judges answers: does one keep a wish, is one worse than before, why was one preferred.

Worked examples first and the changing part last, so that a prompt cache serves all but the last message. Values are put
in as they are and are never read as templates.
"""

from collections.abc import Sequence

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

_HAS_THING = "Does the text have anything to do with the thing? Its kinds and parts count too. Answer yes or no."
_HAS_THING_EXAMPLES = (
    ("pork", "Try our carbonara with bacon, or a green salad.", "yes"),
    ("pork", "Try our carbonara with mushrooms, or a green salad.", "no"),
    ("music", "She plays the violin every night.", "yes"),
    ("music", "She reads a book every night.", "no"),
    ("water", "Row the boat to the island.", "yes"),
    ("animals", "The train leaves at nine.", "no"),
)


def has_thing(thing: str, text: str) -> list[BaseMessage]:
    """Ask whether a text has anything to do with a thing; one token, yes or no, is the answer.

    A small model cannot tell whether an answer keeps a wish (area under the curve .43 to .60 on 28 answers, however it
    was asked), but it can tell this (.99 on 30).
    """
    messages: list[BaseMessage] = [SystemMessage(_HAS_THING)]
    for about, shown, judged in _HAS_THING_EXAMPLES:
        messages += [HumanMessage(f"Text: {shown}\nThing: {about}"), AIMessage(judged)]
    return [*messages, HumanMessage(f"Text: {text}\nThing: {thing}")]


_WORDS_ABOUT = "Which words of the text have to do with the thing? Copy the strongest one, or write none."
_WORDS_ABOUT_EXAMPLES = (
    ("pork", "Try our carbonara with bacon, or a green salad.", "bacon"),
    ("pork", "Try our carbonara with mushrooms, or a green salad.", "none"),
    ("music", "She plays the violin every night.", "violin"),
    ("music", "She reads a book every night.", "none"),
    ("water", "Row the boat to the island.", "boat"),
    ("animals", "The train leaves at nine.", "none"),
)


def words_about(thing: str, text: str) -> list[BaseMessage]:
    """Ask which words of a text have to do with a thing."""
    messages: list[BaseMessage] = [SystemMessage(_WORDS_ABOUT)]
    for about, shown, found in _WORDS_ABOUT_EXAMPLES:
        messages += [HumanMessage(f"Text: {shown}\nThing: {about}"), AIMessage(found)]
    return [*messages, HumanMessage(f"Text: {text}\nThing: {thing}")]


def wish_said(kind: str, text: str) -> str:
    """Return feedback under a word that says what it is."""
    return f"{ {'critique': 'Criticism', 'kudos': 'Praise', 'rewrite': 'Change'}.get(kind, 'Wish') }: {text}"


def named_ban(said: str, things: Sequence[str], found: str) -> str:
    """Return a ban as a rule that names what an answer had all the same; of no rule so far, from its things.

    Example:
        >>> named_ban("Use no alcohol.", ["alcohol"], "red wine"), named_ban("", ["eggs", "milk"], "eggs")
        ('Use no alcohol, such as red wine.', 'Give nothing that has to do with eggs or milk.')
    """
    ban = said.rstrip(". ") or f"Give nothing that has to do with {' or '.join(things)}"
    return f"{ban}, such as {found}." if found and found.casefold() not in ban.casefold() else f"{ban}."


_STRONGER = (
    "A rule for answers was written from what a person said, but an answer still went against it. Write the rule again "
    "so that it cannot be misunderstood: keep what the person wants, and name the kinds of things that went wrong. "
    "One short order that begins with a verb. Write only the rule."
)
_STRONGER_EXAMPLES = (
    (
        "Criticism: We don't serve pork.\nRule: Keep to the menu's limits.\nWrong: carbonara with bacon",
        "Suggest no pork in any form: no bacon, ham or sausage, and no dish that is made with it.",
    ),
    (
        "Criticism: I can't walk far, my knee hurts\nRule: Consider the person's health.\nWrong: a hike of 12 km",
        "Suggest nothing that needs walking far, such as hikes or long city tours.",
    ),
    (
        "Praise: I like that it is a list\nRule: Write a list.\nWrong: one running paragraph",
        "Write the whole answer as a list, one item per line, and no running text.",
    ),
)


def stronger_rule(said: str, rule: str, wrong: str) -> list[BaseMessage]:
    """Ask for a rule that names what an answer got wrong under the old one."""
    messages: list[BaseMessage] = [SystemMessage(_STRONGER)]
    for asked, answered in _STRONGER_EXAMPLES:
        messages += [HumanMessage(asked), AIMessage(answered)]
    return [*messages, HumanMessage(f"{said}\nRule: {rule}\nWrong: {wrong}")]


_JUDGE = """\
You check whether a prompt's new answer is as good as people have asked for. You see the old answer, what people said \
about answers to this input, numbered, and the new answer. For each saying decide whether the new answer does what the \
person wants: kept or not, with the reason in one short sentence that names the words of the new answer which show it. \
What is unwanted is also unwanted under another name or as a part of something. Then say whether the new answer is, \
all in all, worse than the old one for somebody who sent this input."""


def judge(inputs: str, old: str, said: Sequence[str], new: str) -> list[BaseMessage]:
    """Ask a strong model for everything about a new answer at once."""
    listed = "\n".join(f"{number}. {saying}" for number, saying in enumerate(said, 1)) or "(nothing)"
    return [
        SystemMessage(_JUDGE),
        HumanMessage(f"Input:\n{inputs}\n\nOld answer:\n{old}\n\nWhat people said:\n{listed}\n\nNew answer:\n{new}"),
    ]


_WHY = (
    "A person liked answer A better than answer B. Say three things about answer A that can be why, and that answer B "
    'does not have. Each is one short sentence that begins with "It". Write a numbered list of three and nothing else.'
)
_WHY_EXAMPLE = (
    "Answer A:\nPorto lies on the Douro. Cross the Luís I Bridge on foot, then try port wine in Gaia (tours from 15 "
    "euros).\n\nAnswer B:\nPorto is a great city! There is so much to see, you will love it!",
    "1. It names concrete sights.\n2. It says what a tour costs.\n3. It is matter-of-fact instead of enthusiastic.",
)


def why_better(better: str, worse: str) -> list[BaseMessage]:
    """Ask why a person may have liked one answer better than another."""
    return [
        SystemMessage(_WHY),
        HumanMessage(_WHY_EXAMPLE[0]),
        AIMessage(_WHY_EXAMPLE[1]),
        HumanMessage(f"Answer A:\n{better}\n\nAnswer B:\n{worse}"),
    ]
