"""Seeing inside: events for one's own tracker, and marks by which the runs of a trace are found again.

Marks are metadata of the model's runs, in LangSmith or wherever LangChain's callbacks lead: `alignment_revision`,
`alignment_exchange` and `alignment_candidate` while a prompt is aligned; `alignment_data`, `alignment_step` and
`alignment_candidate` while a rulebook is trained; `alignment_constitution` and `alignment_version` of a live prompt.
"""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs

__all__ = ["EventCallback", "marked", "tell"]

_PREFIX = "alignment."


class EventCallback(BaseCallbackHandler):
    """Gives a function every event of the feedback graph and of training, to write into a tracker of one's own.

    The events are those of the graphs' `custom` streams (`FeedbackEvent`, `LabelerEvent`, and `learned` where an agent
    learns): dicts of plain JSON values whose `type` says what happened. What the function raises is logged by LangChain
    and ends nothing.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> from langgraph.checkpoint.memory import InMemorySaver
        >>> from langchain_model_alignment import create_feedback_graph
        >>> graph = create_feedback_graph(FakeListChatModel(responses=["Hi Ada!"])).compile(InMemorySaver())
        >>> seen = []
        >>> config = {"callbacks": [EventCallback(seen.append)], "configurable": {"thread_id": "1"}}
        >>> state = graph.invoke({"prompt": "Greet {name}.", "inputs": {"name": "Ada"}}, config)
        >>> [(event["type"], event["candidates"]) for event in seen]
        [('answers', ['Hi Ada!'])]
    """

    run_inline = True  # one after the other, in the order in which they happened

    def __init__(self, track: Callable[[dict[str, Any]], Any]) -> None:
        """Make the callback, to be given in the config of a call: `config={"callbacks": [EventCallback(track)]}`.

        Args:
            track: Takes each event.
        """
        self._track = track

    def on_custom_event(self, name: str, data: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Hand on an event of this library; others are left alone."""
        if name.startswith(_PREFIX):
            self._track(dict(data))


def tell(event: Mapping[str, Any]) -> None:
    """Tell an event to the `custom` stream of the graph under way, and to the callbacks of the run."""
    from langchain_core.callbacks import dispatch_custom_event
    from langgraph.config import get_stream_writer

    get_stream_writer()(event)
    dispatch_custom_event(f"{_PREFIX}{event['type']}", event)


def marked(config: RunnableConfig | None, **marks: Any) -> RunnableConfig:
    """Return a config that marks the runs below it.

    Example:
        >>> marked({"tags": ["mine"], "metadata": {"team": "red"}}, step=2)["metadata"]
        {'team': 'red', 'alignment_step': 2}
    """
    return merge_configs(config, {"metadata": {f"alignment_{name}": value for name, value in marks.items()}})
