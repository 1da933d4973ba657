"""The feedback loop as a LangGraph state machine: respond, check, review (a person's turn), extract, update, and again.

State holds plain JSON values only; models, gates and caches are closed over by the factory. The graph comes
uncompiled, so that the caller chooses the checkpointer, and works as a subgraph under any context.
"""

from typing import Any

from langchain_core.runnables import Runnable
from langgraph.graph import END, START, StateGraph

from langchain_model_alignment.calls import ChatModelLike, as_caller
from langchain_model_alignment.errors import ConfigurationError
from langchain_model_alignment.feedback.loop_nodes import Nodes
from langchain_model_alignment.feedback.loop_state import FeedbackEvent, FeedbackInput, FeedbackOutput, FeedbackState
from langchain_model_alignment.feedback.principles import Strategy
from langchain_model_alignment.loop import GraphNode

__all__ = ["FeedbackEvent", "FeedbackInput", "FeedbackOutput", "FeedbackState", "create_feedback_graph"]


def create_feedback_graph(
    llm: ChatModelLike,
    *,
    alignment_model: ChatModelLike | None = None,
    target: Runnable[Any, Any] | None = None,
    candidates: int = 1,
    strategy: Strategy | None = None,
    check_intent: bool = True,
    replay_inputs: int = 8,
) -> "StateGraph[FeedbackState, None, FeedbackInput, FeedbackOutput]":
    """Create the loop in which a person aligns one prompt.

    The graph answers the inputs, then stops at an interrupt whose payload holds the response, the candidates, the
    principles and the prompt. It is resumed with a `Review` (or a dict like it, or an answer of LangChain's Agent
    Inbox); one that is not valid leaves the question pending. Feedback becomes a principle, the prompt is updated, and
    the new answer comes for review, until the review is `accept`.

    Before that, the new answer is judged by the feedback that it should honour, and a principle whose wish is lost is
    written anew, once. Then earlier inputs are answered again; only where one got worse, or a wish that was kept is
    lost, the graph stops at an interrupt of the type `replay`, resumed with `accept` or `take_back` (see `Decision`).
    A preference without a reason stops at one of the type `why`, resumed with a `Reason`.

    Args:
        llm: The model that answers, and that writes principles where no other is given.
        alignment_model: The model that writes principles and prompts.
        target: What answers instead of `llm`: any Runnable that takes the prompt's messages, such as a RAG chain or
            an agent.
        candidates: How many answers to choose from at each turn.
        strategy: How to ask the alignment model; by default what fits it.
        check_intent: Whether answers are judged by the feedback that they should honour.
        replay_inputs: How many of the newest other inputs are answered again after a change; 0 for none.

    Returns:
        The graph, not compiled; compile it with a checkpointer.

    Raises:
        ConfigurationError: Fewer than one candidate.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> from langgraph.checkpoint.memory import InMemorySaver
        >>> from langgraph.types import Command
        >>> decision = '{"reason": "asked", "action": "add", "principle": "Be brief."}'
        >>> woven = '{"text": "Be brief and greet {name}."}'
        >>> kept = '{"sayings": [{"number": 1, "kept": true, "reason": "It has two words."}]}'
        >>> graph = create_feedback_graph(
        ...     FakeListChatModel(responses=["Good morning to you, dear Ada!", "Hi Ada!"]),
        ...     alignment_model=FakeListChatModel(responses=[decision, woven, kept]),
        ... ).compile(checkpointer=InMemorySaver())
        >>> thread = {"configurable": {"thread_id": "1"}}
        >>> state = graph.invoke({"prompt": "Greet {name}.", "inputs": {"name": "Ada"}}, thread)
        >>> state["__interrupt__"][0].value["response"]
        'Good morning to you, dear Ada!'
        >>> state = graph.invoke(Command(resume={"action": "critique", "text": "Too long."}), thread)
        >>> state["__interrupt__"][0].value["prompt"], state["__interrupt__"][0].value["response"]
        ('Be brief and greet {name}.', 'Hi Ada!')
        >>> graph.invoke(Command(resume={"action": "accept"}), thread)["response"]
        'Hi Ada!'
    """
    if candidates < 1:
        raise ConfigurationError(f"{candidates} candidates were asked for; ask for 1 or more.")
    answerer = as_caller(llm)
    aligner = answerer if alignment_model is None else as_caller(alignment_model)
    nodes = Nodes(
        target or answerer,
        aligner,
        candidates=candidates,
        strategy=strategy,
        check_intent=check_intent,
        replay_inputs=replay_inputs,
    )
    graph: StateGraph[FeedbackState, None, FeedbackInput, FeedbackOutput] = StateGraph(
        FeedbackState, input_schema=FeedbackInput, output_schema=FeedbackOutput
    )
    for step in (nodes.respond, nodes.check, nodes.replay, nodes.explain, nodes.extract, nodes.update):
        graph.add_node(step.__name__, GraphNode(step, name=step.__name__))
    for turn in (nodes.begin, nodes.review, nodes.edit, nodes.go_back, nodes.decide, nodes.confirm):
        graph.add_node(turn.__name__, turn)
    graph.add_edge(START, "begin")
    graph.add_edge("begin", "respond")
    graph.add_conditional_edges("respond", nodes.after_respond, ["check", "replay", "review"])
    graph.add_conditional_edges("check", nodes.after_check, ["update", "replay", "review"])
    graph.add_conditional_edges("replay", nodes.after_replay, ["decide", "review"])
    graph.add_edge("decide", "review")
    graph.add_conditional_edges("review", nodes.after_review, ["extract", "explain", "edit", "respond", "go_back", END])
    graph.add_edge("go_back", "review")
    graph.add_edge("explain", "confirm")
    graph.add_edge("confirm", "extract")
    graph.add_edge("extract", "update")
    graph.add_conditional_edges("edit", nodes.after_edit, ["update", "respond"])
    graph.add_edge("update", "respond")
    return graph
