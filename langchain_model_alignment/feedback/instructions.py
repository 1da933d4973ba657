"""Every sentence that the feedback floor says to a model.

The short steps (`restate`, `describe_change`, `can_follow_both`) are for small models: one purpose each, worked
examples first and the changing part last, so that a prompt cache serves all but the last message. The one-call
instructions are for strong models. Values are put in as they are and are never read as templates.
"""

from collections.abc import Sequence

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from langchain_model_alignment.languages import language_of

PRINCIPLES_HEADING = "Follow these principles:"
ASKED_HEADING = "Also do what was asked:"

_RESTATE = """You turn feedback on an answer into one rule that all future answers must follow.
Write the rule as one short order that begins with a verb, in the language of the feedback.
Keep every number, name, date, limit, condition and "not" of the feedback.
A criticism is turned around: what was missing is asked for, what was bad is forbidden or replaced.
Praise is kept: the rule asks for the same again.
Write only the rule."""

_RESTATE_EXAMPLES = (
    ("Criticism: dull", "Write in a lively way."),
    ("Criticism: The summary leaves out who was responsible.", "Say who was responsible."),
    ("Criticism: I had expected some numbers in it", "Give some numbers."),
    ("Criticism: I couldn't see anywhere how old he was", "Give his age."),
    ("Criticism: way too many adjectives, and it must stay under 80 words", "Use few adjectives and stay under 80 words."),
    ("Praise: I like that it does not start with a greeting.", "Do not start with a greeting."),
    ("Criticism: My grandmother of 90 can't follow this.", "Write so that a 90-year-old can follow it."),
    ("Praise: It doesn't rush to a conclusion.", "Do not rush to a conclusion."),
    ("Praise: The timeline helps me to see what came first", "Use a timeline to show what came first."),
    ('Criticism: The list ends with "etc." again, that is lazy', 'Do not end the list with "etc.".'),
    ("Criticism: I said I live in Oslo and you listed shops in Bergen.", "List shops in the person's own city: Oslo, not Bergen."),
    ("Criticism: this reads like a lawyer's letter", "Write in plain, everyday words, not like a lawyer's letter."),
    ("Criticism: temperatures are in Fahrenheit, our readers use Celsius", "Give temperatures in Celsius, not Fahrenheit."),
    ("Praise: Good: it names Maria Lopez and the deadline of 3 May.", "Name Maria Lopez and the deadline of 3 May."),
    ("Criticism: We don't serve pork and this recipe has ham.", "Suggest no recipes with pork, such as ham."),
    ("Praise: The map in the middle is really helpful", "Put a map in the middle."),
    ("Criticism: never give discounts unless the order is above 100 euros", "Never give discounts unless the order is above 100 euros."),
    ("Criticism: Nobody asked for your opinion", "Do not give opinions."),
    ("Praise: It says where its numbers come from, that is honest", "Name the source of each number."),
    ("Criticism: Don't suppose that everybody drives", "Don't suppose that everybody drives."),
    ("Criticism: If you can, add a picture of each dish", "If you can, add a picture of each dish."),
    ("Criticism: only list hotels with a pool", "Only list hotels with a pool."),
)  # fmt: skip


# Only for feedback in these languages: next to English they tempt a small model to answer in the wrong one.
_RESTATE_ABROAD = {
    "de": (
        ("Praise: Schön, dass der Name genannt wird", "Nenne den Namen."),
        ("Criticism: Der Text ist nicht höflich genug, bitte mit Gruß", "Schreibe höflicher und mit Gruß."),
    ),
    "es": (
        ("Praise: Me gusta que sea breve", "Sé breve."),
        ("Criticism: Falta la fecha", "Escribe la fecha."),
        ("Criticism: No uses palabras inglesas", "No uses palabras inglesas."),
    ),
    "zh": (("Praise: 很好，没有废话", "不要写废话。"), ("Criticism: 没有写日期", "请写日期。")),
}


def _with_examples(system: str, examples: Sequence[tuple[str, str]], last: str) -> list[BaseMessage]:
    messages: list[BaseMessage] = [SystemMessage(system)]
    for asked, answered in examples:
        messages += [HumanMessage(asked), AIMessage(answered)]
    return [*messages, HumanMessage(last)]


def restate(kind: str, feedback: str) -> list[BaseMessage]:
    """Ask for one rule from a critique or kudos, seen alone: more context makes a small model worse."""
    word = "Praise" if kind == "kudos" else "Criticism"
    examples = (*_RESTATE_EXAMPLES, *_RESTATE_ABROAD.get(language_of(feedback) or "en", ()))
    return _with_examples(_RESTATE, examples, f"{word}: {feedback}")


_DESCRIBE_CHANGE = """A person changed an answer. Say in one short order what all future answers must do, so that this change is not needed again.
Name what was removed, added or replaced: leave out what was removed, include what was added.
Keep fixed details such as names, contacts, times and closing lines as they are. If it became shorter, ask for short answers.
Write only the order."""

_CHANGE_EXAMPLES = (
    ("Added: To cancel, call 555-0100.", "Say that cancelling is possible by calling 555-0100."),
    ("Removed: written by John Smith of Leeds", "Leave out who wrote it."),
    ("Replaced: 5 miles -> 8 km", "Give distances in kilometres, not miles."),
    (
        "Before: Click the button. Then wait. Then you will see the page, which is of course only shown if everything "
        "went well, as one would expect.\nAfter: Click the button and wait for the page.\nLength: 26 words -> 8 words, shorter",
        "Keep it short and leave out side remarks.",
    ),
    (
        "Before: Stop eating meat, it kills you.\nAfter: Eating less meat may lower some health risks.",
        "Make careful statements and give no orders.",
    ),
    (
        "Removed: And then the butler confesses.\nAdded: Who did it?\nNew: ends with a question",
        "Do not tell the end; close with a question.",
    ),
    (
        "Before: hey, send me ur invoice\nAfter: Good morning, could you please send me your invoice?",
        "Write politely, in full sentences, and start with a greeting.",
    ),
    (
        "Before: Milk, eggs and flour are needed.\nAfter: - milk\n- eggs\n- flour\nNew: a list",
        "Write a bullet list, one item per line.",
    ),
    (
        "Before: It might perhaps be good to maybe call them.\nAfter: Call them.",
        "Be direct; do not hedge with might, perhaps or maybe.",
    ),
    (
        "Before: Buy this fund, it will rise.\nAfter: I can't advise on funds. Please talk to your bank.",
        "Do not give advice on funds; refer people to their bank.",
    ),
)


def describe_change(change: str) -> list[BaseMessage]:
    """Ask for one rule from what a rewrite changed."""
    return _with_examples(_DESCRIBE_CHANGE, _CHANGE_EXAMPLES, change)


def repair_rule(messages: Sequence[BaseMessage], answer: str, missing: Sequence[str]) -> list[BaseMessage]:
    """Ask again for a rule that lost part of the wish: the same request once more, with what was lost."""
    asked = messages[-1].text
    if "the form of an order" in missing:
        ask = f"That only repeats what was said. What must the next answer do? Write an order that begins with a verb.\n{asked}"
    else:
        ask = f"That rule lost {', '.join(missing)}. Once more, in the same words as the person:\n{asked}"
    return [*messages, AIMessage(answer), HumanMessage(ask)]


_FOLLOW_BOTH = "Two rules for writing answers are given. Can one answer follow both rules at once? Answer yes or no."

_FOLLOW_BOTH_EXAMPLES = (
    ("Use long sentences.", "Use short sentences.", "no"),
    ("Mention the author.", "Name the author.", "yes"),
    ("Use simple words.", "Add a title.", "yes"),
    ("Do not mention politics.", "Do not mention religion.", "yes"),
    ("Do not give advice.", "Always give advice.", "no"),
    ("Write about the sea.", "Write under 30 words.", "yes"),
    ("Answer in rhymes.", "Keep a serious tone.", "yes"),
    ("Be polite.", "Write politely.", "yes"),
    ("Use at most 4 lines.", "Write at least 10 lines.", "no"),
    ("Offer only fish dishes.", "Offer dishes that take 20 minutes.", "yes"),
    ("Start with a joke.", "Close with a summary.", "yes"),
)


def can_follow_both(old: str, new: str) -> list[BaseMessage]:
    """Ask whether two rules can be followed at once; one token, yes or no, is the answer."""

    def pair(a: str, b: str) -> str:
        return f"Rule A: {a}\nRule B: {b}\nCan one answer follow both?"

    examples = [(pair(a, b), answer) for a, b, answer in _FOLLOW_BOTH_EXAMPLES]
    return _with_examples(_FOLLOW_BOTH, examples, pair(old, new))


_KEEPS_WISH = (
    "A person gave feedback on an answer. A rule for future answers was written from it. "
    "Does the rule ask for what the person wants? Answer yes or no."
)

_KEEPS_WISH_EXAMPLES = (
    ("Criticism: The summary leaves out who was responsible.\nRule: Say who was responsible.", "yes"),
    ("Criticism: we are open in winter but you wrote about summer\nRule: Write about summer, not winter.", "no"),
    ("Praise: I like that it does not start with a greeting.\nRule: Start with a greeting.", "no"),
    ("Criticism: the tone is too cold\nRule: Write in a warmer tone.", "yes"),
    ("Criticism: fewer adjectives, more facts\nRule: Use more adjectives and facts.", "no"),
    (
        "Criticism: temperatures are in Fahrenheit, our readers use Celsius\nRule: Give temperatures in Celsius, not Fahrenheit.",
        "yes",
    ),
    (
        "Criticism: It praises our rivals; it must describe our own product.\nRule: Do not praise rivals; describe our own product.",
        "yes",
    ),
    ("Criticism: You sent me to the airport, I take the train.\nRule: Send people to the airport.", "no"),
)


def keeps_wish(kind: str, feedback: str, rule: str) -> list[BaseMessage]:
    """Ask whether a rule asks for what its feedback wants; one token, yes or no, is the answer."""
    word = "Praise" if kind == "kudos" else "Criticism"
    return _with_examples(_KEEPS_WISH, _KEEPS_WISH_EXAMPLES, f"{word}: {feedback}\nRule: {rule}")


_WEAVE = """You rewrite instructions so that they also say the given rules.
Keep every sentence, format, example and {variable} of the instructions as it is, letter by letter.
Say every rule once, in its own words, at a fitting place. Add nothing else.
Write only the rewritten instructions."""

_WEAVE_EXAMPLES = (
    (
        "Instructions:\nSummarize the text: {text}\n\nRules:\n- Use at most 40 words.\n- Do not name people.",
        "Summarize the text in at most 40 words and do not name people: {text}",
    ),
    (
        'Instructions:\nYou sort mails. Reply as {"label": "spam"}.\n\nRules:\n- When unsure, say "other".',
        'You sort mails. When unsure, say "other". Reply as {"label": "spam"}.',
    ),
    (
        "Instructions:\nHelp {caller} with the request below.\n\n{request}\n\nRules:\n- Be friendly.\n"
        "- Never promise refunds.\n- End with a question.",
        "Help {caller} with the request below. Be friendly, never promise refunds, and end with a question."
        "\n\n{request}",
    ),
)


def weave(text: str, rules: Sequence[str]) -> list[BaseMessage]:
    """Ask for the instructions rewritten so that they say the rules."""
    listed = "\n".join(f"- {rule}" for rule in rules)
    return _with_examples(_WEAVE, _WEAVE_EXAMPLES, f"Instructions:\n{text}\n\nRules:\n{listed}")


_DIRECT = """You change instructions so that future answers follow the feedback on the last answer.
Keep every sentence, format, example and {variable} of the instructions as it is, unless the feedback is about it.
Say what the feedback asks for, with all its numbers, names and limits. Add nothing else.
Write only the changed instructions."""

_DIRECT_EXAMPLES = (
    (
        "Instructions:\nSummarize the text: {text}\n\nFeedback:\nit is too long, 40 words are enough",
        "Summarize the text in at most 40 words: {text}",
    ),
    (
        'Instructions:\nYou sort mails. Reply as {"label": "spam"}.\n\nFeedback:\nI miss a label for invoices',
        'You sort mails. Use the label "invoice" for invoices. Reply as {"label": "spam"}.',
    ),
    (
        "Instructions:\nWrite a story about {topic}.\n\nFeedback:\nI don't like that somebody dies",
        "Write a story about {topic} in which nobody dies.",
    ),
)


def direct_update(text: str, feedback: str) -> list[BaseMessage]:
    """Ask for the instructions changed as the feedback asks, without a principle in between."""
    return _with_examples(_DIRECT, _DIRECT_EXAMPLES, f"Instructions:\n{text}\n\nFeedback:\n{feedback}")


def repair_prompt(messages: Sequence[BaseMessage], answer: str, fault: str) -> list[BaseMessage]:
    """Send a rewritten prompt back with what is wrong with it."""
    ask = f"Not yet: {fault}. Write the whole instructions again, mended. Write only the instructions."
    return [*messages, AIMessage(answer), HumanMessage(ask)]


_CRITIQUES = """Read the instructions and the answer. Write three different criticisms of this answer: first what is missing, then how it is written, then what it could do better.
Each is one short sentence about this answer that begins with "It". Write a numbered list of three and nothing else."""

_KUDOS = """Read the instructions and the answer. Write three different praises of this answer: what is good about it and should stay.
Each is one short sentence about this answer. Write a numbered list of three and nothing else."""

_SHOWN = (
    "Instructions:\nDescribe {city} to a tourist.\ncity: Porto\n\nAnswer:\nPorto is a city in Portugal. It has bridges. You will love it!",
    "Instructions:\nName three dishes with {ingredient}.\ningredient: rice\n\nAnswer:\n1. Rice pudding\n2. Fried rice\n3. Risotto, which is cooked slowly in broth",
)
_CRITICISMS_OF_SHOWN = (
    "1. It names no concrete sight that a tourist could visit.\n2. It is written in short, dull sentences.\n3. It could say how to get around the city.",
    "1. It gives no description of the first two dishes.\n2. It is only a bare list of names.\n3. It could offer less common dishes.",
)
_PRAISES_OF_SHOWN = (
    "1. It is short and quick to read.\n2. It says in which country the city lies.\n3. It ends on an enthusiastic note.",
    "1. The numbered list is easy to scan.\n2. The dishes come from different kitchens.\n3. It explains how risotto is cooked.",
)


def suggest(kind: str, prompt: str, response: str) -> list[BaseMessage]:
    """Ask for three critiques or kudos of a response."""
    praise = kind == "kudos"
    close = f"\n\nThree {'praises' if praise else 'criticisms'} of this answer:"
    answers = _PRAISES_OF_SHOWN if praise else _CRITICISMS_OF_SHOWN
    examples = [(shown + close, answer) for shown, answer in zip(_SHOWN, answers, strict=True)]
    return _with_examples(
        _KUDOS if praise else _CRITIQUES, examples, f"Instructions:\n{prompt}\n\nAnswer:\n{response}{close}"
    )


def suggest_more(messages: Sequence[BaseMessage], answer: str) -> list[BaseMessage]:
    """Ask again when some of three suggestions were empty or alike."""
    return [
        *messages,
        AIMessage(answer),
        HumanMessage("Write three other sentences about the same answer, each naming another point of it."),
    ]


_DECIDE = """You keep the list of principles that a prompt's answers must follow. A person gave feedback on one answer. Decide on one change to the list:
- "add" a principle that captures the feedback;
- "edit" the existing principle that is about the same matter, or that the feedback contradicts, giving its new full text;
- "delete" an existing principle that the feedback takes back, when nothing new is asked for.
The principle is one imperative sentence in the language of the feedback, general enough for other inputs. It keeps every number, name, limit, condition and negation of the feedback, and does not quote the answer. Praise asks for the same again; for a rewrite, look at what was changed and ask for that.
In "conflicts", name the principles that stay and that the new one, called "new", contradicts or repeats; or "new" alone, where it fits only this input."""


def decide(
    prompt: str, inputs: str, response: str, feedback: str, kind: str, principles: Sequence[tuple[str, str]]
) -> list[BaseMessage]:
    """Ask a strong model for the whole decision in one call."""
    listed = "\n".join(f"{id}: {text}" for id, text in principles) or "(none yet)"
    parts = [
        f"Prompt:\n{prompt}",
        f"Inputs:\n{inputs}" if inputs else "",
        f"Answer:\n{response}",
        f"Existing principles:\n{listed}",
        f"Feedback ({kind}):\n{feedback}",
    ]
    return [SystemMessage(_DECIDE), HumanMessage("\n\n".join(part for part in parts if part))]
