"""LangServe with its own client: `RemoteRunnable` drives a whole feedback loop, and labels rows."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.serving import ACCEPT, CRITIQUE, SCRIPTED, START, process, python

pytest.importorskip(
    "langserve", reason='not installed: pip install "langchain-model-alignment[langserve]", not beside the extra server'
)

import httpx
from langserve import RemoteRunnable

PROGRAM = (
    SCRIPTED
    + """
import uvicorn
from fastapi import FastAPI
from langgraph.checkpoint.memory import InMemorySaver
from langserve import add_routes
from langchain_model_alignment import (
    Caller, create_classifier_chain, create_critique_chain, create_feedback_graph, create_turn_chain,
)
from langchain_model_alignment.integrations.serving import add_problem_handlers
from tests.serving import rulebook

llm = Caller(ScriptedChatModel(mind))
book = rulebook()
app = FastAPI()
add_problem_handlers(app)
add_routes(app, create_turn_chain(create_feedback_graph(llm).compile(checkpointer=InMemorySaver())), path="/turn")
add_routes(app, create_classifier_chain(llm, book.task, book), path="/toxic")
add_routes(app, create_critique_chain(llm), path="/critique")
uvicorn.run(app, host="127.0.0.1", port=0)
"""
)
SAID = "Uvicorn running on "


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with process(python(PROGRAM), ready=SAID) as line:
        yield line.partition(SAID)[2].split()[0]


def test_a_remote_runnable_drives_a_whole_loop(address: str) -> None:
    turn: Any = RemoteRunnable(f"{address}/turn", timeout=60)
    first = turn.invoke({"thread_id": "r", "input": START})
    assert first["waiting_for"]["value"]["response"] == "<Give three uses for rope.>"
    second = turn.invoke({"thread_id": "r", "question": first["waiting_for"]["id"], "resume": CRITIQUE})
    assert [p["text"] for p in second["waiting_for"]["value"]["principles"]] == ["Be brief."]
    last = turn.invoke({"thread_id": "r", "resume": ACCEPT})
    assert last["status"] == "ended"
    assert last["state"]["prompt"]["description"] == "Give three uses for {item}. Be brief."


async def test_the_async_forms_and_a_stream_bring_the_reply_too(address: str) -> None:
    turn: Any = RemoteRunnable(f"{address}/turn", timeout=60)
    assert (await turn.ainvoke({"thread_id": "a", "input": START}))["status"] == "waiting"
    told = [reply async for reply in turn.astream({"thread_id": "a", "resume": ACCEPT})]
    assert told[-1]["status"] == "ended"


def test_a_conflict_is_the_same_status_and_sentence(address: str) -> None:
    turn: Any = RemoteRunnable(f"{address}/turn", timeout=60)
    with pytest.raises(httpx.HTTPStatusError) as caught:
        turn.invoke({"thread_id": "nobody", "resume": ACCEPT})
    assert caught.value.response.status_code == 404
    assert "no thread" in str(caught.value)
    odd = httpx.post(f"{address}/turn/invoke", json={"input": {"thread_id": "a b"}})
    assert odd.status_code == 422


def test_a_rulebook_labels_one_row_and_many(address: str) -> None:
    toxic: Any = RemoteRunnable(f"{address}/toxic", timeout=60)
    assert toxic.invoke({"comment": "you idiot"})["prediction"] is True
    found = toxic.batch([{"comment": "hello"}, {"comment": "you idiot"}])
    assert [prediction["prediction"] for prediction in found] == [False, True]


@pytest.mark.parametrize("path", ["turn", "toxic", "critique"])
def test_each_has_a_playground_and_a_real_schema(address: str, path: str) -> None:
    assert httpx.get(f"{address}/{path}/playground/", follow_redirects=True).status_code == 200
    assert httpx.get(f"{address}/{path}/input_schema").json() != {}
