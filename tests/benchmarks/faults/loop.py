"""A feedback loop that is killed: a person who says the next thing whenever the graph waits for it.

Checkpoints and answers are in SQLite. The same command goes on, and writes `prompt.json` at the end.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import Command

from langchain_model_alignment import AlignedPrompt, Caller, SQLiteCache, create_feedback_graph
from tests.benchmarks.faults.answers import PERSON, PROMPT

ITEMS = ("rope", "a brick", "scissors", "a spoon")
THREAD: Any = {"configurable": {"thread_id": "anna"}}


def run(folder: Path, model: BaseChatModel) -> None:
    """Go on from where the loop in a folder stands to its end."""
    folder.mkdir(exist_ok=True)
    with SQLiteCache(folder / "answers.sqlite") as cache:
        prompt = asyncio.run(_aligned(folder, Caller(model, cache=cache)))
    (folder / "prompt.json").write_text(told(prompt), encoding="utf-8")


async def _aligned(folder: Path, caller: Caller) -> dict[str, Any]:
    async with AsyncSqliteSaver.from_conn_string(str(folder / "checkpoints.sqlite")) as saver:
        graph: Any = create_feedback_graph(caller).compile(checkpointer=saver)
        state = await graph.aget_state(THREAD)
        while state.tasks or not state.values.get("response"):
            if state.interrupts:
                start: Any = Command(resume=says(state.values["prompt"]))
            else:
                start = None if state.tasks else {"prompt": PROMPT, "inputs": {"item": ITEMS[0]}}
            await graph.ainvoke(start, THREAD)
            state = await graph.aget_state(THREAD)
        found: dict[str, Any] = state.values["prompt"]
        return found


def says(prompt: dict[str, Any]) -> dict[str, Any]:
    """Return the person's next turn, by what was said until now."""
    turn = sum(len(exchange.feedback) for exchange in AlignedPrompt.from_dict(prompt).exchanges)
    if turn == len(PERSON):
        return {"action": "accept"}
    return {"action": "critique", "text": PERSON[turn][0], "inputs": {"item": ITEMS[turn]}}


def told(prompt: dict[str, Any]) -> str:
    """Return a prompt as JSON without the times of its revisions."""

    def timeless(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: timeless(part) for key, part in value.items() if key != "time"}
        return [timeless(part) for part in value] if isinstance(value, list) else value

    return json.dumps(timeless(prompt), indent=1, ensure_ascii=False, sort_keys=True)
