"""Chains and the feedback loop through LangServe, each with a playground: /turn/playground, /critique/playground.

Then, in another program:

    from langserve import RemoteRunnable
    turn = RemoteRunnable("http://127.0.0.1:8000/turn")
    reply = turn.invoke({"thread_id": "1", "input": {"prompt": "Name uses of {item}.", "inputs": {"item": "rope"}}})
    reply = turn.invoke({"thread_id": "1", "resume": {"action": "critique", "text": "at most three"}})
"""

import argparse

from fastapi import FastAPI
from langchain_core.language_models import BaseChatModel
from langgraph.checkpoint.memory import InMemorySaver
from langserve import add_routes

from langchain_model_alignment import (
    Caller,
    create_critique_chain,
    create_feedback_graph,
    create_turn_chain,
    resolve_chat_model,
)
from langchain_model_alignment.integrations.serving import add_problem_handlers


def make_app(llm: BaseChatModel) -> FastAPI:
    """An app with the loop and one of its chains; threads live as long as the process."""
    caller = Caller(llm)  # one gate for all that is served
    graph = create_feedback_graph(caller).compile(checkpointer=InMemorySaver())
    app = FastAPI(title="Aligning prompts")
    add_problem_handlers(app)  # a status and one sentence, where LangServe alone would answer 500
    add_routes(app, create_turn_chain(graph), path="/turn")
    add_routes(app, create_critique_chain(caller), path="/critique")
    return app


def main() -> None:
    """Read the options and serve on this machine only."""
    import uvicorn

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="local", help="local, or provider:model")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    uvicorn.run(make_app(resolve_chat_model(options.model)), host="127.0.0.1", port=options.port)


if __name__ == "__main__":
    main()
