"""The single-run code of the predecessor's README runs after changing the import and the model line."""

import json
from typing import Any

from langchain_core.messages import BaseMessage

from tests.fakes import ScriptedChatModel

CRITIQUES = """1. The first item is too general.
2. The items are missing supporting details.
3. The first and second items are too similar."""
WOVEN = "Give three uses for the following item, and include at least one creative use for the item: {item}"


def model_that_behaves() -> ScriptedChatModel:
    """Answers as the README says its model did."""

    def reply(messages: list[BaseMessage]) -> str:
        asked = "\n".join(message.text for message in messages)
        if "list of principles" in messages[0].text:
            principle = "Include at least one creative use for the item"
            return json.dumps({"reason": "none is creative", "action": "add", "principle": principle})
        if "rewrite instructions" in messages[0].text or "change instructions" in messages[0].text:
            return json.dumps({"text": WOVEN})
        if "criticisms" in messages[0].text:
            return CRITIQUES
        last = "Make paper snowflakes." if "creative" in asked else "Cut hair."
        return f"1. Cut paper.\n2. Cut cloth.\n3. {last}"

    return ScriptedChatModel(reply)


def started() -> Any:
    from langchain_model_alignment import single_run

    single_run_prompt = single_run.AlignableSingleRun(model_that_behaves())
    single_run_prompt.set_model_description("Give three uses for the following item: {item}")
    return single_run_prompt


def test_prompt_construction_and_model_response():
    single_run_prompt = started()
    response = single_run_prompt.send_input({"item": "scissors"})
    assert response == "1. Cut paper.\n2. Cut cloth.\n3. Cut hair."


def test_generating_principles_from_feedback_and_applying_them():
    single_run_prompt = started()
    response = single_run_prompt.send_input("scissors")
    assert response == "1. Cut paper.\n2. Cut cloth.\n3. Cut hair."

    principles = single_run_prompt.critique_response("the list doesn't include any creative uses")
    assert [p.text for p in principles] == ["Include at least one creative use for the item"]

    updated = single_run_prompt.update_model_description_from_principles()
    assert updated == WOVEN

    new_response = single_run_prompt.send_input("scissors")
    assert new_response == "1. Cut paper.\n2. Cut cloth.\n3. Make paper snowflakes."


def test_automatically_creating_feedback():
    single_run_prompt = started()
    single_run_prompt.send_input("scissors")
    assert single_run_prompt.generate_critiques() == [
        "The first item is too general.",
        "The items are missing supporting details.",
        "The first and second items are too similar.",
    ]


def test_direct_access_to_the_underlying_prompt_info():
    single_run_prompt = started()
    single_run_prompt.send_input("scissors")
    single_run_prompt.critique_response("the list doesn't include any creative uses")
    data = single_run_prompt.data
    assert data.description == "Give three uses for the following item: {item}"
    assert [p.text for p in data.constitution.principles] == ["Include at least one creative use for the item"]
    assert [(e.inputs, e.response) for e in data.exchanges] == [
        ({"item": "scissors"}, "1. Cut paper.\n2. Cut cloth.\n3. Cut hair.")
    ]


def test_updating_prompts_directly_from_feedback():
    single_run_prompt = started()
    single_run_prompt.send_input("scissors")
    updated = single_run_prompt.update_model_description_from_feedback("the list doesn't include any creative uses")
    assert updated == WOVEN


def test_a_separate_model_for_the_alignment():
    from langchain_model_alignment import single_run

    first, second = model_that_behaves(), model_that_behaves()
    single_run_prompt = single_run.AlignableSingleRun(first, second)
    single_run_prompt.set_model_description("Give three uses for the following item: {item}")
    single_run_prompt.send_input("scissors")
    single_run_prompt.critique_response("the list doesn't include any creative uses")
    assert (first.calls, second.calls) == (1, 1)
