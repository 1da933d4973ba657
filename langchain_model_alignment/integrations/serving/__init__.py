"""The feedback loop and trained rulebooks behind an address: one runnable turn, served three ways.

`create_app` and `create_router` are FastAPI's (extra `serve`), `add_langserve_routes` is LangServe's (extra
`langserve`), and `agent_server` holds what a `langgraph.json` names (extra `server`).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_model_alignment.integrations.serving.app import create_app, create_router
    from langchain_model_alignment.integrations.serving.settings import ServeSettings
    from langchain_model_alignment.integrations.serving.storage import open_storage
    from langchain_model_alignment.integrations.serving.turn import Reply, Start, Turn, Turns, create_turn_chain

_WHERE = {
    "Reply": "turn",
    "ServeSettings": "settings",
    "Start": "turn",
    "Turn": "turn",
    "Turns": "turn",
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
    "create_app",
    "create_router",
    "create_turn_chain",
    "open_storage",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
