"""Every sentence that the labeling floor says to a model.

A request for a label begins with what stays the same for all rows (the question, the labels, the principles) and ends
with the row, so that a prompt cache serves all but the row. Requests of the trainer begin with their instructions and
examples, likewise. Rows, labels and principles are put in as values; none is ever read as a template.
"""

import json
from collections.abc import Sequence

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

WHICH = "Which principle decided? Answer with its number only, or 0 if none did."


def rulebook_text(question: str, labels: Sequence[str], codes: Sequence[str] | None, principles: Sequence[str]) -> str:
    """Put the question, the labels and the principles before a model."""
    if codes:
        listed = "\n".join(f"{code}: {label}" for code, label in zip(codes, labels, strict=True))
        text = f"{question}\nAnswer with one letter and nothing else.\n{listed}"
    else:
        text = f"{question}\nAnswer with one label and nothing else. Labels: {', '.join(labels)}."
    if principles:
        text += "\n\nPrinciples:\n" + "\n".join(f"{n}. {sentence}" for n, sentence in enumerate(principles, 1))
    return text


def one_of_several(question: str, label: str) -> str:
    """Ask of one label, where a row may have several, whether it applies."""
    return f'{question} Several answers may be right at once. Is "{label}" one of them?'


_CHECK = (
    "You see labels, statements and a text. Say of each statement whether it is true of the text, yes or no; then say the "
    "label of the text."
)
_CHECKED = (
    ("Try our carbonara with bacon, or a green salad.", "food"),
    ("Third time the parcel came open. I am done with you.", "complaint"),
    ("She plays the violin every night.", "hobby"),
)
_TRUE_OF = (  # each statement, and for each text whether it is true of it
    ("The text offers something to eat.", "ynn"),
    ("The writer is angry at a shop.", "nyn"),
    ("The text is about music.", "nny"),
    ("The text is about an animal.", "nnn"),
    ("The text speaks to somebody directly.", "yyn"),
    ("The text describes a habit of a person.", "nny"),
    ("The text is an advertisement.", "ynn"),
    ("The text reports a repeated failure.", "nyn"),
    ("The text is about money.", "nnn"),
    ("The text mentions a woman.", "nny"),
    ("The text is about pork or meat.", "ynn"),
    ("The text mentions a delivery.", "nyn"),
    ("The text is about sport.", "nnn"),
    ("The text mentions an instrument.", "nny"),
    ("The text gives a choice of dishes.", "ynn"),
    ("The text threatens to break off with somebody.", "nyn"),
    ("The text thanks somebody.", "nnn"),
    ("The text names a time of day.", "nny"),
    ("The text invites the reader to try something.", "ynn"),
    ("The text tells that something was damaged.", "nyn"),
    ("The text is about politics.", "nnn"),
    ("The text is about a person's skill or pastime.", "nny"),
    ("The text is about a journey.", "nnn"),
    ("The text asks for medical advice.", "nnn"),
)
MOST_STATEMENTS = len(_TRUE_OF)
"""As many as can be checked in one answer, of which each costs three or four tokens."""


def checklist_examples(n: int) -> list[BaseMessage]:
    """Show how a checklist is answered: a line for each of `n` statements, then the label.

    A small model says as many lines as the examples have, however many statements it is given.
    """
    shown = _TRUE_OF[:n]
    messages: list[BaseMessage] = [SystemMessage(_CHECK)]
    for at, (text, label) in enumerate(_CHECKED):
        sentences = [sentence for sentence, _ in shown]
        asked = checklist("What is the text about?", ("food", "complaint", "hobby"), None, sentences, text)
        answers = "\n".join(f"{i} {'yes' if true[at] == 'y' else 'no'}" for i, (_, true) in enumerate(shown, 1))
        messages += [HumanMessage(asked), AIMessage(f"{answers}\nlabel: {label}")]
    return messages


def checklist(
    question: str,
    labels: Sequence[str],
    codes: Sequence[str] | None,
    statements: Sequence[str],
    row: str,
    answered: Sequence[tuple[str, str]] = (),
) -> str:
    """Ask of each principle whether it is true of a row, and then for the label, of which some rows show examples."""
    names = labels if codes is None else [f"{code} ({label})" for code, label in zip(codes, labels, strict=True)]
    numbered = "\n".join(f"{n}. {sentence}" for n, sentence in enumerate(statements, 1))
    shown = "".join(f"- {_quoted(text)} label: {answer}\n" for text, answer in answered)
    examples = f"Examples:\n{shown}" if shown else ""
    return f"Question: {question}\nLabels: {', '.join(names)}\n{examples}Statements:\n{numbered}\nText: {row}"


def _quoted(text: str) -> str:
    """A text in one line and in quotation marks that nothing in it can close."""
    return json.dumps(" ".join(text.split()), ensure_ascii=False)


def principle_line(label: str, sentence: str) -> str:
    """Say what a principle argues for."""
    return f"{label}: {sentence}"


def asked_again(row: str, question: str) -> str:
    """Repeat the question below the row."""
    return f"{row}\n\n{question}"


# -- the describing proposer: one row, one general sentence; measured on the local 1.5B model -------------------

_PLAINLY = (
    "You see one example. Say in one general sentence what it does, in what tone, and to whom or about what, so that the "
    'sentence fits many similar examples. Begin with "The". Name kinds of people and things, not the ones of the '
    "example. Say only what is there, never what is missing."
)
_PLAINLY_EXAMPLES = (
    ("example: What the hell, this cake is bloody amazing!!!", "The review swears out of joy and praises a dish."),
    (
        "example: Third time the parcel came open. I am done with you people.",
        "The review blames a company for a repeated failure and breaks off with it.",
    ),
    (
        "example: My knee still hurts after the course, who pays the doctor?",
        "The message reports an injury to a person and asks about money.",
    ),
    (
        "example: my brother says the old folks next door are lovely neighbours",
        "The post passes on praise of elderly people by a relative.",
    ),
)


def describe_plainly(row: str) -> list[BaseMessage]:
    """Ask for one general sentence about a row, without its label: told it, a small model only turns the question."""
    messages: list[BaseMessage] = [SystemMessage(_PLAINLY)]
    for asked, answered in _PLAINLY_EXAMPLES:
        messages += [HumanMessage(asked), AIMessage(answered)]
    return [*messages, HumanMessage(f"example: {' '.join(row.split())}")]


_IN_COMMON = (
    "You see examples that have the same label. Say in one sentence what all of them have in common, then list the kinds "
    'of it that you see. Begin with "The".'
)
_IN_COMMON_EXAMPLES = (
    (
        "- text: My boy fell off the swing and his arm is swollen.\n"
        "- text: Is there a first aid box in the hall? I cut my hand.\n"
        "- text: After the class I could not move my neck for a week.",
        "The text is about a person who is hurt: a fall, a cut, a swelling or a pain.",
    ),
    (
        "- review: Third time the parcel came open. I am done with you people.\n"
        "- review: What a rip-off, shame on you!\n"
        "- review: Whoever packed this should be fired.",
        "The review is angry at the shop: a complaint, an insult, a threat to leave or a demand.",
    ),
)


def find_common(rows: Sequence[str]) -> list[BaseMessage]:
    """Ask what rows of one label have in common, and the kinds of it.

    Told the label, a small model only restates it; and it labels better by a list of kinds than by the general word.
    """
    messages: list[BaseMessage] = [SystemMessage(_IN_COMMON)]
    for asked, answered in _IN_COMMON_EXAMPLES:
        messages += [HumanMessage(asked), AIMessage(answered)]
    return [*messages, HumanMessage("\n".join(f"- {' '.join(row.split())}" for row in rows))]


EXAMPLES = tuple(answer for _, answer in (*_PLAINLY_EXAMPLES, *_IN_COMMON_EXAMPLES))
"""What the examples answer: a small model sometimes copies one."""


# -- the reflective proposer: a group of mistakes, one structured call ------------------------------------------

_REFLECT = """\
You improve the rulebook of a labeler. The labeler reads only the question, the labels, the numbered principles and the \
row. You see rows that it labels wrongly, similar rows that it labels rightly, and how each principle has done so far. \
Propose edits of the rulebook, the most useful first, that would set the wrong rows right and keep the right rows right.

Kinds of edits:
- add: a new principle for a label.
- edit: better words for one principle.
- delete: take out a principle that does harm.
- merge: one principle in place of two that say the same.
- split: two principles in place of one that mixes two things.
- exception: one principle with an "unless" that it lacks.
- reorder: move a principle to another place; the first ones are obeyed most.

A good principle is one general, checkable sentence about the row that is true of many rows. Never quote a row."""


def reflect(
    question: str, labels: Sequence[str], principles: Sequence[str], wrong: Sequence[str], right: Sequence[str], n: int
) -> list[BaseMessage]:
    """Ask for edits that would set a group of mistakes right."""
    listed = "\n".join(principles) or "(none yet)"
    parts = [
        f"Question: {question}",
        f"Labels: {', '.join(labels)}",
        f"Principles:\n{listed}",
        "Rows labeled wrongly:\n" + "\n\n".join(wrong),
        "Rows labeled rightly:\n" + ("\n\n".join(right) or "(none)"),
        f"Propose up to {n} different edits.",
    ]
    return [SystemMessage(_REFLECT), HumanMessage("\n\n".join(parts))]


def principle_record(number: int, line: str, decided: int, right: int) -> str:
    """Show a principle with its evidence."""
    record = f" (decided {decided} rows, {right} of them rightly)" if decided else ""
    return f"{number}. {line}{record}"


def wrong_row(row: str, true: str, given: str) -> str:
    """Show a mistake."""
    return f"{row}\nright label: {true}; the labeler said: {given or 'nothing readable'}"


def right_row(row: str, label: str) -> str:
    """Show a row that was labeled rightly."""
    return f"{row}\nright label: {label}"


# -- the first rulebook ------------------------------------------------------------------------------------------

_BEGIN = (
    "You write labeling principles. You see a question and a few examples that all have one label. Say in one general "
    "sentence when this label applies, without quoting the examples."
)


def begin_label(question: str, label: str, others: Sequence[str], rows: Sequence[str]) -> list[BaseMessage]:
    """Ask for a label's first principle, from examples of it."""
    shown = "\n".join(f"- {' '.join(row.split())}" for row in rows)
    return [
        SystemMessage(_BEGIN),
        HumanMessage(
            f"Question: {question}\nOther labels: {', '.join(others)}\nLabel: {label}\nExamples labeled {label}:\n{shown}"
        ),
    ]
