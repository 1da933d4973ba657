"""A picture in the input reaches the model that answers, and stays out of what is said about the answer."""

from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder

from langchain_model_alignment import AlignableSingleRun, AlignedPrompt
from langchain_model_alignment.feedback.exchanges import in_words
from tests.fakes import ScriptedChatModel

BYTES = "iVBORw0KGgo" * 20
PICTURE = {"type": "image", "base64": BYTES, "mime_type": "image/png"}
ASKED = HumanMessage([{"type": "text", "text": "What is this?"}, PICTURE])
PROMPT = ChatPromptTemplate([("system", "Describe the picture."), MessagesPlaceholder("asked")])


def reply(messages: list[Any]) -> str:
    if "principle_id" in messages[-1].text:
        return '{"reason": "asked", "action": "add", "principle": "Say how many people there are."}'
    return "A man and a dog."


def pictures_in(request: Any) -> list[Any]:
    blocks = [block for message in request.messages if isinstance(message.content, list) for block in message.content]
    return [block for block in blocks if block["type"] == "image"]


@pytest.fixture
def answers() -> ScriptedChatModel:
    return ScriptedChatModel(reply)


@pytest.fixture
def aligner() -> ScriptedChatModel:
    return ScriptedChatModel(reply)


@pytest.fixture
def run(answers: ScriptedChatModel, aligner: ScriptedChatModel) -> AlignableSingleRun:
    made = AlignableSingleRun(answers, aligner, data=AlignedPrompt.from_prompt(PROMPT))
    made.send_input({"asked": [ASKED]})
    made.critique_response("say how many people there are")
    return made


@pytest.mark.usefixtures("run")
def test_the_model_that_answers_sees_the_picture(answers: ScriptedChatModel):
    assert pictures_in(answers.requests[0]) == [PICTURE]


def test_it_sees_the_picture_again_when_the_input_is_answered_again(
    run: AlignableSingleRun, answers: ScriptedChatModel
):
    run.update_model_description_from_principles()
    assert len(answers.requests) > 1
    assert all(pictures_in(request) == [PICTURE] for request in answers.requests)


def test_a_saved_prompt_keeps_it(run: AlignableSingleRun):
    again = ScriptedChatModel(reply)
    loaded = AlignableSingleRun(again, data=AlignedPrompt.from_json(run.data.to_json()))
    loaded.send_input(loaded.data.exchanges[0].inputs)
    assert pictures_in(again.last) == [PICTURE]


def test_the_model_that_writes_and_judges_reads_that_there_is_one(run: AlignableSingleRun, aligner: ScriptedChatModel):
    run.update_model_description_from_principles()
    run.generate_critiques()
    assert len(aligner.requests) > 2
    assert not any(BYTES in str(message.content) for request in aligner.requests for message in request.messages)
    assert "[image]" in aligner.requests[0].text


@pytest.mark.parametrize(
    ("block", "word"),
    [
        (PICTURE, "[image]"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,xyz"}}, "[image]"),
        ({"type": "input_audio", "input_audio": {"data": "xyz", "format": "wav"}}, "[audio]"),
    ],
)
def test_each_form_of_a_block_is_named(block: dict[str, Any], word: str):
    assert in_words({"asked": [block, {"type": "text", "text": "Hi"}]}) == [
        f'asked: ["{word}", {{"type": "text", "text": "Hi"}}]'
    ]
