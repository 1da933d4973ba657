"""The feedback graph: a person's turn is an interrupt, and nothing is lost between turns."""

import asyncio
import os
import subprocess
import sys
import textwrap
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.errors import is_invalid_resume
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command
from pydantic import ValidationError
from typing_extensions import TypedDict

from langchain_model_alignment import AlignedPrompt, create_feedback_graph
from langchain_model_alignment.errors import PromptError
from tests.fakes import ScriptedChatModel

START_STATE = {"prompt": "Greet {name}.", "inputs": {"name": "Ada"}}
THREAD: Any = {"configurable": {"thread_id": "t"}}


def decision(principle: str = "Be brief.", action: str = "add") -> str:
    return f'{{"reason": "asked", "action": "{action}", "principle": "{principle}"}}'


def woven(text: str) -> str:
    return f'{{"text": "{text}"}}'


def make(answers: list[Any], alignment: list[Any], saver: Any = None, **options: Any) -> Any:
    graph = create_feedback_graph(
        ScriptedChatModel(reply=answers), alignment_model=ScriptedChatModel(reply=alignment), **options
    )
    return graph.compile(checkpointer=saver or InMemorySaver())


def question(state: dict[str, Any]) -> dict[str, Any]:
    value: dict[str, Any] = state["__interrupt__"][0].value
    return value


def test_the_question_holds_response_candidates_principles_and_prompt() -> None:
    asked = question(make(["Hello, Ada!"], []).invoke(START_STATE, THREAD))
    assert asked["response"] == "Hello, Ada!"
    assert asked["candidates"] == ["Hello, Ada!"]
    assert asked["principles"] == []
    assert asked["prompt"] == "Greet {name}."


def test_the_question_draws_in_agent_inbox() -> None:
    asked = question(make(["Hello, Ada!"], []).invoke(START_STATE, THREAD))
    assert asked["action_request"] == {"action": "review_response", "args": {"response": "Hello, Ada!"}}
    assert set(asked["config"]) == {"allow_ignore", "allow_respond", "allow_edit", "allow_accept"}
    assert "Hello, Ada!" in asked["description"]


def test_a_critique_becomes_a_principle_and_the_next_answer_uses_it() -> None:
    answerer = ScriptedChatModel(reply=["Hello, dear Ada!", "Hi!"])
    aligner = ScriptedChatModel(reply=[decision(), woven("Be brief and greet {name}.")])
    graph = create_feedback_graph(answerer, alignment_model=aligner).compile(checkpointer=InMemorySaver())
    graph.invoke(START_STATE, THREAD)
    asked = question(graph.invoke(Command(resume={"action": "critique", "text": "Too long"}), THREAD))
    assert asked["response"] == "Hi!"
    assert [p["text"] for p in asked["principles"]] == ["Be brief."]
    assert answerer.requests[-1].messages[0].content == "Be brief and greet Ada."


def test_accepting_ends_the_loop_with_the_prompt_and_the_response() -> None:
    graph = make(["Hello!"], [])
    graph.invoke(START_STATE, THREAD)
    state = graph.invoke(Command(resume={"action": "accept"}), THREAD)
    assert "__interrupt__" not in state
    assert state["response"] == "Hello!"
    assert AlignedPrompt.from_dict(state["prompt"]).exchanges[-1].response == "Hello!"


@pytest.mark.parametrize(
    "answer",
    [
        {"action": "critique", "text": " "},
        {"action": "shout"},
        "too long",
        {"action": "critique", "text": "x", "choice": 7},
        {"action": "edit", "edits": [{"op": "delete", "id": "p9"}]},
        {"action": "edit", "text": "Greet {stranger}."},
        {"action": "again", "inputs": {"nobody": "x"}},
    ],
)
def test_an_invalid_answer_leaves_the_question_pending(answer: Any) -> None:
    graph = make(["Hello!"], [])
    graph.invoke(START_STATE, THREAD)
    with pytest.raises(ValidationError) as caught:
        graph.invoke(Command(resume=answer), THREAD)
    assert is_invalid_resume(caught.value)
    assert graph.get_state(THREAD).next == ("review",)
    assert graph.invoke(Command(resume={"action": "accept"}), THREAD)["response"] == "Hello!"


def test_a_hand_edit_of_principles_is_a_revision_and_is_answered_anew() -> None:
    graph = make(["Hello!", "Hi!"], [woven("Greet {name} warmly.")])
    graph.invoke(START_STATE, THREAD)
    edit = {"action": "edit", "edits": [{"op": "add", "text": "Be warm: greet warmly."}]}
    state = graph.invoke(Command(resume=edit), THREAD)
    prompt = AlignedPrompt.from_dict(state["prompt"])
    assert [p.text for p in prompt.principles] == ["Be warm: greet warmly."]
    assert prompt.history.revisions[0].author == "person"
    assert question(state)["response"] == "Hi!"


def test_a_hand_edit_of_the_prompt_becomes_its_text() -> None:
    graph = make(["Hello!", "Good day!"], [])
    graph.invoke(START_STATE, THREAD)
    state = graph.invoke(Command(resume={"action": "edit", "text": "Greet {name} formally."}), THREAD)
    assert question(state)["prompt"] == "Greet {name} formally."


def test_again_asks_for_another_answer_to_other_inputs() -> None:
    graph = make(lambda messages: f"<{messages[-1].content}>", [])  # type: ignore[arg-type]
    graph.invoke(START_STATE, THREAD)
    state = graph.invoke(Command(resume={"action": "again", "inputs": {"name": "Bo"}}), THREAD)
    assert question(state)["response"] == "<Greet Bo.>"


def test_several_candidates_are_shown_and_the_chosen_one_is_kept() -> None:
    graph = make(["one", "two", "three"], [], candidates=3)
    asked = question(graph.invoke(START_STATE, THREAD))
    assert sorted(asked["candidates"]) == ["one", "three", "two"]
    state = graph.invoke(Command(resume={"action": "accept", "choice": 1}), THREAD)
    assert state["response"] == asked["candidates"][1]


def test_an_answer_in_the_form_of_agent_inbox_is_a_critique() -> None:
    graph = make(["Hello, dear Ada!", "Hi!"], [decision(), woven("Be brief and greet {name}.")])
    graph.invoke(START_STATE, THREAD)
    state = graph.invoke(Command(resume=[{"type": "response", "args": "Too long"}]), THREAD)
    assert AlignedPrompt.from_dict(state["prompt"]).exchanges[0].feedback[0].text == "Too long"


@pytest.mark.parametrize("shape", [str, AIMessage, lambda t: {"messages": [AIMessage(t)]}, lambda t: {"answer": t}])
def test_a_target_runnable_answers_with_the_prompt(shape: Any) -> None:
    target = RunnableLambda(lambda messages: shape(f"echo: {messages[-1].content}"))
    asked = question(make([], [], target=target).invoke(START_STATE, THREAD))
    assert asked["response"] == "echo: Greet Ada."


def test_a_langgraph_agent_as_target_gets_the_messages_under_their_key() -> None:
    class AgentState(TypedDict):
        messages: list[Any]

    agent = StateGraph(AgentState)
    agent.add_node("answer", lambda state: {"messages": [*state["messages"], AIMessage("from the agent")]})
    agent.add_edge(START, "answer")
    agent.add_edge("answer", END)
    asked = question(make([], [], target=agent.compile()).invoke(START_STATE, THREAD))
    assert asked["response"] == "from the agent"


def test_missing_inputs_are_refused_before_a_model_is_asked() -> None:
    model = ScriptedChatModel(reply=["never"])
    graph = create_feedback_graph(model).compile(checkpointer=InMemorySaver())
    with pytest.raises(PromptError, match="name"):
        graph.invoke({"prompt": "Greet {name}.", "inputs": {}}, THREAD)
    assert model.calls == 0


def test_a_fork_from_an_earlier_checkpoint_goes_another_way() -> None:
    graph = make(lambda messages: messages[-1].content, [decision(), woven("Be brief and greet {name}.")])  # type: ignore[arg-type]
    graph.invoke(START_STATE, THREAD)
    first = graph.get_state(THREAD).config
    graph.invoke(Command(resume={"action": "critique", "text": "Too long"}), THREAD)
    fork = graph.update_state(first, {}, as_node="respond")
    graph.invoke(None, fork)
    state = graph.invoke(Command(resume={"action": "edit", "text": "Wave at {name}."}), THREAD)
    assert question(state)["response"] == "Wave at Ada."
    assert question(state)["principles"] == []


async def test_sync_and_async_give_the_same_turns() -> None:
    script = (["Hello, dear Ada!", "Hi!"], [decision(), woven("Be brief and greet {name}.")])
    resume: Any = Command(resume={"action": "critique", "text": "Too long"})
    slow = make(*script)
    await slow.ainvoke(START_STATE, THREAD)
    fast = make(*script)
    await asyncio.to_thread(fast.invoke, START_STATE, THREAD)
    one = question(await slow.ainvoke(resume, THREAD))
    two = question(await asyncio.to_thread(fast.invoke, resume, THREAD))
    assert one == two


def test_events_tell_answers_principles_and_prompt() -> None:
    graph = make(["Hello, dear Ada!", "Hi!"], [decision(), woven("Be brief and greet {name}.")])
    graph.invoke(START_STATE, THREAD)
    resume: Any = Command(resume={"action": "critique", "text": "Too long"})
    events = list(graph.stream(resume, THREAD, stream_mode="custom"))
    assert [event["type"] for event in events] == ["principles", "prompt", "answers"]
    assert events[0]["changes"] == ["+ p1: Be brief."]
    assert (events[1]["before"], events[1]["after"]) == ("Greet {name}.", "Be brief and greet {name}.")


@pytest.mark.parametrize("context", [None, {"tenant": "acme"}])
def test_it_works_as_a_subgraph_under_a_foreign_context(context: Any) -> None:
    class Context(TypedDict):
        tenant: str

    class Parent(TypedDict, total=False):
        prompt: Any
        inputs: dict[str, Any]
        response: str

    parent = StateGraph(Parent, context_schema=Context)
    parent.add_node("align", create_feedback_graph(ScriptedChatModel(reply=["Hello!"])).compile())
    parent.add_edge(START, "align")
    graph = parent.compile(checkpointer=InMemorySaver())
    graph.invoke(START_STATE, THREAD, context=context)
    assert graph.invoke(Command(resume={"action": "accept"}), THREAD, context=context)["response"] == "Hello!"


def test_another_process_goes_on_from_the_sqlite_checkpoint(tmp_path: Any) -> None:
    file = str(tmp_path / "thread.sqlite")
    program = textwrap.dedent("""
        import sys
        from langgraph.checkpoint.sqlite import SqliteSaver
        from tests.unit_tests.test_graph import START_STATE, THREAD, make
        with SqliteSaver.from_conn_string(sys.argv[1]) as saver:
            make(["Hello, dear Ada!"], [], saver).invoke(START_STATE, THREAD)
    """)
    environment = {**os.environ, "LANGGRAPH_STRICT_MSGPACK": "true"}
    subprocess.run([sys.executable, "-c", program, file], check=True, env=environment)
    with SqliteSaver.from_conn_string(file) as saver:
        graph = make(["Hi!"], [decision(), woven("Be brief and greet {name}.")], saver)
        state = graph.invoke(Command(resume={"action": "critique", "text": "Too long"}), THREAD)
    prompt = AlignedPrompt.from_dict(state["prompt"])
    assert [e.candidates for e in prompt.exchanges] == [("Hello, dear Ada!",), ("Hi!",)]


def test_a_failed_call_leaves_the_thread_where_it_can_go_on() -> None:
    failing = [ValueError("broken"), decision(), woven("Be brief and greet {name}.")]
    graph = make(["Hello, dear Ada!", "Hi!"], failing)
    graph.invoke(START_STATE, THREAD)
    with pytest.raises(Exception, match="broken"):
        graph.invoke(Command(resume={"action": "critique", "text": "Too long"}), THREAD)
    assert question(graph.invoke(None, THREAD))["response"] == "Hi!"
