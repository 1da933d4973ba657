"""The feedback graph in an application: it stops for the person, and each turn may come from another process.

The person is scripted here. In an application the question goes to a web page, and the answer comes back hours later;
the SQLite file holds all that lies between.
"""

import argparse
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Command

from langchain_model_alignment import AlignedPrompt, create_feedback_graph, resolve_chat_model

START = {"prompt": "Describe {place} to a tourist.", "inputs": {"place": "Lisbon"}}
TURNS = ({"action": "critique", "text": "at most two sentences"}, {"action": "accept"})
THREAD: Any = {"configurable": {"thread_id": "lisbon"}}


def take_turn(llm: BaseChatModel, file: Path, value: Any) -> dict[str, Any]:
    """Open the thread, run it to the person's next turn, and close it: what one web request would do."""
    with SqliteSaver.from_conn_string(str(file)) as saver:
        graph = create_feedback_graph(llm).compile(checkpointer=saver)
        return graph.invoke(value, THREAD)


def loop(llm: BaseChatModel, file: Path) -> AlignedPrompt:
    """Begin, and go on after each of the person's turns."""
    state = take_turn(llm, file, START)
    for turn in TURNS:
        question = state["__interrupt__"][0].value
        print(f"\nThe prompt:  {question['prompt']}\nThe answer:  {question['response']}\nThe person:  {turn}")
        state = take_turn(llm, file, Command(resume=turn))
    aligned = AlignedPrompt.from_dict(state["prompt"])
    print(f"\nAccepted. The prompt that came of it:\n{aligned.effective.text}")
    return aligned


def main() -> None:
    """Read the options and run the loop; a thread that is there already would be begun anew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="local", help="local, or provider:model")
    parser.add_argument("--file", type=Path, default=Path("lisbon.sqlite"), help="where the thread is kept")
    options = parser.parse_args()
    loop(resolve_chat_model(options.model), options.file)


if __name__ == "__main__":
    main()
