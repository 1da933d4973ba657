"""Training as a graph: plain state, typed events, resuming after a crash, other data refused."""

import json
from functools import cache
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from langchain_model_alignment import create_labeler_graph
from langchain_model_alignment.errors import ArtifactError
from langchain_model_alignment.labeling.graph import LabelerEvent
from langchain_model_alignment.labeling.labeler import Labeler
from langchain_model_alignment.labeling.records import TrainingResult
from langchain_model_alignment.labeling.rulebook import Rulebook
from tests.fakes import ScriptedChatModel
from tests.simulated import LogprobModel, LogprobWorld, SimulatedWorld, kind_of, maker_of, model_of, rows, small_model

TABLE = rows(60)
THREAD: Any = {"configurable": {"thread_id": "t"}}
PACKAGE = "langchain_model_alignment.labeling."


def compiled(maker: Labeler | None = None, saver: Any = None, table: Any = None) -> Any:
    return create_labeler_graph(maker or maker_of(), TABLE if table is None else table).compile(checkpointer=saver)


def book_in(state: dict[str, Any]) -> Rulebook:
    return Rulebook.model_validate(state["candidates"][state["best"][0]]["rulebook"])


# -- state and events


@pytest.mark.parametrize(
    "model", [model_of(), LogprobModel(LogprobWorld()), small_model()], ids=["text", "logprob", "checks"]
)
def test_the_state_is_plain_json_after_every_node(model: Any):
    states = list(compiled(maker_of(model=model)).stream({"steps": 2}, stream_mode="values"))
    assert len(states) > 8
    for state in states:
        assert json.loads(json.dumps(state, allow_nan=False)) == state


def test_rows_stay_out_of_the_state():
    texts = {row["text"] for row in TABLE}
    *_, state = compiled().stream({"steps": 2}, stream_mode="values")
    held = json.dumps(state)
    assert not [text for text in texts if text in held]


def test_events_are_as_they_are_declared():
    events = list(compiled().stream({"steps": 2}, stream_mode="custom"))
    assert {key for event in events for key in event} <= set(LabelerEvent.__annotations__)
    kinds = [event["type"] for event in events]
    assert (kinds[0], kinds[-1], kinds.count("begin"), kinds.count("end")) == ("begin", "end", 1, 1)
    assert kinds.count("step") == 3
    assert json.loads(json.dumps(events, allow_nan=False)) == events


def test_events_tell_mistakes_candidates_scores_and_steps():
    events = list(compiled().stream({"steps": 1}, stream_mode="custom"))
    by_type = {event["type"]: event for event in events}
    assert set(by_type) == {"begin", "mistakes", "candidates", "scored", "step", "end"}
    assert by_type["mistakes"]["wrong"] > 0
    assert by_type["candidates"]["alive"] >= 1
    assert by_type["scored"]["rows"] == by_type["scored"]["of"] == by_type["begin"]["of"]
    assert by_type["step"]["record"]["step"] == 1
    assert by_type["step"]["usage"]["calls"] > 0
    assert "one step" in by_type["end"]["why"]


def test_the_history_tells_every_candidate_and_why_it_left():
    state = compiled().invoke({"steps": 2})
    for record in state["history"][1:]:
        assert record["candidates"]
        for candidate in record["candidates"]:
            assert candidate["changes"]
            assert candidate["left"] or candidate["rows"] == 18


@pytest.mark.parametrize("context", [None, {"tenant": "acme"}])
def test_it_works_as_a_subgraph_under_a_foreign_context(context: Any):
    class Context(TypedDict):
        tenant: str

    class Parent(TypedDict, total=False):
        steps: int
        best: list[str]
        candidates: dict[str, Any]
        stopped: str

    parent = StateGraph(Parent, context_schema=Context)
    parent.add_node("train", compiled())
    parent.add_edge(START, "train")
    graph = parent.compile(checkpointer=InMemorySaver())
    state = graph.invoke({"steps": 1}, THREAD, context=context)
    assert "one step" in state["stopped"]
    assert book_in(state).score is not None


async def test_the_graph_runs_async():
    assert (await compiled().ainvoke({"steps": 1}))["best"] == compiled().invoke({"steps": 1})["best"]


# -- going on


@cache
def as_usual() -> TrainingResult:
    return maker_of().train(TABLE, steps=2)


CRASHES = [
    ("nodes.first_principles", 1),
    ("evaluate.validate", 1),
    ("evaluate.validate", 4),
    ("mutate.mine", 1),
    ("mutate.mine", 2),
    ("mutate.refine", 1),
    ("evaluate.screen", 1),
    ("evaluate.screen", 3),
    ("mutate.combine", 1),
    ("evaluate.still_racing", 1),
    ("select.choose", 1),
    ("select.choose", 2),
]


class CrashError(Exception):
    """The process died."""


def crash_at(monkeypatch: pytest.MonkeyPatch, place: str, time: int) -> None:
    """Let a function fail the given time it is called."""
    module, _, name = place.rpartition(".")
    target = f"{PACKAGE}{module}.{name}"
    resolved = getattr(__import__(f"{PACKAGE}{module}", fromlist=[name]), name)
    left = [time]

    def broken(*args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if not left[0]:
            raise CrashError
        return resolved(*args, **kwargs)

    monkeypatch.setattr(target, broken)


@pytest.mark.parametrize(("place", "time"), CRASHES)
def test_a_run_that_died_goes_on_and_ends_with_the_same_rulebook(
    monkeypatch: pytest.MonkeyPatch, place: str, time: int
):
    whole, saver = as_usual(), InMemorySaver()
    crash_at(monkeypatch, place, time)
    with pytest.raises(CrashError):
        maker_of().train(TABLE, steps=2, checkpointer=saver)
    monkeypatch.undo()
    resumed = maker_of().train(TABLE, steps=2, checkpointer=saver)
    assert resumed.rulebook.to_json() == whole.rulebook.to_json()
    assert [record["score"] for record in resumed.history] == [record["score"] for record in whole.history]


class DyingSaver(InMemorySaver):
    """Keeps the writes of each step, and lets the process die before it writes down a checkpoint."""

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left = [left]  # LangGraph works with a copy of a saver

    async def aput(self, *args: Any, **kwargs: Any) -> Any:
        self.left[0] -= 1
        if not self.left[0]:
            raise CrashError
        return await super().aput(*args, **kwargs)


@pytest.mark.parametrize("checkpoint", range(3, 17))
def test_a_run_that_died_between_a_steps_writes_and_its_checkpoint_does_not_begin_anew(checkpoint: int):
    whole, saver = as_usual(), DyingSaver(checkpoint)
    with pytest.raises(CrashError):
        maker_of().train(TABLE, steps=2, checkpointer=saver)
    resumed = maker_of().train(TABLE, steps=2, checkpointer=saver)
    assert resumed.rulebook.to_json() == whole.rulebook.to_json()
    assert [(r["step"], r["score"]) for r in resumed.history] == [(r["step"], r["score"]) for r in whole.history]


def test_a_run_that_died_repeats_no_call_that_was_answered(monkeypatch: pytest.MonkeyPatch):
    from langchain_model_alignment.cache import MemoryCache

    model, cache, saver = model_of(), MemoryCache(), InMemorySaver()
    crash_at(monkeypatch, "select.choose", 2)
    with pytest.raises(CrashError):
        maker_of(model=model, cache=cache).train(TABLE, steps=2, checkpointer=saver)
    monkeypatch.undo()
    maker_of(model=model, cache=cache).train(TABLE, steps=2, checkpointer=saver)
    alone = model_of()
    maker_of(model=alone).train(TABLE, steps=2)
    assert model.calls == alone.calls


@pytest.mark.parametrize(("place", "time"), [("mutate.mine", 1), ("evaluate.validate", 4), ("select.choose", 2)])
def test_a_run_of_other_data_is_refused_with_both_fingerprints(monkeypatch: pytest.MonkeyPatch, place: str, time: int):
    saver = InMemorySaver()
    crash_at(monkeypatch, place, time)
    with pytest.raises(CrashError):
        maker_of().train(TABLE, steps=2, checkpointer=saver)
    monkeypatch.undo()
    model = model_of()
    other = rows(60, seed=5)
    with pytest.raises(ArtifactError) as caught:
        maker_of(model=model).train(other, steps=2, checkpointer=saver)
    for table in (TABLE, other):
        assert maker_of().prepare(table).fingerprint in str(caught.value)
    assert model.calls == 0


def test_a_run_that_ended_refuses_other_data_too():
    saver = InMemorySaver()
    maker_of().train(TABLE, steps=1, checkpointer=saver)
    with pytest.raises(ArtifactError, match="other data"):
        maker_of().train(rows(60, seed=5), steps=2, checkpointer=saver)


def test_a_run_goes_on_after_the_rows_were_shuffled():
    saver = InMemorySaver()
    maker_of().train(TABLE, steps=1, checkpointer=saver)
    assert len(maker_of().train(TABLE[::-1], steps=2, checkpointer=saver).history) == 3


def test_a_run_of_another_seed_is_refused():
    saver, validation = InMemorySaver(), rows(40, seed=3)
    maker_of().train(TABLE, validation, steps=1, checkpointer=saver)
    with pytest.raises(ArtifactError):
        maker_of(hparams={"seed": 9}).train(TABLE, validation, steps=2, checkpointer=saver)


def test_a_run_that_ended_goes_on_with_more_steps():
    saver, whole = InMemorySaver(), maker_of().train(TABLE, steps=3)
    maker_of().train(TABLE, steps=1, checkpointer=saver)
    resumed = maker_of().train(TABLE, steps=3, checkpointer=saver)
    assert resumed.rulebook.to_json() == whole.rulebook.to_json()
    assert len(resumed.history) == 4


def test_a_run_that_ended_with_all_its_steps_stays_as_it_is():
    saver = InMemorySaver()
    first = maker_of().train(TABLE, steps=1, checkpointer=saver)
    model = model_of()
    again = maker_of(model=model).train(TABLE, steps=1, checkpointer=saver)
    assert model.calls == 0
    assert again.rulebook == first.rulebook


def test_calls_are_counted_over_both_halves_of_a_run(monkeypatch: pytest.MonkeyPatch):
    saver, first, second = InMemorySaver(), model_of(), model_of()
    crash_at(monkeypatch, "mutate.mine", 2)
    with pytest.raises(CrashError):
        maker_of(model=first).train(TABLE, steps=2, checkpointer=saver)
    monkeypatch.undo()
    result = maker_of(model=second).train(TABLE, steps=2, checkpointer=saver)
    assert all(record["calls"] >= 0 for record in result.history)
    assert result.usage.calls == sum(record["calls"] for record in result.history) == first.calls + second.calls


def test_a_run_counts_its_own_calls_only():
    model = model_of()
    maker = maker_of(model=model)
    maker.initialize_checkpoint(TABLE)
    before = model.calls
    result = maker.train(rows(60, seed=4), steps=1)
    assert sum(record["calls"] for record in result.history) == model.calls - before


def test_two_threads_of_one_checkpointer_do_not_meet():
    saver = InMemorySaver()
    one = maker_of().train(TABLE, steps=1, checkpointer=saver, config={"configurable": {"thread_id": "one"}})
    two = maker_of().train(rows(60, seed=5), steps=1, checkpointer=saver, config={"configurable": {"thread_id": "two"}})
    assert one.about["data"] != two.about["data"]


def test_a_failed_call_for_a_key_leaves_the_run_where_it_can_go_on():
    from langchain_model_alignment.errors import AuthenticationError
    from tests.fakes import http_error

    world, left = SimulatedWorld(), [100]

    def reply(messages: Any) -> Any:
        left[0] -= 1
        return http_error(401, "key revoked") if left[0] < 0 else world(messages)

    saver = InMemorySaver()
    with pytest.raises(AuthenticationError):
        maker_of(model=ScriptedChatModel(reply)).train(TABLE, steps=2, checkpointer=saver)
    model = model_of()
    resumed = maker_of(model=model).train(TABLE, steps=2, checkpointer=saver)
    assert resumed.rulebook.to_json() == as_usual().rulebook.to_json()
    assert not [r for r in model.requests if kind_of(r.messages) == "sentence"]  # the beginning was kept
