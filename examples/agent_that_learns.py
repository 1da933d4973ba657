"""A LangGraph agent that learns from its user: what one says about an answer holds from the next one on.

Two ways lead into the same list of principles, which the store keeps for each user. A model that calls tools notices
itself that it was criticised (`--tools`). Any model learns from a comment field beside the answer, which is the default
here, for the small local model calls no tools.
"""

import argparse
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.store.memory import InMemoryStore  # or PostgresStore, SqliteStore: any LangGraph store

from langchain_model_alignment import (
    ConstitutionLibrary,
    create_feedback_node,
    create_feedback_tool,
    resolve_chat_model,
)
from langchain_model_alignment.integrations.agents import ConstitutionMiddleware

SYSTEM = "You help the customers of a bicycle shop."
QUESTIONS = ("How do I mend a flat tyre?", "How do I clean a chain?")
COMMENT = "at most two sentences, please"


class Chat(MessagesState):
    """The conversation, and what its user wrote into the comment field."""

    feedback: str | None


def user_of(run: Any) -> str:
    """Whose principles hold in a run: each user has their own."""
    return str(run.context["user"])


def build(llm: BaseChatModel, store: InMemoryStore, tools: bool) -> Any:
    """The application: an agent, and beside it the node that learns from comments."""
    graph = StateGraph(Chat, context_schema=dict)
    agent = create_agent(
        llm,
        tools=[create_feedback_tool(llm, user_of)] if tools else [],
        system_prompt=SYSTEM,
        middleware=[ConstitutionMiddleware(user_of)],
    )
    graph.add_node("agent", agent)
    graph.add_node("learn", create_feedback_node(llm, user_of))
    graph.add_conditional_edges(START, lambda state: "learn" if state.get("feedback") else "agent", ["learn", "agent"])
    graph.add_edge("agent", END)
    graph.add_edge("learn", END)
    return graph.compile(checkpointer=InMemorySaver(), store=store)


def talk(llm: BaseChatModel, store: InMemoryStore, *, tools: bool) -> None:
    """Ask, comment, and ask something else."""
    app, thread = build(llm, store, tools), {"configurable": {"thread_id": "1"}}

    def say(text: str, *, comment: bool = False) -> None:
        state = {"feedback": text} if comment else {"messages": [("human", text)]}
        after = app.invoke(state, thread, context={"user": "ann"})
        print("\nAnn:", text)
        if not comment:
            print("Agent:", after["messages"][-1].text)

    say(QUESTIONS[0])
    say(COMMENT, comment=not tools)
    say(QUESTIONS[1])
    print("\nWhat holds for Ann:")
    for principle in ConstitutionLibrary(store).get("ann"):
        print(f"  {principle.id}: {principle.text}")


def main() -> None:
    """Read the options and talk."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="local", help="local, or provider:model")
    parser.add_argument("--tools", action="store_true", help="let the agent notice feedback itself")
    options = parser.parse_args()
    talk(resolve_chat_model(options.model), InMemoryStore(), tools=options.tools)


if __name__ == "__main__":
    main()
