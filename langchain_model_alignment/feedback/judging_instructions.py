"""What is said to a model that judges answers: does one keep a wish, is one worse than before, why was one preferred.

Worked examples first and the changing part last, so that a prompt cache serves all but the last message. Values are put
in as they are and are never read as templates.
"""

from collections.abc import Sequence

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

_KEEPS = (
    "A person said something about an earlier answer. Does the new answer do what the person wants? Something that is "
    "unwanted is also unwanted under another name or as a part of something. Answer yes or no."
)
_KEEPS_EXAMPLES = (
    ("Criticism: We don't serve pork.", "Try our carbonara with bacon, or a green salad.", "no"),
    ("Criticism: We don't serve pork.", "Try our carbonara with mushrooms, or a green salad.", "yes"),
    ("Criticism: Nobody asked for your opinion", "The bridge was built in 1932 and is 500 metres long.", "yes"),
    ("Criticism: say who wrote it", "The report was published in May and has four parts.", "no"),
    ("Praise: It names the price.", "The tour takes two hours and costs 15 euros.", "yes"),
    ("Criticism: I can't walk far, my knee hurts", "Day 1: a tram ride. Day 2: a hike of 12 km to the lake.", "no"),
    ("Praise: I like that it is a list", "You need milk, eggs and flour. Mix them and bake.", "no"),
    ("Criticism: I can't walk far, my knee hurts", "Day 1: a tram ride. Day 2: a boat trip on the lake.", "yes"),
)


def keeps(said: str, answer: str) -> list[BaseMessage]:
    """Ask whether an answer does what a person said; one token, yes or no, is the answer."""
    messages: list[BaseMessage] = [SystemMessage(_KEEPS)]
    for asked, given, judged in _KEEPS_EXAMPLES:
        messages += [HumanMessage(_case(asked, given)), AIMessage(judged)]
    return [*messages, HumanMessage(_case(said, answer))]


def _case(said: str, answer: str) -> str:
    return f"{said}\n\nNew answer:\n{answer}\n\nDoes the new answer do what the person wants?"


def wish_said(kind: str, text: str) -> str:
    """Return feedback under a word that says what it is."""
    return f"{ {'critique': 'Criticism', 'kudos': 'Praise', 'rewrite': 'Change'}.get(kind, 'Wish') }: {text}"


_WHAT_IS_WRONG = (
    "A person said something about an earlier answer, and the new answer still does not do it. Name, in a few words, "
    "what in the new answer is against it."
)
_WHAT_IS_WRONG_EXAMPLES = (
    ("Criticism: We don't serve pork.", "Try our carbonara with bacon, or a green salad.", "carbonara with bacon"),
    (
        "Criticism: I can't walk far, my knee hurts",
        "Day 1: a tram ride. Day 2: a hike of 12 km to the lake.",
        "a hike of 12 km to the lake",
    ),
    ("Criticism: say who wrote it", "The report was published in May and has four parts.", "the author is missing"),
)


def what_is_wrong(said: str, answer: str) -> list[BaseMessage]:
    """Ask what in an answer goes against what a person said."""
    messages: list[BaseMessage] = [SystemMessage(_WHAT_IS_WRONG)]
    for asked, given, found in _WHAT_IS_WRONG_EXAMPLES:
        messages += [HumanMessage(f"{asked}\n\nNew answer:\n{given}"), AIMessage(found)]
    return [*messages, HumanMessage(f"{said}\n\nNew answer:\n{answer}")]


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


_WORSE = (
    "Two answers to the same request are given. Is answer B clearly worse than answer A for the person who asked: "
    "wrong, off the request, or much less useful? Answer yes or no."
)
_WORSE_EXAMPLES = (
    (
        "Name three fruits.",
        "Apples, pears and plums.",
        "Fruit is healthy and comes in many kinds.",
        "yes",
    ),
    ("When does the shop open?", "We open at nine.", "Good morning! The shop opens at 9 a.m.", "no"),
    ("Write a thank-you note to Ann.", "Dear Ann, thank you for the lovely vase. Yours, Tom", "Thanks.", "yes"),
    ("What is a verb?", "A word for something that is done, like run.", "A doing word, such as sing or jump.", "no"),
)


def is_worse(inputs: str, old: str, new: str) -> list[BaseMessage]:
    """Ask whether an answer is worse than the one before; one token, yes or no, is the answer."""

    def case(request: str, a: str, b: str) -> str:
        return f"Request: {request}\n\nAnswer A:\n{a}\n\nAnswer B:\n{b}\n\nIs answer B clearly worse?"

    messages: list[BaseMessage] = [SystemMessage(_WORSE)]
    for request, a, b, judged in _WORSE_EXAMPLES:
        messages += [HumanMessage(case(request, a, b)), AIMessage(judged)]
    return [*messages, HumanMessage(case(inputs, old, new))]


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
