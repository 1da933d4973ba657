"""The feedback loop for `langgraph dev` and Agent Server, which bring threads, a store and an API of their own.

A `langgraph.json` names `langchain_model_alignment.integrations.serving.agent_server:feedback`.
"""

import asyncio
import os
from functools import cache
from typing import Any

from langgraph.graph.state import CompiledStateGraph

from langchain_model_alignment.feedback.graph import create_feedback_graph

__all__ = ["ALIGNMENT_MODEL", "MODEL", "feedback"]

MODEL = "LANGCHAIN_ALIGN_MODEL"
"""The environment variable with the model that answers; `local`, when absent."""
ALIGNMENT_MODEL = "LANGCHAIN_ALIGN_ALIGNMENT_MODEL"
"""The environment variable with the model that writes principles; the same, when absent."""


async def feedback() -> "CompiledStateGraph[Any, Any, Any, Any]":
    """Make the feedback loop, once in a process.

    Raises:
        ModelNameError: A model's name resolves to nothing here.
        WeightsError: A local model's weights cannot be had.
    """
    return await asyncio.to_thread(_made, os.environ.get(MODEL) or "local", os.environ.get(ALIGNMENT_MODEL) or None)


@cache
def _made(model: str, alignment_model: str | None) -> "CompiledStateGraph[Any, Any, Any, Any]":
    return create_feedback_graph(model, alignment_model=alignment_model).compile()
