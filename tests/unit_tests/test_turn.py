"""One turn of a feedback loop as a Runnable: begin, answer, go on, and what is refused."""

import asyncio
from typing import Any

import pytest
from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.store.memory import InMemoryStore
from pydantic import ValidationError
from typing_extensions import TypedDict

from langchain_model_alignment import AlignedPrompt, create_feedback_graph, create_turn_chain
from langchain_model_alignment.errors import (
    ConfigurationError,
    ConflictError,
    FeedbackError,
    ModelError,
    NotFoundError,
    PromptError,
)
from langchain_model_alignment.integrations.serving import Turn, Turns
from langchain_model_alignment.integrations.serving.prompts import StoredPrompts
from tests import serving
from tests.fakes import ScriptedChatModel
from tests.serving import ACCEPT, CRITIQUE, mind
from tests.studio import StreamingChatModel


def graph_of(model: Any = None, **options: Any) -> Any:
    llm = model or ScriptedChatModel(mind)
    return create_feedback_graph(llm, **options).compile(checkpointer=InMemorySaver(), store=InMemoryStore())


def begin(thread_id: str = "t", **start: Any) -> dict[str, Any]:
    return {"thread_id": thread_id, "input": {**serving.START, **start}}


def answer(resume: Any, question: str | None = None, thread_id: str = "t") -> dict[str, Any]:
    return {"thread_id": thread_id, "resume": resume, "question": question}


def test_a_turn_that_begins_waits_for_a_review() -> None:
    reply = create_turn_chain(graph_of()).invoke(begin())
    assert reply["status"] == "waiting"
    assert reply["waiting_for"]["type"] == "review"
    assert reply["waiting_for"]["value"]["response"] == "<Give three uses for rope.>"
    assert reply["state"]["response"] == "<Give three uses for rope.>"


def test_a_critique_comes_back_as_a_principle_and_the_next_question() -> None:
    turn = create_turn_chain(graph_of())
    first = turn.invoke(begin())["waiting_for"]
    reply = turn.invoke(answer(CRITIQUE, first["id"]))
    assert [p["text"] for p in reply["waiting_for"]["value"]["principles"]] == ["Be brief."]
    assert reply["waiting_for"]["id"] != first["id"]


def test_accepting_ends_the_thread_with_the_aligned_prompt() -> None:
    turn = create_turn_chain(graph_of())
    turn.invoke(begin())
    turn.invoke(answer(CRITIQUE))
    reply = turn.invoke(answer(ACCEPT))
    assert (reply["status"], reply["waiting_for"]) == ("ended", None)
    assert AlignedPrompt.from_dict(reply["state"]["prompt"]).description == "Give three uses for {item}. Be brief."


async def test_sync_and_async_turns_give_the_same() -> None:
    sync, twin = create_turn_chain(graph_of()), create_turn_chain(graph_of())
    for value in (begin(), answer(CRITIQUE), answer(ACCEPT)):
        one, two = sync.invoke(value), await twin.ainvoke(value)
        for reply in (one, two):
            for revision in reply["state"]["prompt"]["history"]["revisions"]:
                revision["time"] = ""
            (reply["waiting_for"] or {}).pop("id", None)
        assert one == two


def test_a_turn_object_will_do_as_well_as_a_dict() -> None:
    assert create_turn_chain(graph_of()).invoke(Turn.model_validate(begin()))["status"] == "waiting"


def test_the_turn_shows_real_schemas_and_a_name() -> None:
    turn = create_turn_chain(graph_of())
    assert set(turn.get_input_jsonschema()["properties"]) == {"thread_id", "input", "resume", "question"}
    assert "waiting_for" in str(turn.get_output_jsonschema())
    assert turn.get_name() == "turn"


async def test_events_are_told_and_the_reply_is_the_last() -> None:
    turns = Turns(graph_of())
    await turns.take(Turn.model_validate(begin()))
    told = [event async for event in turns.events(Turn.model_validate(answer(CRITIQUE)))]
    assert [event["event"]["type"] for event in told[:-1] if event["event"]] == [
        "principles",
        "prompt",
        "answers",
        "verdicts",
    ]
    assert told[-1]["reply"] == await turns.read("t")


async def test_a_reader_that_goes_leaves_a_thread_that_can_go_on() -> None:
    turns = Turns(graph_of(ScriptedChatModel(mind, latency=0.01)))
    await turns.take(Turn.model_validate(begin()))
    told = turns.events(Turn.model_validate(answer(CRITIQUE)))
    await anext(told)
    await told.aclose()
    assert (await turns.read("t"))["status"] == "stopped"
    reply = await turns.take(Turn(thread_id="t"))
    assert reply["waiting_for"] is not None
    assert [p["text"] for p in reply["waiting_for"]["value"]["principles"]] == ["Be brief."]


# -- what does not fit ------------------------------------------------------------------------------------------


def test_a_graph_without_a_checkpointer_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="checkpointer"):
        create_turn_chain(create_feedback_graph(ScriptedChatModel("x")).compile())


def test_an_unknown_thread_is_told() -> None:
    with pytest.raises(NotFoundError, match='no thread "t"'):
        create_turn_chain(graph_of()).invoke(answer(ACCEPT))


def test_an_answer_to_a_question_that_was_answered_is_told() -> None:
    turn = create_turn_chain(graph_of())
    first = turn.invoke(begin())["waiting_for"]["id"]
    turn.invoke(answer(CRITIQUE, first))
    with pytest.raises(ConflictError, match="was answered"):
        turn.invoke(answer(CRITIQUE, first))


def test_an_answer_to_a_thread_that_has_ended_is_told() -> None:
    turn = create_turn_chain(graph_of())
    turn.invoke(begin())
    turn.invoke(answer(ACCEPT))
    with pytest.raises(ConflictError, match="has ended"):
        turn.invoke(answer(ACCEPT))


async def test_of_two_answers_at_once_one_wins_and_the_other_is_told() -> None:
    turn = create_turn_chain(graph_of(ScriptedChatModel(mind, latency=0.02)))
    await turn.ainvoke(begin())
    one, two = await asyncio.gather(
        turn.ainvoke(answer(CRITIQUE)), turn.ainvoke(answer(CRITIQUE)), return_exceptions=True
    )
    won, told = (one, two) if isinstance(one, dict) else (two, one)
    assert len(won["waiting_for"]["value"]["principles"]) == 1
    assert isinstance(told, ConflictError)


def test_a_thread_that_waits_is_not_begun_anew_and_one_that_has_ended_is() -> None:
    turn = create_turn_chain(graph_of())
    turn.invoke(begin())
    with pytest.raises(ConflictError, match="waits for an answer"):
        turn.invoke(begin())
    turn.invoke(answer(ACCEPT))
    assert turn.invoke(begin())["status"] == "waiting"


@pytest.mark.parametrize("odd", [{"action": "shout"}, "too long", {}, 7, {"action": "critique", "text": ""}])
def test_an_answer_that_does_not_fit_leaves_the_question_pending(odd: Any) -> None:
    turn = create_turn_chain(graph_of())
    question = turn.invoke(begin())["waiting_for"]
    with pytest.raises(FeedbackError, match="still pending"):
        turn.invoke(answer(odd))
    assert turn.invoke({"thread_id": "t"})["waiting_for"] == question


@pytest.mark.parametrize(
    "start",
    [{"inputs": {}}, {"prompt": {"kind": "something else"}}, {"inputs": {"item": "x", "other": "y"}}],
)
def test_a_start_that_cannot_be_answered_leaves_no_thread(start: Any) -> None:
    turn = create_turn_chain(graph_of())
    with pytest.raises(ConfigurationError):
        turn.invoke(begin(**start))
    with pytest.raises(NotFoundError):
        turn.invoke({"thread_id": "t"})


@pytest.mark.parametrize(
    "odd",
    [
        {"thread_id": "a b"},
        {"thread_id": "a", "input": serving.START, "resume": ACCEPT},
        {"thread_id": "a", "question": "q"},
        {"thread_id": "a", "input": {"inputs": {}}},
        {"thread_id": "a", "input": {"prompt": "x", "stored": "y"}},
        {"thread_id": "a", "input": {"prompt": "x", "inputs": {"item": "half \ud800"}}},
        {"thread_id": "a", "input": {"prompt": "x", "inputs": {"item": float("nan")}}},
        {"thread_id": "a", "input": {"prompt": "x\0"}},
        {"thread_id": "a", "resume": {"action": 2**70}},
        {"thread_id": "a", "other": 1},
    ],
)
def test_what_is_no_turn_is_told_in_a_sentence(odd: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Turn.model_validate(odd)
    with pytest.raises(FeedbackError, match="no turn"):
        create_turn_chain(graph_of()).invoke(odd)


# -- failures, names, graphs -------------------------------------------------------------------------------------


def test_a_thread_whose_turn_failed_goes_on_with_its_id_alone() -> None:
    failing = [ValueError("broken")]
    model = ScriptedChatModel(
        lambda messages: failing.pop() if failing and "rewrite" in messages[0].text else mind(messages)
    )
    turn = create_turn_chain(graph_of(model))
    turn.invoke(begin())
    with pytest.raises(ModelError, match="broken"):
        turn.invoke(answer({"action": "edit", "edits": [{"op": "add", "text": "Be brief."}]}))
    with pytest.raises(ConflictError, match="stopped half way"):
        turn.invoke(answer(ACCEPT))
    reply = turn.invoke({"thread_id": "t"})
    assert reply["status"] == "waiting"
    assert [p["text"] for p in reply["waiting_for"]["value"]["principles"]] == ["Be brief."]


def test_a_loop_begins_from_a_stored_prompt_and_keeps_its_own_copy() -> None:
    graph = graph_of()
    turn, prompts = create_turn_chain(graph), StoredPrompts(graph.store)
    asyncio.run(prompts.aput("uses", AlignedPrompt.from_prompt("Give three uses for {item}.")))
    stored = {"stored": "uses", "inputs": {"item": "rope"}}
    turn.invoke({"thread_id": "t", "input": stored})
    asyncio.run(prompts.adelete("uses"))
    assert turn.invoke(answer(CRITIQUE))["status"] == "waiting"
    with pytest.raises(NotFoundError, match="was deleted"):
        turn.invoke({"thread_id": "u", "input": stored})


def test_a_stored_name_without_a_store_is_refused() -> None:
    graph = create_feedback_graph(ScriptedChatModel("x")).compile(checkpointer=InMemorySaver())
    with pytest.raises(ConfigurationError, match="without a store"):
        create_turn_chain(graph).invoke({"thread_id": "t", "input": {"stored": "uses"}})


def test_a_candidate_that_is_liked_better_asks_why_and_a_number_answers() -> None:
    model = ScriptedChatModel(lambda messages: "1. Shorter." if "better" in messages[0].text else mind(messages))
    turn = create_turn_chain(graph_of(model, candidates=2))
    turn.invoke(begin())
    reply = turn.invoke(answer({"action": "prefer", "choice": 1, "over": 0}))
    assert reply["waiting_for"]["type"] == "why"
    assert turn.invoke(answer({"choice": 0}))["waiting_for"]["type"] == "review"


def test_inside_another_graph_the_thread_stays_the_turns_own() -> None:
    class Outer(TypedDict, total=False):
        reply: Any

    turn = create_turn_chain(graph_of())
    outer = StateGraph(Outer)
    outer.add_node("ask", RunnableLambda(lambda _: begin()) | turn | RunnableLambda(lambda reply: {"reply": reply}))
    outer.add_edge(START, "ask")
    outer.add_edge("ask", END)
    graph = outer.compile(checkpointer=InMemorySaver())
    state = graph.invoke({}, {"configurable": {"thread_id": "outer"}})
    assert state["reply"]["waiting_for"]["type"] == "review"
    assert turn.invoke(answer(ACCEPT))["status"] == "ended"


def test_a_forgotten_thread_is_gone() -> None:
    turns = Turns(graph_of())

    async def play() -> None:
        await turns.take(Turn.model_validate(begin()))
        await turns.forget("t")
        await turns.read("t")

    with pytest.raises(NotFoundError):
        asyncio.run(play())


def test_an_unknown_variable_is_a_problem_of_the_prompt() -> None:
    with pytest.raises(PromptError, match="item"):
        create_turn_chain(graph_of()).invoke(begin(inputs={}))


async def test_the_pieces_of_each_candidate_are_told_where_they_are_asked_for() -> None:
    turns = Turns(graph_of(StreamingChatModel(mind), candidates=2))
    pieces = ["", ""]
    async for event in turns.events(Turn.model_validate(begin()), tokens=True):
        if event["event"] is not None and event["event"]["type"] == "token":
            pieces[event["event"]["candidate"]] += event["event"]["text"]
    question = (await turns.read("t"))["waiting_for"]
    assert question is not None
    assert pieces == question["value"]["candidates"]


async def test_what_is_asked_of_the_model_about_answers_is_no_piece_of_an_answer() -> None:
    turns = Turns(graph_of(StreamingChatModel(mind)))
    await turns.take(Turn.model_validate(begin()))
    told = [event["event"] async for event in turns.events(Turn.model_validate(answer(CRITIQUE)), tokens=True)]
    said = "".join(event["text"] for event in told if event is not None and event["type"] == "token")
    assert said == "<Give three uses for rope. Be brief.>"


async def test_a_turn_that_failed_is_taken_back_to_the_question_that_it_answered() -> None:
    broken = [False]

    def reply(messages: list[BaseMessage]) -> str:
        if broken[0] and "rewrite instructions" in messages[0].text:
            raise ValueError("no")
        return mind(messages)

    turns = Turns(graph_of(ScriptedChatModel(reply)))
    first = await turns.take(Turn.model_validate(begin()))
    broken[0] = True
    with pytest.raises(ModelError):
        await turns.take(Turn.model_validate(answer(CRITIQUE)))
    back = await turns.take_back("t")
    assert back["state"] == first["state"]
    assert back["waiting_for"] is not None
    assert back["waiting_for"]["value"]["principles"] == []
    broken[0] = False
    assert (await turns.take(Turn.model_validate(answer(CRITIQUE))))["status"] == "waiting"


async def test_a_turn_that_never_asked_anything_cannot_be_taken_back() -> None:
    turns = Turns(graph_of(ScriptedChatModel(ValueError("no"))))
    with pytest.raises(ModelError):
        await turns.take(Turn.model_validate(begin()))
    with pytest.raises(ConflictError):
        await turns.take_back("t")
