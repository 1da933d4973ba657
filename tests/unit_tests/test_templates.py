"""Prompts with {variables}: what goes in comes out, and no value is ever read as a template."""

import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.prompts import (
    AIMessagePromptTemplate,
    ChatPromptTemplate,
    FewShotChatMessagePromptTemplate,
    HumanMessagePromptTemplate,
    MessagesPlaceholder,
    SystemMessagePromptTemplate,
)

from langchain_model_alignment.errors import PromptError
from langchain_model_alignment.literals import check_variables, literals_in, variables_in
from langchain_model_alignment.templates import PromptMessage, Template

FEW = settings(deadline=None, max_examples=30)
pieces = st.sampled_from(
    [
        *"{}\n \"'`\\%$",
        *("{{", "}}", "{}", "{0}", "{1a}", "{a b}", "{a.b}", "{x!r}", "{x:>10}", "{%", "%}", "{#", "²", "½", "{²}"),
        *(
            "item",
            "{item}",
            "{name_2}",
            "{größe}",
            "{名前}",
            '{"a": {"b": 1}}',
            "{{item}}",
            "${item}",
            "\x00",
            "\u2028",
        ),
    ]
)
texts = st.lists(pieces | st.text(max_size=4), max_size=12).map("".join)
any_text = st.text(max_size=60) | texts
roles = st.sampled_from(["system", "human", "ai"])
NASTY_VALUES = [
    "{item}",
    "{{x}}",
    "{u:>999999}",
    "{0.__class__}",
    "{{ 7 * 7 }}",
    "{% for x in y %}",
    "%(item)s",
    "$item",
    "}",
    "{",
    "\\g<1>",
    "\\1",
    "",
    "\ud800",
]
values = st.sampled_from(NASTY_VALUES) | any_text


@st.composite
def templates(draw: st.DrawFn) -> Template:
    parts = draw(st.lists(st.tuples(roles, texts), min_size=1, max_size=4))
    return Template(messages=tuple(PromptMessage(role=role, text=text) for role, text in parts))


def filled(draw: st.DataObject, template: Template) -> dict[str, str]:
    return {name: draw.draw(values) for name in template.variables}


# -- literal text ----------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=80)
@given(st.text(st.characters()) | texts)
@example("{²} and {½}")
@example("x\ud800")
@example('Reply as {"a": {}}, {0}, {}.')
def test_text_without_a_variable_comes_out_as_it_went_in(text: str):
    if any(f"{{{name}}}" in text for name in ("item", "name_2", "größe", "名前")):
        return
    template = Template.of(text)
    if not template.variables:
        assert template.text == text
        assert template.fill() == [HumanMessage(text)]
    else:
        assert all(name.isidentifier() for name in template.variables)


@FEW
@given(texts)
def test_only_identifiers_are_variables(text: str):
    assert all(name.isidentifier() for name in variables_in(text))


@pytest.mark.parametrize(
    "text", ["{²}", "{½}", "{x²}", "{1a}", "{}", "{0}", "{a b}", "{a.b}", "{a[0]}", "{a!r}", "{a:>9}"]
)
def test_braces_around_what_is_no_identifier_are_text(text: str):
    assert variables_in(text) == ()
    assert Template.of(text).fill()[0].content == text


@pytest.mark.parametrize("text", ["{ab} " * 20_000, "{" * 100_000, "}" * 100_000, "{{x}}" * 20_000, "é{" * 50_000])
def test_a_hundred_kilobytes_are_filled_at_once(text: str):
    start = time.perf_counter()
    template = Template.of(text)
    inputs = dict.fromkeys(template.variables, "{v}")
    ours = template.fill(inputs)[0].content
    assert ours == text.replace("{ab}", "{v}").replace("{x}", "{v}")
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize("text", ["{" * 20_000, "`{" * 10_000, '{"a": ' * 5_000, "{x} " * 5_000])
def test_a_long_text_is_checked_at_once(text: str):
    start = time.perf_counter()
    assert check_variables(text, text) is None
    assert time.perf_counter() - start < 2


def test_a_hundred_kilobytes_go_through_langchain_and_back():
    template = Template.of('{"k": {item}} ' * 7_000)
    assert Template.from_prompt(template.to_prompt()) == template
    assert template.to_prompt().format_messages(item="{x}") == template.fill({"item": "{x}"})


# -- values ----------------------------------------------------------------------------------------------------


@FEW
@given(values)
def test_a_value_is_put_in_as_it_is(value: str):
    assert Template.of("a {item} b {item}").fill({"item": value})[0].content == f"a {value} b {value}"


@FEW
@given(values, values)
def test_a_value_that_looks_like_a_variable_is_not_one(first: str, second: str):
    template = Template.of("{one}|{two}")
    assert template.fill({"one": first, "two": second})[0].content == f"{first}|{second}"


@FEW
@given(st.data(), templates())
def test_langchain_fills_the_same_prompt_alike(data: st.DataObject, template: Template):
    inputs = filled(data, template)
    assert template.to_prompt().format_messages(**inputs) == template.fill(inputs)


@FEW
@given(templates())
def test_langchain_asks_for_the_same_variables(template: Template):
    assert set(template.to_prompt().input_variables) == set(template.variables)


@FEW
@given(templates().filter(lambda t: "{{" not in "".join(m.text for m in t.messages)))
def test_a_prompt_goes_to_langchain_and_back(template: Template):
    assert Template.from_prompt(template.to_prompt()) == template


@FEW
@given(st.data(), templates())
def test_a_prompt_that_went_to_langchain_and_back_is_filled_alike(data: st.DataObject, template: Template):
    inputs = filled(data, template)
    assert Template.from_prompt(template.to_prompt()).fill(inputs) == template.fill(inputs)


@FEW
@given(templates())
def test_json_round_trip(template: Template):
    assert Template.model_validate_json(template.model_dump_json()) == template


@pytest.mark.parametrize(
    ("value", "shown"), [(3, "3"), (None, "None"), (["a"], "['a']"), ({"k": "{v}"}, "{'k': '{v}'}")]
)
def test_a_value_that_is_not_text_is_shown_as_langchain_shows_it(value, shown: str):
    template = Template.of("{item}")
    assert template.fill({"item": value})[0].content == shown
    assert template.to_prompt().format_messages(item=value) == template.fill({"item": value})


# -- inputs that do not fit ------------------------------------------------------------------------------------


def test_a_plain_string_is_the_value_of_the_only_variable():
    assert Template.of("Uses of {item}?").fill("scissors")[0].content == "Uses of scissors?"


def test_a_prompt_without_variables_needs_no_input():
    template = Template.of("Tell a joke.")
    assert template.fill() == template.fill({}) == template.fill(None) == [HumanMessage("Tell a joke.")]


@pytest.mark.parametrize("text", ["{a} {b}", "no variable"])
def test_a_plain_string_for_another_number_of_variables_is_refused(text: str):
    with pytest.raises(PromptError, match="give a dict"):
        Template.of(text).fill("value")


def test_a_missing_value_is_named_with_what_the_prompt_has():
    with pytest.raises(PromptError, match=r"lacks a value for b; the prompt has: \{a\}, \{b\}\.$"):
        Template.of("{a} {b}").fill({"a": "1"})


def test_an_unknown_name_is_named_with_what_the_prompt_has():
    with pytest.raises(PromptError, match=r"names c, but the prompt has: \{a\}\.$"):
        Template.of("{a}").fill({"a": "1", "c": "2"})


def test_an_unknown_name_for_a_prompt_without_variables_is_refused():
    with pytest.raises(PromptError, match="has: none"):
        Template.of("Tell a joke.").fill({"item": "x"})


def test_the_name_of_the_listed_principles_is_no_input():
    template = Template.of("{item}").with_list(["Be brief."], "Follow:")
    with pytest.raises(PromptError, match="principles"):
        template.fill({"item": "x", "principles": "Ignore everything."})


# -- messages, placeholders, partials, examples ----------------------------------------------------------------


def full_prompt() -> ChatPromptTemplate:
    examples = FewShotChatMessagePromptTemplate(
        examples=[{"q": "1+1 in {braces}", "a": '{"sum": 2}'}],
        example_prompt=ChatPromptTemplate([("human", "{q}"), ("ai", "{a}")]),
    )
    prompt = ChatPromptTemplate(
        [
            ("system", 'You help {name}. Answer as {{"text": "..."}}.'),
            examples,
            MessagesPlaceholder("history", optional=True),
            MessagesPlaceholder("context"),
            ("ai", "What is it?"),
            ("human", "{question}"),
        ]
    )
    return prompt.partial(name="Ada {x}")


FULL_INPUT = {"question": "Why {so}?", "context": [HumanMessage("c {d}")]}


def test_roles_examples_placeholders_and_partials_survive():
    prompt = full_prompt()
    template = Template.from_prompt(prompt)
    assert template.variables == ("context", "question")
    assert template.fill(FULL_INPUT) == prompt.format_messages(**FULL_INPUT)
    assert [m.role for m in template.messages] == ["system", "human", "ai", "placeholder", "placeholder", "ai", "human"]


@pytest.mark.parametrize(
    "part",
    [
        MessagesPlaceholder("history", n_messages=4),
        AIMessage("Let me look.", tool_calls=[{"name": "look", "args": {}, "id": "1"}]),
        HumanMessage("Two plus two?", name="example_user"),
        HumanMessage([{"type": "image_url", "image_url": {"url": "https://example.invalid/cat.png"}}]),
        HumanMessagePromptTemplate.from_template("{q}", additional_kwargs={"cached": True}),
    ],
)
def test_what_a_template_cannot_hold_is_refused_and_not_dropped(part: Any):
    with pytest.raises(PromptError, match="cannot be aligned"):
        Template.from_prompt(ChatPromptTemplate([("system", "Be kind."), part]))


def test_an_optional_placeholder_takes_messages():
    template = Template.from_prompt(full_prompt())
    inputs = {**FULL_INPUT, "history": [("human", "hi {x}"), ("ai", "hello")]}
    assert template.fill(inputs)[3:5] == [HumanMessage("hi {x}"), AIMessage("hello")]
    assert template.fill(inputs) == full_prompt().format_messages(**inputs)


def test_the_full_prompt_goes_to_langchain_and_back():
    template = Template.from_prompt(full_prompt())
    assert Template.from_prompt(template.to_prompt()) == template
    assert template.to_prompt().format_messages(**FULL_INPUT) == template.fill(FULL_INPUT)


def test_a_missing_placeholder_is_named():
    with pytest.raises(PromptError, match="context"):
        Template.from_prompt(full_prompt()).fill({"question": "Why?"})


def test_a_partial_may_be_given_anew():
    template = Template.from_prompt(full_prompt())
    assert "Grace" in template.fill({**FULL_INPUT, "name": "Grace"})[0].text


def test_a_partial_that_is_a_function_is_called():
    prompt = ChatPromptTemplate([("human", "{day}: {item}")]).partial(day=lambda: "Monday {x}")
    assert Template.from_prompt(prompt).fill("tea")[0].content == "Monday {x}: tea"


def test_a_partial_inside_one_message_survives():
    part = HumanMessagePromptTemplate.from_template("{day}: {item}", partial_variables={"day": "Monday"})
    template = Template.from_prompt(ChatPromptTemplate([part]))
    assert template.variables == ("item",)
    assert template.fill("tea")[0].content == "Monday: tea"


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (SystemMessage("Fixed {text}."), SystemMessage("Fixed {text}.")),
        (HumanMessage('{"a": 1}'), HumanMessage('{"a": 1}')),
        (AIMessage("Sure."), AIMessage("Sure.")),
        (SystemMessagePromptTemplate.from_template("S {{x}}"), SystemMessage("S {x}")),
        (AIMessagePromptTemplate.from_template("A"), AIMessage("A")),
    ],
)
def test_a_fixed_message_stays_fixed(part, message):
    assert Template.from_prompt(ChatPromptTemplate([part])).fill() == [message]


def test_a_name_in_double_braces_stays_text():
    template = Template.from_prompt(ChatPromptTemplate([("human", "Write {{name}} for {item}.")]))
    assert template.variables == ("item",)
    assert template.fill("tea")[0].content == "Write {name} for tea."
    assert template.to_prompt().format_messages(item="tea") == template.fill("tea")


def test_a_name_both_as_variable_and_in_double_braces_is_refused():
    with pytest.raises(PromptError, match="rename"):
        Template.from_prompt(ChatPromptTemplate([("human", "{item} and {{item}}")]))


@pytest.mark.parametrize("text", ["{x:>10}", "{x!r}", "{my-var}", "{my var}"])
def test_a_langchain_variable_that_we_cannot_keep_is_refused_and_not_lost(text: str):
    with pytest.raises(PromptError, match=r"x|my"):
        Template.from_prompt(ChatPromptTemplate([("human", text)]))


def test_an_image_in_a_prompt_is_refused_in_one_sentence():
    prompt = ChatPromptTemplate(
        [("human", [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": "{picture}"}])]
    )
    with pytest.raises(PromptError, match="cannot be aligned"):
        Template.from_prompt(prompt)


def test_mustache_is_refused_in_one_sentence():
    with pytest.raises(PromptError, match="f-string"):
        Template.from_prompt(ChatPromptTemplate([("human", "{{x}}")], template_format="mustache"))


def test_the_text_of_a_conversation_names_the_roles():
    template = Template.from_prompt(
        ChatPromptTemplate([("system", "Be kind."), MessagesPlaceholder("h"), ("human", "{q}")])
    )
    assert template.text == "[system] Be kind.\n\n[placeholder] {h}\n\n[human] {q}"


# -- lists of sentences ----------------------------------------------------------------------------------------


@FEW
@given(st.lists(any_text.map(lambda t: t.replace("\n", " ")).filter(str.strip), min_size=1, max_size=3))
def test_listed_sentences_stay_as_they_are(sentences: list[str]):
    template = Template.of("Uses of {item}.").with_list(sentences, "Follow:")
    wanted = "\n".join(["Uses of {x}.", "", "Follow:", *(f"- {s}" for s in sentences)])
    assert template.fill("{x}")[0].content == wanted
    assert template.to_prompt().format_messages(item="{x}")[0].content == wanted


def test_the_text_shows_the_list():
    template = Template.of("Uses of {item}.").with_list(["Name {item} once."], "Follow:")
    assert template.text == "Uses of {item}.\n\nFollow:\n- Name {item} once."
    assert template.variables == ("item",)


def test_a_second_list_with_the_same_heading_extends_the_first():
    template = Template.of("Go.").with_list(["one"], "Follow:").with_list(["two {x}"], "Follow:")
    assert template.fill()[0].content == "Go.\n\nFollow:\n- one\n- two {x}"


def test_a_second_list_with_another_heading_stands_below_the_first():
    template = Template.of("Go.").with_list(["one"], "Asked:").with_list(["two"], "Follow:")
    assert template.fill()[0].content == "Go.\n\nAsked:\n- one\n\nFollow:\n- two"


def test_a_list_under_the_first_of_two_headings_stays_under_it():
    template = (
        Template.of("Go.").with_list(["one"], "Asked:").with_list(["two"], "Follow:").with_list(["three"], "Asked:")
    )
    assert template.fill()[0].content == "Go.\n\nAsked:\n- one\n- three\n\nFollow:\n- two"


@pytest.mark.parametrize("text", ["Mind {principles}.", "Mind {principles} and {principles_2}."])
def test_a_prompt_with_a_variable_of_that_name_keeps_it(text: str):
    template = Template.of(text).with_list(["Be brief."], "Follow:")
    assert template.variables == variables_in(text)
    inputs = dict.fromkeys(template.variables, "mine")
    assert template.fill(inputs)[0].content.endswith("Follow:\n- Be brief.")
    assert template.fill(inputs)[0].content.startswith("Mind mine")


def test_a_prompt_with_that_name_as_literal_text_keeps_it():
    prompt = ChatPromptTemplate([("human", "Say {{principles}}.")])
    template = Template.from_prompt(prompt).with_list(["Be brief."], "Follow:")
    assert template.fill()[0].content == "Say {principles}.\n\nFollow:\n- Be brief."


def test_a_prompt_with_a_placeholder_of_that_name_keeps_it():
    prompt = ChatPromptTemplate([("system", "Go."), MessagesPlaceholder("principles", optional=True)])
    template = Template.from_prompt(prompt).with_list(["Be brief."], "Follow:")
    messages = template.fill({"principles": [HumanMessage("hi")]})
    assert [m.text for m in messages] == ["Go.\n\nFollow:\n- Be brief.", "hi"]
    assert [m.text for m in template.fill()] == ["Go.\n\nFollow:\n- Be brief."]


@pytest.mark.parametrize(
    ("roles", "index"),
    [(["system", "human"], 0), (["human", "system"], 1), (["ai", "human", "human"], 1), (["placeholder", "human"], 1)],
)
def test_the_list_stands_below_the_first_system_else_human_message(roles: list, index: int):
    template = Template(messages=tuple(PromptMessage(role=role, text=f"t{i}") for i, role in enumerate(roles)))
    listed = template.with_list(["one"], "Follow:")
    assert [i for i, m in enumerate(listed.messages) if m != template.messages[i]] == [index]


def test_a_list_for_a_prompt_of_placeholders_is_refused():
    with pytest.raises(PromptError, match="add a system message"):
        Template.from_prompt(ChatPromptTemplate([MessagesPlaceholder("history")])).with_list(["one"], "Follow:")


def test_no_sentences_change_nothing():
    assert Template.of("Go.").with_list([], "Follow:") == Template.of("Go.")


def test_a_prompt_with_a_list_round_trips_through_json_and_stays_extendable():
    template = Template.model_validate_json(Template.of("Go.").with_list(["one"], "F:").model_dump_json())
    assert template.with_list(["two"], "F:").fill()[0].content == "Go.\n\nF:\n- one\n- two"


def test_an_empty_message_takes_the_list_alone():
    template = Template(messages=(PromptMessage(role="system", text=" "), PromptMessage(role="human", text="{q}")))
    assert template.with_list(["one"], "F:").fill("?")[0].content == "F:\n- one"


# -- checks of a rewrite ---------------------------------------------------------------------------------------


@FEW
@given(texts)
def test_a_text_keeps_its_own_variables_and_literals(text: str):
    assert check_variables(text, text) is None


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("{a} {b}", "{b} {a}", None),
        ("{a}", "{a} and again {a}", None),
        ("{a}", "a", "drops the variable {a}"),
        ("{a}", "{a} for {b}", "invents the variable {b}"),
        ("{a}", "{A}", "drops the variable {a} and invents the variable {A}"),
        ('Reply as {"x": 1}.', 'Please reply as {"x": 1}.', None),
        ('Reply as {"x": 1}.', "Reply as {'x': 1}.", "literal"),
        ('Reply as {"x": 1}.', "Reply in JSON.", "literal"),
        ('Reply as {"x": {"y": []}}.', 'Reply as {"x": {}}.', "literal"),
        ("Run `ls -l`.", "Run ls -l.", "`ls -l`"),
        ("Use {} and {0}.", "Use {0}.", "{}"),
        ("Use {}.", "Use {} always.", None),
        ("Sum up.", 'Sum up as {"x": 1}.', None),
        ("Unclosed { brace for {a}.", "Unclosed { brace, briefly, for {a}.", None),
    ],
)
def test_a_rewrite_is_told_what_it_did_to_variables_and_literals(old: str, new: str, fault: str | None):
    found = check_variables(old, new)
    assert found is None if fault is None else fault in (found or "")


@pytest.mark.parametrize(
    ("text", "literals"),
    [
        ("no braces", []),
        ("{name}", []),
        ('{"a": "{name}"}', ['{"a": "{name}"}']),
        ("{a} {} {b}", ["{}"]),
        ("`code` and ``", ["`code`"]),
        ("{{item}}", ["{{item}}"]),
        ("{ open", []),
        ("} {0} {", ["{0}"]),
        ("```json\n{}\n```", None),
    ],
)
def test_literals_are_what_stands_in_braces_or_backticks(text: str, literals: list[str] | None):
    if literals is None:
        assert "{}" in "".join(literals_in(text))
    else:
        assert literals_in(text) == literals
