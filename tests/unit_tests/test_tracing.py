"""Seeing inside: events for one's own tracker, marks in a trace, and one logger for each module."""

import ast
import logging
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command

import langchain_model_alignment
from langchain_model_alignment import (
    AlignableSingleRun,
    EventCallback,
    create_feedback_graph,
    create_feedback_node,
    create_labeler_graph,
)
from tests.fakes import ScriptedChatModel
from tests.simulated import maker_of, rows
from tests.unit_tests.test_public import reply

PACKAGE = Path(langchain_model_alignment.__file__).parent
TABLE = rows(60)


class Runs(BaseCallbackHandler):
    """Keeps the metadata of every run of a model, and the names of the runs above it."""

    run_inline = True

    def __init__(self) -> None:
        self.models: list[dict[str, Any]] = []
        self.roots: list[str] = []

    def on_chain_start(self, *_: Any, name: str = "", parent_run_id: Any = None, **__: Any) -> None:
        if parent_run_id is None:
            self.roots.append(name)

    def on_chat_model_start(self, *_: Any, metadata: dict[str, Any] | None = None, **__: Any) -> None:
        self.models.append(metadata or {})


# -- events ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["sync", "async"])
async def test_a_tracker_gets_every_event_of_training(form: str):
    told = list(create_labeler_graph(maker_of(), TABLE).compile().stream({"steps": 1}, stream_mode="custom"))
    seen: list[dict[str, Any]] = []
    config: Any = {"callbacks": [EventCallback(seen.append)]}
    if form == "sync":
        maker_of().train(TABLE, steps=1, config=config)
    else:
        await maker_of().atrain(TABLE, steps=1, config=config)
    assert [event["type"] for event in seen] == [event["type"] for event in told]
    scores = [(e["candidate"], e["rows"], e["score"]) for e in seen if e["type"] == "scored"]
    assert sorted(scores) == sorted((e["candidate"], e["rows"], e["score"]) for e in told if e["type"] == "scored")


@pytest.mark.parametrize("form", ["sync", "async"])
async def test_a_tracker_gets_every_event_of_the_feedback_loop(form: str):
    graph = create_feedback_graph(ScriptedChatModel(reply)).compile(checkpointer=InMemorySaver())
    seen: list[dict[str, Any]] = []
    config: Any = {"callbacks": [EventCallback(seen.append)], "configurable": {"thread_id": "1"}}
    start = {"prompt": "Give three uses for {item}.", "inputs": {"item": "a rope"}}
    for value in (start, Command(resume={"action": "critique", "text": "be brief"})):
        if form == "sync":
            graph.invoke(value, config)
        else:
            await graph.ainvoke(value, config)
    assert [event["type"] for event in seen] == ["answers", "principles", "prompt", "answers", "verdicts"]


@pytest.mark.parametrize("form", ["sync", "async"])
async def test_a_tracker_hears_what_an_agent_learned(form: str):
    class Chat(MessagesState):
        feedback: str | None

    graph = StateGraph(Chat)
    graph.add_node("feedback", create_feedback_node(ScriptedChatModel(reply), "tone"))
    graph.add_edge(START, "feedback")
    app = graph.compile(store=InMemoryStore())
    seen: list[dict[str, Any]] = []
    config: Any = {"callbacks": [EventCallback(seen.append)]}
    state: Any = {"messages": [], "feedback": "too long"}
    if form == "sync":
        app.invoke(state, config)
    else:
        await app.ainvoke(state, config)
    assert [(e["type"], e["name"], e["version"], e["changes"]) for e in seen] == [
        ("learned", "tone", 1, ["+ p1: Be brief."])
    ]


def test_a_tracker_that_fails_ends_nothing_and_is_logged(caplog: pytest.LogCaptureFixture):
    def track(event: dict[str, Any]) -> None:
        raise OSError("the tracking server is gone")

    result = maker_of().train(TABLE, steps=1, config={"callbacks": [EventCallback(track)]})
    assert result.rulebook
    assert "the tracking server is gone" in caplog.text


def test_what_others_tell_is_left_to_them():
    from langchain_core.callbacks import dispatch_custom_event

    seen: list[Any] = []
    step = RunnableLambda(lambda value: dispatch_custom_event("progress", value))
    step.invoke({"type": "scored"}, {"callbacks": [EventCallback(seen.append)]})
    assert seen == []


async def test_the_events_are_among_those_of_astream_events():
    graph = create_labeler_graph(maker_of(), TABLE).compile()
    events = [e async for e in graph.astream_events({"steps": 1}, version="v2") if e["event"] == "on_custom_event"]
    assert {"alignment.begin", "alignment.scored", "alignment.step", "alignment.end"} <= {e["name"] for e in events}


# -- marks -----------------------------------------------------------------------------------------------------


def test_each_call_of_training_is_marked_with_step_and_candidate():
    runs = Runs()
    maker_of().train(TABLE, steps=2, config={"callbacks": [runs], "metadata": {"team": "red"}})
    assert runs.roots == ["train"]
    assert {m["alignment_step"] for m in runs.models} == {0, 1, 2}
    assert {"c1", "c2"} < {m["alignment_candidate"] for m in runs.models if "alignment_candidate" in m}
    assert len({m["alignment_data"] for m in runs.models}) == 1
    assert {m["team"] for m in runs.models} == {"red"}


def test_each_answer_is_marked_with_revision_exchange_and_candidate():
    run = AlignableSingleRun(ScriptedChatModel(reply))
    run.set_model_description("Give three uses for {item}.")
    run.set_input_output_pair("scissors", "Cut paper.")
    run.critique_response("be brief")
    runs = Runs()
    run.send_input("a rope", n=2, config={"callbacks": [runs]})
    marks = {(m["alignment_revision"], m["alignment_exchange"], m["alignment_candidate"]) for m in runs.models}
    assert marks == {(run.data.history.head, "e2", at) for at in (0, 1)}


@pytest.mark.parametrize(
    ("graph", "value"),
    [
        (create_feedback_graph(ScriptedChatModel(reply)), {"prompt": "Greet {name}.", "inputs": {"name": "Ada"}}),
        (create_labeler_graph(maker_of(), TABLE), {"steps": 1}),
    ],
    ids=["feedback", "labeler"],
)
async def test_a_node_is_one_run_and_the_model_stands_right_below_it(graph: Any, value: Any):
    app = graph.compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}
    runs = [e async for e in app.astream_events(value, config, version="v2") if e["event"].endswith("_start")]
    names = {run["run_id"]: run["name"] for run in runs}
    doubled = [run["name"] for run in runs if run["parent_ids"] and names[run["parent_ids"][-1]] == run["name"]]
    assert doubled == []
    assert {len(run["parent_ids"]) for run in runs if run["name"] == "ScriptedChatModel"} == {2}
    assert not [name for name in names.values() if name.startswith("Runnable")]


# -- logging ---------------------------------------------------------------------------------------------------


def calls_in(tree: ast.AST) -> list[str]:
    return [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_module_logs_through_a_logger_of_its_own_and_prints_nothing(file: Path):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    calls = calls_in(tree)
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    asked_to = len(calls_in(functions["print_checkpoint"])) if "print_checkpoint" in functions else 0
    assert calls.count("print") <= asked_to
    if file.relative_to(PACKAGE).parts[0] != "cli":  # which sets up the log of its own process
        assert not {f"logging.{level}" for level in ("debug", "info", "warning", "error", "exception")} & set(calls)
        assert "logging.basicConfig" not in calls
        assert calls.count("logging.getLogger") <= 1
    if "logging.getLogger(__name__)" in ast.unparse(tree) or file.relative_to(PACKAGE).parts[0] != "cli":
        assert "logging.getLogger" not in calls or "logger = logging.getLogger(__name__)" in ast.unparse(tree)


def test_the_loggers_are_called_as_their_modules():
    from langchain_model_alignment import calls

    assert calls.logger is logging.getLogger("langchain_model_alignment.calls")
