"""Answers are read, kept and named."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from pydantic import BaseModel

from langchain_model_alignment.answers import dump_answer, load_answer, request_key, visible_text

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def test_think_blocks_are_taken_out():
    assert visible_text("<think>a</think>b") == "b"
    assert visible_text("<think>a</think>b<think>c</think> d") == "b d"
    assert visible_text("a, begun in the prompt</think>\n\nb") == "b"


def test_an_answer_cut_off_while_thinking_is_empty():
    assert visible_text("\n<think>hm, {") == ""
    assert visible_text("<think>a</think><think>b") == ""


def test_an_opening_tag_inside_an_answer_is_left():
    assert visible_text("Use <think> in the prompt.") == "Use <think> in the prompt."


@given(TEXT.filter(lambda text: "think>" not in text))
def test_text_without_tags_stays_as_it_is(text: str):
    assert visible_text(AIMessage(text)) == text


@given(st.text(st.sampled_from("<>/think "), max_size=60), TEXT.filter(lambda text: "think>" not in text))
def test_what_follows_the_last_closing_tag_is_the_answer(thought: str, answer: str):
    assert visible_text("<think>" + thought.replace("<think>", "") + "</think>" + answer).endswith(answer.strip())


def test_a_hundred_kilobytes_of_tags_take_no_time():
    assert visible_text("<think>" * 15_000) == ""
    assert visible_text("<think></think>" * 7_000) == ""


@given(content=TEXT, metadata=st.dictionaries(TEXT, JSON, max_size=3), calls=st.integers(0, 2))
def test_an_answer_survives_being_kept(content: str, metadata: dict[str, Any], calls: int):
    message = AIMessage(
        content,
        response_metadata=metadata,
        tool_calls=[{"name": "t", "args": {"a": number}, "id": str(number)} for number in range(calls)],
        usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
    )
    back = load_answer(dump_answer(message))
    assert back is not None
    assert (back.content, back.response_metadata, back.tool_calls, back.usage_metadata) == (
        *(content, metadata),
        *(message.tool_calls, message.usage_metadata),
    )


def test_what_is_not_json_is_left_out():
    message = AIMessage("yes", response_metadata={"raw": object(), "logprobs": {"content": [1]}, "none": None})
    back = load_answer(dump_answer(message))
    assert back is not None
    assert back.response_metadata == {"logprobs": {"content": [1]}, "none": None}


@given(st.one_of(TEXT, JSON.map(json.dumps)))
def test_foreign_text_is_no_answer(text: str):
    assert load_answer(text) is None


class One(BaseModel):
    a: int


class Two(BaseModel):
    b: int


def test_the_key_depends_on_all_that_shapes_an_answer_and_on_nothing_else():
    ask = [SystemMessage("s"), HumanMessage("h")]
    key = request_key("m", ask, {"schema": One}, 0)
    assert key == request_key("m", [SystemMessage("s", id="1"), HumanMessage("h", id="2")], {"schema": One}, 0)
    others = [
        request_key("n", ask, {"schema": One}, 0),
        request_key("m", ask, {"schema": Two}, 0),
        request_key("m", ask, {"schema": One}, 1),
        request_key("m", ask[::-1], {"schema": One}, 0),
        request_key("m", [HumanMessage("s"), HumanMessage("h")], {"schema": One}, 0),
        request_key("m", [SystemMessage("s"), HumanMessage("h", name="ann")], {"schema": One}, 0),
        request_key("m", [SystemMessage("sh")], {"schema": One}, 0),
    ]
    assert len({key, *others}) == 8


def test_the_order_of_kwargs_does_not_matter_and_lone_surrogates_do_no_harm():
    ask = [HumanMessage("\ud800")]
    assert request_key("m", ask, {"a": 1, "b": 2}, 0) == request_key("m", ask, {"b": 2, "a": 1}, 0) is not None


def test_a_value_without_json_form_has_no_key():
    assert request_key("m", [HumanMessage("h")], {"callback": print}, 0) is None
