"""A feedback loop in a process of its own that is killed: `python -m tests.benchmarks.faults.loop FOLDER MODEL`.

A person who says the next thing whenever the graph waits for it; checkpoints and answers in SQLite. The same command
goes on, and writes `prompt.json` at the end.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import Command

from langchain_model_alignment import AlignedPrompt, Caller, SQLiteCache, create_feedback_graph, resolve_chat_model
from tests.benchmarks.faults.answers import PERSON, PROMPT

ITEMS = ("rope", "a brick", "scissors", "a spoon")
THREAD: Any = {"configurable": {"thread_id": "anna"}}


async def main(folder: Path, model: str) -> None:
    """Go on from where the loop stands to its end."""
    caller = Caller(resolve_chat_model(model), cache=SQLiteCache(folder / "answers.sqlite"))
    async with AsyncSqliteSaver.from_conn_string(str(folder / "checkpoints.sqlite")) as saver:
        graph: Any = create_feedback_graph(caller).compile(checkpointer=saver)
        state = await graph.aget_state(THREAD)
        while state.next or not state.values.get("response"):
            if state.interrupts:
                start: Any = Command(resume=says(state.values["prompt"]))
            else:
                start = None if state.next else {"prompt": PROMPT, "inputs": {"item": ITEMS[0]}}
            await graph.ainvoke(start, THREAD)
            state = await graph.aget_state(THREAD)
    (folder / "prompt.json").write_text(told(state.values["prompt"]), encoding="utf-8")


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


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(exist_ok=True)
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
