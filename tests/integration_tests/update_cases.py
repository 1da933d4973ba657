"""Ten prompts with principles to weave in, and five answers to suggest feedback about.

What the rewritten text must say and must not say is written by hand, so that the measure owes nothing to the checks
that the package makes itself.
"""

import re
from typing import NamedTuple

from langchain_model_alignment.literals import check_variables
from langchain_model_alignment.templates import PromptMessage, Template


class Update(NamedTuple):
    template: Template
    principles: tuple[str, ...]
    stays: tuple[str, ...]
    """For each sentence of the prompt, what the new text must still say."""
    must: tuple[str, ...]
    """For each principle, what the new text must say."""
    must_not: tuple[str, ...] = ()
    """What would turn a sentence or a principle round."""


UPDATES: tuple[Update, ...] = (
    Update(
        Template.of("Give three uses for the following item: {item}"),
        ("Include at least one creative use.",),
        stays=(r"(three|3)\b.{0,60}\buses\b.*\{item\}",),
        must=(r"creative",),
        must_not=(r"(not|n't|never|no|without)\b[^.\n]{0,30}creative", r"at most one creative"),
    ),
    Update(
        Template.of(
            "You are a support agent for Acme.\n\nCustomer: {customer}\nQuestion: {question}\n\n"
            'Reply in JSON: {"reply": "...", "escalate": false}'
        ),
        ("Never promise refunds.", "Address the customer by first name.", "Stay under 80 words."),
        stays=(
            r"support agent for Acme",
            r"Customer: \{customer\}",
            r"Question: \{question\}",
            r'JSON: \{"reply": "\.\.\.", "escalate": false\}',
        ),
        must=(
            r"(never|not|n't|no|avoid|without|refrain)\b[^.\n]{0,30}refund",
            r"first name",
            r"(under|below|less than|fewer than|within|at most|no more than) 80 words",
        ),
        must_not=(r"(over|above|at least|more than) 80", r"not (use|address)[^.\n]{0,30}first name"),
    ),
    Update(
        Template.of("Write a recipe with {ingredient} for {n} people."),
        ("Do not use any alcohol.", "List the ingredients first.", "Give amounts in grams."),
        stays=(r"recipe\b.*\{ingredient\}.*\{n\} people",),
        must=(
            r"(\bnot?|n't|never|avoid|without|free of|exclud\w*)\b[^.\n]{0,30}alcohol|alcohol-free",
            r"ingredients\b.{0,40}(first|start|begin|before)|(first|start|begin)\w*\b.{0,40}ingredients",
            r"\bgrams?\b",
        ),
        must_not=(r"(\bnot?|n't|never|avoid|without) [^.,;\n]{0,20}grams?",),
    ),
    Update(
        Template.of("Translate the text into French: {text}"),
        ("Keep product names such as Acme Cloud untranslated.", "Use the formal vous."),
        stays=(r"translat\w+ the text into French.*\{text\}",),
        must=(r"(keep|leave|not|n't|never)\b.{0,60}Acme Cloud|Acme Cloud.{0,60}(untranslated|as)", r"vous"),
        must_not=(r"informal", r"(?<!not )\btranslate product names", r"(not|never|n't|avoid)[^.,;\n]{0,20}vous"),
    ),
    Update(
        Template.of("Summarize {article}."),
        (
            "Stay under 50 words.",
            "Mention the author and the date.",
            "Do not give opinions.",
            "End with one question.",
            "Write for a 12-year-old.",
            "Use active voice.",
            "Name every source.",
            "Never use the word synergy.",
        ),
        stays=(r"summar\w+\b.{0,40}\{article\}",),
        must=(
            r"(under|below|less than|fewer than|within|at most|no more than) 50 words",
            r"author\b.{0,20}\bdate|date\b.{0,20}\bauthor",
            r"(\bnot?|n't|never|avoid|without)\b[^.\n]{0,30}opinion",
            r"(end|clos|finish|conclud)\w*\b.{0,20}question",
            r"12[- ]year[- ]old",
            r"active voice",
            r"(name|mention|cite|list|give)\b.{0,40}\bsource",
            r"(\bnot?|n't|never|avoid|without)\b.{0,40}synergy",
        ),
        must_not=(
            r"(over|above|at least|more than) 50",
            r"passive voice",
            r"(not|never|n't|avoid)[^.,;\n]{0,20}(source|active voice)",
        ),
    ),
    Update(
        Template.of('Return `{"id": {0}}` for the order {order_id}. If there is none, return {}.'),
        ("Be brief.",),
        stays=(r'return `\{"id": \{0\}\}` for the order \{order_id\}', r"(if|when)\b.{0,20}\bnone\b.{0,40}\{\}"),
        must=(r"brief|short|concise",),
        must_not=(r"(not|n't|never)\b.{0,15}brief",),
    ),
    Update(
        Template(
            messages=(
                PromptMessage(role="system", text="You are a travel guide for {city}."),
                PromptMessage(role="human", text="{question}"),
            )
        ),
        ("Recommend at most 3 places.", "Only recommend what is free of charge."),
        stays=(r"travel guide for \{city\}", r"\{question\}"),
        must=(
            r"(at most|up to|no more than|maximum of|not more than) (3|three)\b",
            r"\b(only|just|nothing but)\b.{0,60}\bfree\b|\bfree\b.{0,40}\bonly\b",
        ),
        must_not=(r"at least (3|three)", r"not free"),
    ),
    Update(
        Template.of("Classify the mail as one of spam, invoice, other.\n\nMail:\n{mail}\n\nAnswer with one word."),
        ('When unsure, say "other".', "Treat mails from billing@acme.io as invoice."),
        stays=(r"classify the mail as one of spam, invoice,? (or )?other", r"mail:\s+\{mail\}", r"one word"),
        must=(r"(unsure|not sure|uncertain|doubt)\b.{0,30}other", r"billing@acme\.io\b.{0,30}invoice"),
        must_not=(r"billing@acme\.io\b.{0,20}(not|spam)", r"(not|never|n't)\b.{0,20}one word"),
    ),
    Update(
        Template.of("Run `pip install {package}` only after asking. Explain why {package} is needed in 2 sentences."),
        ("Never run commands as root.", "Warn if the package is older than 3 years."),
        stays=(
            r"`pip install \{package\}`.{0,20}\bonly after asking",
            r"explain why \{package\} is needed.{0,20}\b(2|two) sentences",
        ),
        must=(
            r"(never|not|n't|avoid)\b[^.\n]{0,40}\broot\b",
            r"warn\b.{0,60}older than (3|three) years|older than (3|three) years.{0,40}\bwarn",
        ),
        must_not=(r"(younger|newer) than", r"(not|never|n't) warn"),
    ),
    Update(
        Template.of("Schreibe eine Absage an {name}."),
        ("Bleibe höflich.", "Nenne keine Gründe."),
        stays=(r"(?<!k)eine\b.{0,20}Absage an \{name\}",),
        must=(r"höflich", r"(kein|nicht|ohne|verzicht)\w*\b[^.\n]{0,30}(Gr[üu]nd|Begründung)"),
        must_not=(r"unhöflich", r"nicht höflich"),
    ),
)


def faults_of_update(case: Update, text: str) -> list[str]:
    """What a rewritten text lost of a case, by the expressions written for it."""

    def found(pattern: str) -> bool:
        return bool(re.search(pattern, text, re.IGNORECASE | re.DOTALL))

    fault = check_variables(case.template.text, text)
    return [
        *([fault] if fault else []),
        *(f"gone: {pattern}" for pattern in case.stays if not found(pattern)),
        *(f"not said: {pattern}" for pattern in case.must if not found(pattern)),
        *(f"said: {pattern}" for pattern in case.must_not if found(pattern)),
    ]


SUGGESTED_ABOUT: tuple[tuple[str, dict[str, str], str], ...] = (
    (
        "Give three uses for the following item: {item}",
        {"item": "scissors"},
        "1. Cutting paper or fabric\n2. Cutting hair or nails\n3. Cutting metal or wood",
    ),
    (
        "Answer the customer: {question}",
        {"question": "Where is my parcel?"},
        "Dear customer, your parcel is on its way. Please be patient.",
    ),
    (
        "Write a haiku about {topic}",
        {"topic": "rain"},
        "Rain is falling down\nI am walking through the town\nThe sky is so brown",
    ),
    (
        "Summarize: {text}",
        {"text": "The council voted 7 to 2 on Monday to close the old bridge until May. Detours are signposted."},
        "The council closed the bridge.",
    ),
    (
        "Explain {thing} to a child.",
        {"thing": "gravity"},
        "Gravity is the curvature of spacetime caused by mass, as described by Einstein in 1915.",
    ),
)
