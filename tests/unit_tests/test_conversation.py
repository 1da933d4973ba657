"""Dialogues of many turns: answering the next one, feedback on any, and going back to go on from there."""

import json
from typing import Any

import pytest
from langchain_core.prompts import ChatPromptTemplate

from langchain_model_alignment.errors import ArtifactError, FeedbackError
from langchain_model_alignment.feedback.conversation import asked_in, messages_of, turns_of
from langchain_model_alignment.feedback.exchanges import Exchange
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.feedback.single_run import AlignableSingleRun
from tests.fakes import ScriptedChatModel

PROMPT = ChatPromptTemplate([("system", "You are a guide to {city}."), ("human", "{question}")])
START = {"city": "Porto", "question": "What to see?"}
ADDED = json.dumps({"reason": "asked", "action": "add", "principle": "Give prices in euros."})


def talking(*answers: str, alignment: Any = ()) -> tuple[AlignableSingleRun, ScriptedChatModel]:
    model = ScriptedChatModel(list(answers))
    run = AlignableSingleRun(model, ScriptedChatModel(list(alignment)))
    run.set_model_description(PROMPT)
    run.send_input(START)
    return run, model


def said(model: ScriptedChatModel) -> list[tuple[str, str]]:
    return [(message.type, message.text) for message in model.last.messages]


def test_the_next_turn_is_answered_with_the_turns_so_far():
    run, model = talking("The bridge.", "Six euros.")
    assert run.reply("What does it cost?") == "Six euros."
    assert said(model) == [
        ("system", "You are a guide to Porto."),
        ("human", "What to see?"),
        ("ai", "The bridge."),
        ("human", "What does it cost?"),
    ]


def test_feedback_is_about_the_last_turn():
    run, _ = talking("The bridge.", "Six dollars.", alignment=[ADDED])
    run.reply("What does it cost?")
    run.critique_response("prices in euros")
    assert [len(e.feedback) for e in run.data.exchanges] == [0, 1]


def test_feedback_can_be_about_any_turn():
    run, _ = talking("The bridge.", "Six dollars.", alignment=[ADDED])
    run.reply("What does it cost?")
    run.go_back_to("e1")
    run.critique_response("prices in euros")
    assert [len(e.feedback) for e in run.data.exchanges] == [1, 0]


def test_going_on_from_an_earlier_turn_leaves_the_later_ones():
    run, model = talking("The bridge.", "Six euros.", "By tram.")
    run.reply("What does it cost?")
    run.go_back_to("e1")
    run.reply("How do I get there?")
    assert [text for _, text in said(model)][1:] == ["What to see?", "The bridge.", "How do I get there?"]
    assert [e.after for e in run.data.exchanges] == [None, "e1", "e1"]


def test_a_new_principle_holds_in_the_next_turn():
    run, model = talking("The bridge.", "Six euros.", alignment=[ADDED])
    run.critique_response("prices in euros")
    run.reply("What does it cost?")
    assert "Give prices in euros." in said(model)[0][1]


def test_a_principle_with_a_condition_says_when_it_holds():
    run, model = talking("The bridge.", "Six euros.", alignment=[ADDED])
    run.critique_response("prices in euros", when="the user asks for a price")
    run.reply("What does it cost?")
    assert "When the user asks for a price: Give prices in euros." in said(model)[0][1]


def test_several_candidates_for_a_turn():
    run, _ = talking("The bridge.", "one", "two")
    assert sorted(run.reply("And then?", n=2)) == ["one", "two"]
    run.commit_model_response(0)
    assert run.data.exchanges[1].message == "And then?"


def test_nothing_to_go_on_from_is_one_sentence():
    run = AlignableSingleRun(ScriptedChatModel([]))
    run.set_model_description("Hello")
    with pytest.raises(FeedbackError, match="no response yet"):
        run.reply("And then?")


def test_an_exchange_that_is_not_there_is_one_sentence():
    run, _ = talking("The bridge.")
    with pytest.raises(FeedbackError, match="There is no exchange 'e7'; the last ones here are: e1"):
        run.go_back_to("e7")
    assert run.exchange is not None
    assert run.exchange.id == "e1"


def test_a_turn_is_shown_with_what_led_to_it():
    run, _ = talking("The bridge.", "Six euros.")
    run.reply("What does it cost?")
    last = run.data.exchanges[-1]
    assert asked_in(run.data, last) == "city: Porto\nquestion: What to see?\nWhat does it cost?"
    assert [turn.id for turn in turns_of(run.data, last)] == ["e1", "e2"]


def test_a_conversation_goes_through_json():
    run, _ = talking("The bridge.", "Six euros.")
    run.reply("What does it {cost}?")
    again = AlignedPrompt.from_json(run.data.to_json())
    assert again == run.data
    assert messages_of(again, again.exchanges[-1])[-1].text == "What does it {cost}?"


def test_a_turn_that_goes_in_circles_is_one_sentence():
    prompt = AlignedPrompt.from_prompt("Hi")
    for id, after in (("e1", "e2"), ("e2", "e1")):
        prompt = prompt.with_exchange(Exchange(id=id, after=after, message="?"))
    with pytest.raises(FeedbackError, match="circles"):
        turns_of(prompt, prompt.exchanges[0])


def test_half_a_turn_in_a_file_is_refused():
    run, _ = talking("The bridge.")
    value = json.loads(run.data.to_json())
    value["exchanges"][0]["after"] = "e1"
    with pytest.raises(ArtifactError, match="a further turn needs both"):
        AlignedPrompt.from_dict(value)
