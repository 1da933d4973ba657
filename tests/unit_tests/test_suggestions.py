"""Three critiques or kudos that a person could give: distinct, not empty, about this response."""

from typing import Any

import pytest

from langchain_model_alignment.errors import FeedbackError, MalformedAnswerError
from langchain_model_alignment.feedback.suggestions import (
    SuggestionRequest,
    create_critique_chain,
    create_kudos_chain,
    read_items,
)
from tests.fakes import ScriptedChatModel

RESPONSE = "1. Cut paper.\n2. Cut cloth.\n3. Cut hair."
GOOD = "1. Too short.\n2. No sources are given.\n3. It sounds stiff."


def suggest(*replies: Any, create: Any = create_critique_chain, response: str = RESPONSE, **more: Any):
    model = ScriptedChatModel(list(replies))
    value = SuggestionRequest(prompt="Give three uses for {item}.", response=response, **more)
    return create(model).invoke(value), model


@pytest.mark.parametrize("create", [create_critique_chain, create_kudos_chain])
def test_three_suggestions_take_one_call(create: Any):
    found, model = suggest(GOOD, create=create)
    assert found == ["Too short.", "No sources are given.", "It sounds stiff."]
    assert model.calls == 1


@pytest.mark.parametrize(
    "answer",
    [
        "- Too short.\n- No sources are given.\n- It sounds stiff.\n",
        "* Too short.\n* No sources are given.\n* It sounds stiff.",
        "• Too short.\n\n• No sources are given.\n\n• It sounds stiff.\n\n",
        "Sure, here are three:\n\n1) Too short.\n2) No sources are given.\n3) It sounds stiff.",
        "(1) Too short.\n(2) No sources are given.\n(3) It sounds stiff.",
        "{Too short.}\n{No sources are given.}\n{It sounds stiff.}",
        "Too short.\nNo sources are given.\nIt sounds stiff.",
        "1. Too short.\n2. No sources are given.\n3.\n4. It sounds stiff.",
        "1. **Too short.**\n2. **No sources are given.**\n3. **It sounds stiff.**",
        '["Too short.", "No sources are given.", "It sounds stiff."]',
    ],
)
def test_lists_are_read_however_they_are_written(answer: str):
    found, _ = suggest(answer, GOOD)
    assert found == ["Too short.", "No sources are given.", "It sounds stiff."]


def test_more_than_three_are_cut():
    found, _ = suggest(GOOD + "\n4. One more thing.")
    assert len(found) == 3


def test_too_few_are_asked_for_once_more():
    found, model = suggest("1. Too short.", "1. No sources are given.\n2. It sounds stiff.")
    assert found == ["Too short.", "No sources are given.", "It sounds stiff."]
    assert model.calls == 2


def test_suggestions_that_say_the_same_count_once():
    found, _ = suggest("1. Too short.\n2. Too short!\n3. It is stiff.", "1. No sources are given.\n2. Too short.")
    assert found == ["Too short.", "It is stiff.", "No sources are given."]


def test_a_piece_of_the_response_is_no_suggestion():
    found, _ = suggest("1. Cut paper.\n2. Cut cloth.\n3. Cut hair.", GOOD)
    assert found == ["Too short.", "No sources are given.", "It sounds stiff."]


def test_what_is_there_is_not_said_to_be_missing():
    found, _ = suggest("1. It does not mention paper.\n2. Too short.\n3. It is stiff.", "1. No sources are given.")
    assert found == ["Too short.", "It is stiff.", "No sources are given."]


def test_no_readable_suggestion_is_one_sentence():
    with pytest.raises(MalformedAnswerError, match="write your own"):
        suggest("", "\n\n---\n")


def test_without_a_response_nothing_is_asked():
    model = ScriptedChatModel([])
    with pytest.raises(FeedbackError, match="send an input first"):
        create_critique_chain(model).invoke(SuggestionRequest(prompt="x", response=" "))
    assert model.calls == 0


def test_the_model_sees_prompt_inputs_and_response_as_they_are():
    _, model = suggest(GOOD, response="{response} {{x}} {", inputs={"item": "{item} }{ {{7*7}}"})
    for shown in ("Give three uses for {item}.", "item: {item} }{ {{7*7}}", "{response} {{x}} {"):
        assert shown in model.last.messages[-1].text


def test_kudos_are_asked_for_as_praise():
    _, model = suggest(GOOD, create=create_kudos_chain)
    assert "praise" in model.last.messages[0].text
    _, model = suggest(GOOD)
    assert "criticism" in model.last.messages[0].text


@pytest.mark.parametrize("text", ["", "\n", "---", "1.\n2.\n3."])
def test_nothing_to_read_gives_no_items(text: str):
    assert read_items(text) == []


def test_a_number_at_the_beginning_of_a_sentence_stays():
    assert read_items("1. 3 uses are too few.\n2. 2026 is wrong.") == ["3 uses are too few.", "2026 is wrong."]


def test_the_schema_of_a_request_says_what_each_field_is():
    assert all("description" in field for field in SuggestionRequest.model_json_schema()["properties"].values())
