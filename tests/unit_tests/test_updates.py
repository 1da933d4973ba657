"""Principles become the prompt's text; feedback changes it directly; nothing of it is lost."""

import json
import logging
from typing import Any

import pytest
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder

from langchain_model_alignment.constitution import Constitution, Set
from langchain_model_alignment.errors import AuthenticationError, FeedbackError
from langchain_model_alignment.feedback.updates import (
    DirectUpdateRequest,
    PromptUpdate,
    UpdateRequest,
    clean_prompt,
    create_direct_update_chain,
    create_prompt_update_chain,
    keeps_text,
    list_principles,
)
from langchain_model_alignment.history import Document
from langchain_model_alignment.templates import Template
from tests.fakes import ScriptedChatModel, http_error
from tests.integration_tests.update_cases import UPDATES, Update, faults_of_update

STRATEGIES: list[Any] = ["one_call", "short_steps"]


def written(text: str, strategy: str) -> str:
    return json.dumps({"text": text}) if strategy == "one_call" else text


def weave(template: Template, principles: list[str], *answers: Any, strategy: Any = "one_call"):
    model = ScriptedChatModel([written(a, strategy) if isinstance(a, str) else a for a in answers])
    chain = create_prompt_update_chain(model, strategy=strategy)
    constitution = Constitution.of(*principles)
    return chain.invoke(UpdateRequest(template=template, principles=constitution.principles)), model


def direct(template: Template, feedback: str, *answers: Any, strategy: Any = "one_call"):
    model = ScriptedChatModel([written(a, strategy) if isinstance(a, str) else a for a in answers])
    chain = create_direct_update_chain(model, strategy=strategy)
    return chain.invoke(DirectUpdateRequest(template=template, feedback=feedback)), model


def sent(update: PromptUpdate, principles: list[str], template: Template) -> str:
    """The text that a model would see after the update."""
    document = Document(base=template, constitution=Constitution.of(*principles)).apply(update.edit)
    assert document.loose == ()
    return document.description.text


# -- principles into the prompt --------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_principles_are_woven_in_with_one_call(strategy: Any):
    new = "Sum up {text} in at most 40 words; never name people."
    principles = ["Use at most 40 words.", "Never name people."]
    update, model = weave(Template.of("Sum up {text}."), principles, new, strategy=strategy)
    assert (update.edit.template.text, update.listed, update.refused, model.calls) == (new, (), "", 1)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_twelve_principles_take_one_call(strategy: Any):
    principles = [f"Mention colour number {n}." for n in range(2, 14)]
    new = "Sum up {text}. " + " ".join(principles)
    update, model = weave(Template.of("Sum up {text}."), principles, new, strategy=strategy)
    assert (model.calls, update.listed) == (1, ())
    assert all(principle in model.last.text for principle in principles)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    "bad",
    [
        "Sum up briefly.",
        "Sum up {text} briefly for {audience}.",
        "",
        "I should write a prompt that is brief: sum up {text}.",
    ],
)
def test_a_bad_rewrite_goes_back_once_with_the_reason(bad: str, strategy: Any):
    good = "Sum up {text}. Be brief."
    update, model = weave(Template.of("Sum up {text}."), ["Be brief."], bad, good, strategy=strategy)
    assert (update.edit.template.text, update.refused, model.calls) == (good, "", 2)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("bad", ["Sum up briefly.", "Sum up {text} briefly for {audience}.", "", "Sum up {text} {}."])
def test_after_two_bad_rewrites_the_old_text_stays_with_the_principles_below(bad: str, strategy: Any):
    template = Template.of('Sum up {text} as {"a": 1}.')
    update, model = weave(template, ["Be brief.", "Be kind."], bad, bad, strategy=strategy)
    assert sent(update, ["Be brief.", "Be kind."], template) == (
        'Sum up {text} as {"a": 1}.\n\nFollow these principles:\n- Be brief.\n- Be kind.'
    )
    assert update.refused
    assert model.calls == 2


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_principle_that_the_rewrite_forgot_is_listed_below_it(strategy: Any):
    new = "Sum up {text} in at most 40 words."
    principles = ["Use at most 40 words.", "Never name people."]
    update, _ = weave(Template.of("Sum up {text}."), principles, new, strategy=strategy)
    assert update.listed == ("Never name people.",)
    assert sent(update, principles, Template.of("Sum up {text}.")).endswith(
        "Follow these principles:\n- Never name people."
    )


def test_a_principle_that_the_rewrite_turned_around_is_listed_below_it():
    update, _ = weave(Template.of("Sum up {text}."), ["Never mention prices."], "Sum up {text} and mention prices.")
    assert update.listed == ("Never mention prices.",)


def test_a_principle_whose_limit_the_rewrite_turned_around_is_listed_below_it():
    update, _ = weave(Template.of("Sum up {text}."), ["Use at most 40 words."], "Sum up {text}. Use at least 40 words.")
    assert update.listed == ("Use at most 40 words.",)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Give 3 tips on {x}.", "Give tips on {x}. Be brief."),
        ("Answer {x} as the Acme bot.", "Answer {x} as the bot. Be brief."),
        ("Never promise refunds. Greet the customer. Name the order number. Answer {x}.", "Answer {x}. Be brief."),
    ],
)
def test_a_rewrite_that_drops_part_of_the_instructions_is_refused(old: str, new: str):
    update, _ = weave(Template.of(old), ["Be brief."], new, new)
    assert update.refused
    assert update.edit.template.text.startswith(old)


def test_a_rewrite_that_turns_a_not_of_the_instructions_around_is_refused():
    old, new = "Answer {x}. Never promise refunds.", "Answer {x}. Promise refunds. Be brief."
    update, _ = weave(Template.of(old), ["Be brief."], new, new)
    assert update.edit.template.text.startswith(old)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Describe {x}. Do not mention prices.", "Describe {x}. Mention prices. Be brief."),
        ("Describe {x} in at most 50 words.", "Describe {x} in at least 50 words. Be brief."),
        ("Write formally about {x}, never use slang.", "Write formally about {x}, use slang. Be brief."),
        ("Compare {a} with {b}.", "Compare {b} with {a}. Be brief."),
        ("Say {t}. Then repeat {t}.", "Say {t}. Then repeat it. Be brief."),
        ("Antworte auf {x}. Nenne keine Preise.", "Antworte auf {x}. Nenne Preise. Be brief."),
    ],
)
def test_a_rewrite_that_turns_the_instructions_round_is_refused(old: str, new: str):
    update, _ = weave(Template.of(old), ["Be brief."], new, new)
    assert update.refused
    assert update.edit.template.text == f"{old}\n\nFollow these principles:\n- Be brief."


def test_a_rewrite_that_adds_what_nobody_asked_for_is_refused():
    new = "Give three uses for {item}: rain cover, sun shade, portable umbrella. Mention the colour."
    update, _ = weave(Template.of("Give three uses for {item}."), ["Mention the colour."], new, new)
    assert update.refused == "it adds what nobody asked for"


@pytest.mark.parametrize(
    ("old", "principles", "new"),
    [
        ("Write a recipe with {food}.", ["Do not use alcohol."], "Without using alcohol, write a recipe with {food}."),
        (
            "Answer the {question} of the customer.",
            ["Never promise refunds.", "Stay under 80 words."],
            "Answer the {question} of the customer in under 80 words, and never promise refunds.",
        ),
        (
            "Give three uses for the item: {item}",
            ["Include at least one creative use.", "Do not name brands."],
            "Give three uses, including at least one creative use, for the item and do not name brands: {item}",
        ),
        (
            "Summarize {article} in at most 50 words. Do not give opinions.",
            ["Mention the author.", "End with a question."],
            "Summarize {article} in at most 50 words, mention the author, and end with a question. Give no opinions.",
        ),
        (
            "Schreibe eine Absage an {name}.",
            ["Bleibe höflich.", "Nenne keine Gründe."],
            "Schreibe eine Absage an {name}. Bleibe höflich und nenne keine Gründe.",
        ),
        (
            'Classify {mail}. Reply as {"label": "spam"}.',
            ['When unsure, say "other".'],
            'Classify {mail}. When unsure, say "other". Reply as {"label": "spam"}.',
        ),
    ],
)
def test_a_good_rewrite_is_taken(old: str, principles: list[str], new: str):
    update, model = weave(Template.of(old), principles, new)
    assert (update.refused, model.calls) == ("", 1)
    assert update.edit.template.text.startswith(new)


def test_a_readable_text_that_is_no_json_is_taken_in_short_steps_and_said_once(caplog: pytest.LogCaptureFixture):
    model = ScriptedChatModel("Sum up {text}. Be brief.")
    chain = create_prompt_update_chain(model, strategy="one_call")
    with caplog.at_level(logging.WARNING, logger="langchain_model_alignment"):
        update = chain.invoke(
            UpdateRequest(template=Template.of("Sum up {text}."), principles=Constitution.of("Be brief.").principles)
        )
    assert update.edit.template.text == "Sum up {text}. Be brief."
    assert len(caplog.records) == 1


def test_that_a_model_writes_no_json_is_learnt_once(caplog: pytest.LogCaptureFixture):
    model = ScriptedChatModel("Sum up {text}. Be brief.")
    chain = create_prompt_update_chain(model, strategy="one_call")
    value = UpdateRequest(template="Sum up {text}.", principles=Constitution.of("Be brief.").principles)
    with caplog.at_level(logging.WARNING, logger="langchain_model_alignment"):
        chain.invoke(value)
        before = model.calls
        chain.invoke(value)
    assert model.calls == before + 1
    assert len(caplog.records) == 1


def test_no_readable_answer_at_all_still_says_every_principle():
    update, _ = weave(Template.of("Sum up {text}."), ["Be brief."], *["{"] * 8, strategy="short_steps")
    assert "Be brief." in update.edit.template.text


def test_a_failed_call_is_raised():
    with pytest.raises(AuthenticationError):
        weave(Template.of("Sum up {text}."), ["Be brief."], http_error(401))


def test_no_principles_need_no_call():
    update, model = weave(Template.of("Sum up {text}."), [])
    assert (update.edit.template, model.calls) == (Template.of("Sum up {text}."), 0)


def test_principles_that_are_off_are_left_out():
    model = ScriptedChatModel([])
    constitution = Constitution.of("Be brief.").apply(Set(id="p1", field="enabled", value=False))
    update = create_prompt_update_chain(model).invoke(
        UpdateRequest(template=Template.of("Sum up {text}."), principles=constitution.principles)
    )
    assert update.edit.template.text == "Sum up {text}."
    assert model.calls == 0


def test_the_list_needs_no_model():
    principles = Constitution.of("Be brief.", "Keep {item}.").principles
    text = list_principles(Template.of("Sum up {text}."), principles).edit.template.text
    assert text == "Sum up {text}.\n\nFollow these principles:\n- Be brief.\n- Keep {item}."


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_principle_with_a_brace_never_becomes_a_variable(strategy: Any):
    principle = "Keep {topic} and {{x}} in the title."
    new = "Sum up {text}. Keep {topic} and {{x}} in the title."
    update, _ = weave(Template.of("Sum up {text}."), [principle], new, new, strategy=strategy)
    assert update.edit.template.variables == ("text",)
    assert principle in update.edit.template.fill("T")[0].text


def conversation() -> Template:
    return Template.from_prompt(
        ChatPromptTemplate(
            [
                ("system", "You help {name}."),
                ("human", "What is {{x}}?"),
                ("ai", "A letter."),
                MessagesPlaceholder("history", optional=True),
                ("human", "{question}"),
            ]
        ).partial(name="Ada")
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_only_the_instructing_message_of_a_conversation_changes(strategy: Any):
    template = conversation()
    update, model = weave(template, ["Be brief."], "You help {name}. Be brief.", strategy=strategy)
    new = update.edit.template
    assert [m.text for m in new.messages] == [
        "You help {name}. Be brief.",
        *(m.text for m in template.messages[1:]),
    ]
    assert (new.partials, new.literals, new.variables) == (template.partials, template.literals, template.variables)
    assert "A letter." not in model.last.messages[-1].text


def test_a_conversation_whose_rewrite_is_refused_lists_below_the_system_message():
    update, _ = weave(conversation(), ["Be brief."], "You help.", "You help.")
    assert update.edit.template.fill("Why?")[0].text == "You help Ada.\n\nFollow these principles:\n- Be brief."


# -- feedback into the prompt ----------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_direct_update_is_one_call(strategy: Any):
    new = "Give three uses for {item}, one of them creative."
    update, model = direct(Template.of("Give three uses for {item}."), "none is creative", new, strategy=strategy)
    assert (update.edit.template.text, update.edit.woven, update.refused, model.calls) == (new, None, "", 1)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    "bad",
    [
        "Give three creative uses.",
        "Give three creative uses for {item} and {person}.",
        "Give three uses for {item}.",
        "Be creative with {item}.",
        "",
    ],
)
def test_a_refused_direct_update_keeps_the_text_and_lists_the_feedback(bad: str, strategy: Any):
    template = Template.of("Give three uses for {item}.")
    update, model = direct(template, "  at least 2 creative\n uses ", bad, bad, strategy=strategy)
    assert update.edit.template.text == (
        "Give three uses for {item}.\n\nAlso do what was asked:\n- at least 2 creative uses"
    )
    assert update.listed == ("at least 2 creative uses",)
    assert update.refused
    assert model.calls == 2


@pytest.mark.parametrize(
    ("old", "feedback", "new"),
    [
        ("Sum up {text}.", "never mention prices", "Sum up {text} and mention prices."),
        ("Sum up {text}.", "at most 40 words", "Sum up {text} in at least 40 words."),
        ("Sum up {text}.", "use a formal tone, not informal", "Sum up {text} in an informal tone."),
        ("Sum up {text}.", "use a formal tone", "Sum up {text} in an informal tone."),
        ("Sum up {text}.", "it has no sources", "Sum up {text} and do not name sources."),
        ("Sum up {text}. Never name people.", "please be kind", "Sum up {text}. Be kind and name people."),
        ("Sum up {text} in at most 50 words.", "please be kind", "Sum up {text} kindly in at least 50 words."),
        ("Give three uses for {item}.", "none of the uses is creative", "Give creative uses for {item}."),
        ("Compare {a} with {b}.", "please be kind", "Compare {b} with {a} and be kind."),
        ("Sum up {text}. Tell a joke.", "always tell a joke", "Sum up {text}."),
        ("Describe {x}.", "only mention museums", "Describe {x} and never mention museums."),
        ("Sum up {text}. Mention prices.", "no prices please", "Sum up {text}. Mention prices. Mention no prices."),
    ],
)
def test_a_direct_update_that_turns_something_round_is_refused_and_the_feedback_listed(
    old: str, feedback: str, new: str
):
    update, _ = direct(Template.of(old), feedback, new, new)
    assert update.refused
    assert update.edit.template.text == f"{old}\n\nAlso do what was asked:\n- {feedback}"


@pytest.mark.parametrize(
    ("old", "feedback", "new"),
    [
        ("Sum up {text}.", "never mention prices", "Sum up {text} without mentioning prices."),
        ("Sum up {text}.", "it is too long, 40 words are enough", "Sum up {text} in at most 40 words."),
        ("Sum up {text} in 100 words.", "it is too long, 40 words are enough", "Sum up {text} in at most 40 words."),
        ("Sum up {text}.", "use a formal tone, not informal", "Sum up {text} in a formal tone, not an informal one."),
        (
            "Write a story about {x}.",
            "I don't like that somebody dies",
            "Write a story about {x} in which nobody dies.",
        ),
        ("Sum up {text}. Tell a joke.", "don't tell a joke", "Sum up {text}."),
        ("Sum up {text}. Mention prices.", "no prices please", "Sum up {text}. Do not mention prices."),
        ("Describe {x}.", "only mention museums", "Describe {x}. Only mention museums."),
        ("Sum up {text}.", "the tone is too formal", "Sum up {text} in an informal tone."),
        ("Sum up {text}. Tell a joke.", "the joke is silly", "Sum up {text}."),
        ("Sum up {text}.", "it has no sources", "Sum up {text} and name the sources."),
        ("Sum up {text}. Never name people.", "please be kind", "Sum up {text} in a kind tone. Never name people."),
        (
            "Help {name} with {request}.",
            "a six-year-old would not understand this",
            "Help {name} with {request} in words that a six-year-old understands.",
        ),
        ("Schreibe über {x}.", "Bitte keine Emojis", "Schreibe über {x} und verwende keine Emojis."),
    ],
)
def test_a_good_direct_update_is_taken(old: str, feedback: str, new: str):
    update, model = direct(Template.of(old), feedback, new)
    assert (update.refused, update.edit.template.text, model.calls) == ("", new, 1)


def test_a_second_refused_update_extends_the_list():
    first, _ = direct(Template.of("Uses of {item}."), "be brief {x}", "", "")
    second, _ = direct(first.edit.template, "be kind", "", "")
    assert second.edit.template.text == "Uses of {item}.\n\nAlso do what was asked:\n- be brief {x}\n- be kind"
    assert second.edit.template.variables == ("item",)


@pytest.mark.parametrize("feedback", ["", " \n "])
def test_empty_feedback_is_refused_before_any_call(feedback: str):
    model = ScriptedChatModel([])
    with pytest.raises(FeedbackError, match="empty"):
        create_direct_update_chain(model).invoke(DirectUpdateRequest(template=Template.of("x"), feedback=feedback))
    assert model.calls == 0


def test_braces_in_direct_feedback_are_text():
    update, model = direct(Template.of("Sum up {text}."), "say {who} and {{x}}", "", "")
    assert "say {who} and {{x}}" in model.requests[0].text
    assert update.edit.template.fill("T")[0].text.endswith("- say {who} and {{x}}")


# -- reading an answer -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "prompt"),
    [
        ("Sum up {text}.", "Sum up {text}."),
        ("<PROMPT>Sum up {text}.</PROMPT>", "Sum up {text}."),
        ("I should use <PROMPT> tags. <PROMPT>Sum up {text}.</PROMPT> Done.", "Sum up {text}."),
        ("<REVISED PROMPT>\nSum up {text}.\n</REVISED PROMPT>", "Sum up {text}."),
        ("```\nSum up {text}.\n```", "Sum up {text}."),
        ("Here is the rewritten prompt:\n\nSum up {text}.", "Sum up {text}."),
        ("Instructions:\nSum up {text}.", "Sum up {text}."),
        ("Sum up {text}.\n```json\n{}\n```", "Sum up {text}.\n```json\n{}\n```"),
        ("<text>{text}</text>\nSum it up.", "<text>{text}</text>\nSum it up."),
        ("", ""),
    ],
)
def test_the_prompt_in_an_answer(answer: str, prompt: str):
    assert clean_prompt(answer) == prompt


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("Sum up {text}.", "Sum up {text} briefly.", None),
        ("Sum up {text}.", "", "empty"),
        ("Reply as {'a': 1}.", "Reply.", "literal"),
        ("Give 3 tips.", "Give tips.", "number 3"),
        ("Give 3 tips.", "Give three tips.", None),
        ("Ask Maria.", "Ask her.", "name Maria"),
        ("First, greet. Then sum up {text}.", "First, greet. Then sum up {text} briefly.", None),
    ],
)
def test_what_a_rewrite_lost_is_named(old: str, new: str, fault: str | None):
    found = keeps_text(old, new)
    assert found is None if fault is None else fault in (found or "")


# -- requests --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "template",
    [
        "Sum up {text}.",
        ChatPromptTemplate([("human", "Sum up {text}.")]),
        Template.of("Sum up {text}."),
        {"messages": [{"role": "human", "text": "Sum up {text}."}]},
    ],
)
def test_a_request_takes_any_prompt(template: Any):
    update = create_prompt_update_chain(ScriptedChatModel(written("Sum up {text}. Be brief.", "one_call"))).invoke(
        {"template": template, "principles": [{"id": "p1", "text": "Be brief."}]}
    )
    assert update.edit.template == Template.of("Sum up {text}. Be brief.")
    assert DirectUpdateRequest(template=template, feedback="be brief").template == Template.of("Sum up {text}.")


@pytest.mark.parametrize("model", [UpdateRequest, DirectUpdateRequest, PromptUpdate])
def test_the_schema_of_a_request_says_what_each_field_is(model: Any):
    assert all("description" in field for field in model.model_json_schema()["properties"].values())


# -- the measure of the quality tests --------------------------------------------------------------------------


@pytest.mark.parametrize("case", UPDATES)
def test_the_measure_passes_a_prompt_with_its_principles_listed_and_misses_what_is_not_said(case: Update):
    listed = list_principles(case.template, Constitution.of(*case.principles).principles).edit.template.text
    assert faults_of_update(case, listed) == []
    assert len(faults_of_update(case, case.template.text)) >= len(case.principles)
    assert len(faults_of_update(case, "")) >= len(case.principles) + len(case.stays)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Never promise refunds.", "Promise refunds."),
        ("Stay under 80 words.", "Write at least 80 words."),
        ("You are a support agent for Acme.", "You are a support agent."),
    ],
)
def test_the_measure_sees_what_is_turned_round_or_dropped(old: str, new: str):
    case = UPDATES[1]
    listed = list_principles(case.template, Constitution.of(*case.principles).principles).edit.template.text
    assert faults_of_update(case, listed.replace(old, new))
