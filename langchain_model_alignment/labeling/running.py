"""One training run from its rows to its result."""

from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs
from langgraph.types import Checkpointer

from langchain_model_alignment.labeling.graph import create_training_graph
from langchain_model_alignment.labeling.outcome import result_of
from langchain_model_alignment.labeling.records import TrainingResult
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.training import Training

__all__ = ["run_training"]


async def run_training(
    training: Training,
    checkpoint: Rulebook | None,
    steps: int,
    config: RunnableConfig | None,
    *,
    keep: int | None = None,
    zero_shot: bool = True,
    checkpointer: Checkpointer = None,
) -> TrainingResult:
    """Train a rulebook, or go on with a run that is in the checkpointer.

    Args:
        training: The models, rows and settings.
        checkpoint: The rulebook to begin with; written from examples where there is none.
        steps: How many steps there are to be in all.
        config: Callbacks, tags and metadata; the thread's id, where a checkpointer is given.
        keep: Rulebooks to keep from step to step; the hyperparameter `n_best` by default.
        zero_shot: Whether the empty rulebook takes part too.
        checkpointer: Where LangGraph keeps the state.

    Raises:
        ArtifactError: The checkpoint is of another task, or the run in the checkpointer of other data.
        AlignmentError: The model failed.
    """
    loop = create_training_graph(training, keep=keep, zero_shot=zero_shot)
    graph = loop.compile(checkpointer=checkpointer, name="train")
    named = {"configurable": {"thread_id": "training"}} if checkpointer else {}
    settings = merge_configs(RunnableConfig(**named), config)  # type: ignore[typeddict-item]
    begun = (await graph.aget_state(settings)).tasks if checkpointer else ()
    start: Any = None
    if not begun:
        given = None if checkpoint is None else checkpoint.model_dump(mode="json")
        start = {"steps": steps, "rulebook": given}
    state: Any = await graph.ainvoke(start, settings)
    return result_of(training, state)
