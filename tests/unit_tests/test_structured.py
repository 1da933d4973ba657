"""A pydantic object out of any chat model."""

import asyncio
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.language_models import BaseChatModel, FakeListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.runnables import RunnableLambda
from pydantic import BaseModel, Field

from langchain_model_alignment.calls import Caller
from langchain_model_alignment.errors import BadRequestError, MalformedAnswerError, RefusalError
from langchain_model_alignment.loop import run_sync
from langchain_model_alignment.structured import ask_structured
from tests.fakes import ScriptedChatModel, SyncOnlyChatModel, http_error


class City(BaseModel):
    """A city."""

    name: str = Field(description="its usual name")
    people: int


class Options(BaseModel):
    loud: bool = False
    words: str = ""


GOOD = '{"name": "Paris", "people": 2100000}'
PARIS = City(name="Paris", people=2100000)
ASK: list[BaseMessage] = [SystemMessage("Be brief."), HumanMessage("Where? {name}")]


def ask(model: BaseChatModel, schema: type[Any] = City, messages: list[BaseMessage] = ASK) -> Any:
    return run_sync(ask_structured(Caller(model), messages, schema))


@pytest.mark.parametrize(
    "answer",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"Here it is:\n```\n{GOOD}\n```\nAnything else?",
        f'<think>Maybe {{"name": "Rome", "people": 1}}</think>{GOOD}',
        f'I first thought of {{"town": 1}}, but: {GOOD}',
        f'{{"City": {GOOD}}}',
        f"An unclosed {{ brace, then {GOOD}",
        '{"name": "Paris", "people": "2100000", "more": [1, {"x": "}"}]}',
    ],
)
def test_the_object_is_found_in(answer: str):
    assert ask(ScriptedChatModel(answer)) == PARIS


def test_raw_line_breaks_inside_strings_are_read():
    assert ask(ScriptedChatModel('{"name": "a\nb", "people": 1}')).name == "a\nb"


def test_the_format_follows_the_last_human_message_as_a_value():
    model = ScriptedChatModel(GOOD)
    ask(model)
    system, human = model.last.messages
    assert system.text == "Be brief."
    assert human.text.startswith("Where? {name}\n\n")
    assert "its usual name" in human.text
    assert '"people"' in human.text
    assert ASK[1].text == "Where? {name}"


def test_a_request_that_does_not_end_with_a_human_gets_one_more_message():
    model = ScriptedChatModel(GOOD)
    ask(model, messages=[HumanMessage("Where?"), AIMessage("There.")])
    assert [message.type for message in model.last.messages] == ["human", "ai", "human"]


def test_list_content_gets_one_more_block():
    model = ScriptedChatModel(GOOD)
    ask(model, messages=[HumanMessage([{"type": "text", "text": "Where?"}])])
    assert [block["type"] for block in model.last.messages[0].content] == ["text", "text"]


def test_one_repair_shows_the_model_its_answer_and_the_error():
    model = ScriptedChatModel(['{"name": "Paris"}', GOOD])
    assert ask(model) == PARIS
    assert [message.type for message in model.last.messages] == ["system", "human", "ai", "human"]
    shown, repair = model.last.messages[-2:]
    assert shown.text == '{"name": "Paris"}'
    assert "people: Field required" in repair.text


@pytest.mark.parametrize("answer", ["No.", "", "{}", '{"name": 1}', "[1, 2]", "{" * 3000, '{"a":' * 3000])
def test_after_one_repair_it_is_malformed(answer: str):
    model = ScriptedChatModel(answer)
    with pytest.raises(MalformedAnswerError, match="no readable City"):
        ask(model)
    assert model.calls == 2


def test_an_empty_answer_is_shown_as_such():
    model = ScriptedChatModel(["", GOOD])
    assert ask(model) == PARIS
    assert model.last.messages[-2].text == "(no answer)"


def test_an_object_with_none_of_the_fields_is_not_taken_for_all_defaults():
    model = ScriptedChatModel(['{"properties": {"x": {}}}', '{"loud": true}'])
    assert ask(model, Options) == Options(loud=True)


def test_a_refusal_is_its_own_error_and_not_repaired():
    model = ScriptedChatModel(AIMessage("", response_metadata={"finish_reason": "SAFETY"}))
    with pytest.raises(RefusalError):
        ask(model)
    assert model.calls == 1


@pytest.mark.parametrize("form", ["sync", "async"])
def test_it_works_with_the_fake_models_of_langchain_core(form: str):
    for model in (
        FakeListChatModel(responses=[GOOD]),
        GenericFakeChatModel(messages=iter([AIMessage(GOOD)])),
        SyncOnlyChatModel(GOOD),
    ):
        if form == "sync":
            assert ask(model) == PARIS
        else:
            assert asyncio.run(ask_structured(Caller(model), ASK, City)) == PARIS


class NativeModel(ScriptedChatModel):
    """Structured output of its own: a tool call."""

    def with_structured_output(self, schema: Any, **kwargs: Any) -> Any:
        tool = {"name": schema.__name__, "parameters": schema.model_json_schema()}
        return self.bind(tools=[tool], tool_choice="any") | RunnableLambda(lambda message: message)


class OddModel(ScriptedChatModel):
    """Structured output of its own, in a shape nobody expects."""

    def with_structured_output(self, schema: Any, **kwargs: Any) -> Any:
        return RunnableLambda(lambda messages: None)


def _tool_call(**args: Any) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": "City", "args": args, "id": "1"}])


def test_a_native_model_is_asked_its_own_way_through_the_one_door():
    model = NativeModel(_tool_call(name="Paris", people=2100000))
    caller = Caller(model)
    assert run_sync(ask_structured(caller, ASK, City)) == PARIS
    assert model.last.messages == ASK
    assert model.last.kwargs["tool_choice"] == "any"
    assert caller.usage.calls == 1


def test_a_native_models_wrong_arguments_are_shown_to_it():
    model = NativeModel([_tool_call(name="Paris"), _tool_call(name="Paris", people=2100000)])
    assert ask(model) == PARIS
    assert json.loads(model.last.messages[-2].text) == {"name": "Paris"}
    assert "tools" in model.last.kwargs


def test_a_native_model_that_says_nothing_is_repaired_in_words():
    model = NativeModel(["", GOOD])
    assert ask(model) == PARIS
    assert "tools" not in model.last.kwargs


def test_a_server_that_does_not_know_the_native_way_is_asked_in_words_from_then_on():
    model = NativeModel([http_error(400, "unknown parameter: tools"), GOOD, GOOD])
    caller = Caller(model)
    assert run_sync(ask_structured(caller, ASK, City)) == PARIS
    assert run_sync(ask_structured(caller, [HumanMessage("Again?")], City)) == PARIS
    assert model.calls == 3


def test_a_bad_request_in_words_is_raised():
    with pytest.raises(BadRequestError):
        ask(ScriptedChatModel(http_error(400, "too long")))


def test_anything_unusual_falls_back_to_words():
    model = OddModel(GOOD)
    assert ask(model) == PARIS
    assert "JSON schema" in model.last.messages[-1].text


def test_openai_compatible_models_get_a_json_schema():
    pytest.importorskip("langchain_openai", reason='not installed: pip install "langchain-model-alignment[local]"')
    from langchain_openai import ChatOpenAI

    from langchain_model_alignment.structured import _native_kwargs

    caller = Caller(ChatOpenAI(model="m", api_key="none", base_url="http://127.0.0.1:1/v1"))
    kwargs = _native_kwargs(caller, City)
    assert kwargs is not None
    sent = kwargs[
        "response_format"
    ]  # as data: given the class, the SDK would parse, and lose an answer that does not fit
    assert sent["type"] == "json_schema"
    assert sent["json_schema"]["strict"] is True
    assert sent["json_schema"]["schema"]["required"] == ["name", "people"]


def test_gemini_gets_a_json_schema():
    google = pytest.importorskip("langchain_google_genai")

    from langchain_model_alignment.structured import _native_kwargs

    caller = Caller(google.ChatGoogleGenerativeAI(model="gemini-2.5-flash", api_key="none"))
    kwargs = _native_kwargs(caller, City)
    assert kwargs is not None
    assert kwargs["response_mime_type"] == "application/json"


@settings(max_examples=60, deadline=None)
@given(
    before=st.text(st.characters(exclude_characters="{<", exclude_categories=["Cs"])),
    after=st.text(st.characters(exclude_characters="<", exclude_categories=["Cs"])),
    name=st.text(st.characters(exclude_categories=["Cs"])).filter(lambda text: "think>" not in text),
    people=st.integers(-(10**12), 10**12),
    fenced=st.booleans(),
)
def test_any_object_is_found_in_any_prose(before: str, after: str, name: str, people: int, fenced: bool):
    body = json.dumps({"name": name, "people": people}, ensure_ascii=False)
    body = f"```json\n{body}\n```" if fenced else body
    assert ask(ScriptedChatModel(before + body + after)) == City(name=name, people=people)


@settings(max_examples=60, deadline=None)
@given(st.text(st.sampled_from('{}[]",:\\ na123<think>/`\n'), max_size=300))
def test_no_text_breaks_the_reader(text: str):
    with contextlib.suppress(MalformedAnswerError):
        ask(ScriptedChatModel(text))
