"""The feedback loop and trained rulebooks behind an address: one runnable turn, served three ways.

`create_app` and `create_router` are for FastAPI (extra `serve`); `create_turn_chain` goes into LangServe's `add_routes`
(extra `langserve`); and a `langgraph.json` names `agent_server:feedback` (extra `server`).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_model_alignment.integrations.serving.app import create_app, create_router
    from langchain_model_alignment.integrations.serving.problems import add_problem_handlers
    from langchain_model_alignment.integrations.serving.settings import ServeSettings
    from langchain_model_alignment.integrations.serving.storage import open_storage
    from langchain_model_alignment.integrations.serving.turn import Reply, Start, Turn, Turns, create_turn_chain

_WHERE = {
    "Reply": "turn",
    "ServeSettings": "settings",
    "Start": "turn",
    "Turn": "turn",
    "Turns": "turn",
    "add_problem_handlers": "problems",
    "create_app": "app",
    "create_router": "app",
    "create_turn_chain": "turn",
    "open_storage": "storage",
}

__all__ = [
    "Reply",
    "ServeSettings",
    "Start",
    "Turn",
    "Turns",
    "add_problem_handlers",
    "create_app",
    "create_router",
    "create_turn_chain",
    "open_storage",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
