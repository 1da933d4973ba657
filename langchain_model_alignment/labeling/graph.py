"""Training as a LangGraph state machine: begin, mutate, screen, race, select, and again.

State holds plain JSON values only: rulebooks, predictions, row ids, records. Models, rows, gates and caches are closed
over by the factory; a run of other data is refused by its fingerprint. One Send carries one candidate, whose rows are
labeled inside the node, behind the gate. The graph comes uncompiled, so that the caller chooses the checkpointer.
"""

from langgraph.graph import END, START, StateGraph

from langchain_model_alignment.labeling.nodes import Nodes
from langchain_model_alignment.labeling.state import (
    CandidateState,
    LabelerEvent,
    LabelerInput,
    LabelerOutput,
    LabelerState,
)
from langchain_model_alignment.labeling.training import Training

__all__ = ["CandidateState", "LabelerEvent", "LabelerState", "create_training_graph"]


def create_training_graph(
    training: Training, *, keep: int | None = None, zero_shot: bool = True
) -> "StateGraph[LabelerState, None, LabelerInput, LabelerOutput]":
    """Create the loop that trains a rulebook.

    Args:
        training: The models, rows and settings.
        keep: Rulebooks to keep from step to step; the hyperparameter `n_best` by default.
        zero_shot: Whether the empty rulebook takes part too, so that training ends no worse than without principles.

    Returns:
        The graph, not compiled.
    """
    nodes = Nodes(training, keep or training.hparams.n_best, zero_shot)
    graph: StateGraph[LabelerState, None, LabelerInput, LabelerOutput] = StateGraph(
        LabelerState, input_schema=LabelerInput, output_schema=LabelerOutput
    )
    for name in ("begin", "mutate", "screen", "combine", "race", "judge", "select"):
        graph.add_node(name, nodes.node(name))
    graph.add_edge(START, "begin")
    graph.add_conditional_edges("begin", nodes.after_begin, ["race", "mutate", END])
    graph.add_conditional_edges("mutate", nodes.after_mutate, ["screen", "select"])
    graph.add_edge("screen", "combine")
    graph.add_conditional_edges("combine", nodes.to_race, ["race", "select"])
    graph.add_edge("race", "judge")
    graph.add_conditional_edges("judge", nodes.to_race, ["race", "select"])
    graph.add_conditional_edges("select", nodes.after_select, ["mutate", END])
    return graph
