"""Make a prompt follow people's wishes.

Feedback (a critique, kudos, a rewrite) becomes readable principles, and principles become the prompt. Everything
heavy is imported at its first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_model_alignment import errors
    from langchain_model_alignment.cache import MemoryCache, SQLiteCache
    from langchain_model_alignment.calls import Caller, Gate
    from langchain_model_alignment.constitution import Constitution, Principle
    from langchain_model_alignment.errors import AlignmentError
    from langchain_model_alignment.feedback import single_run
    from langchain_model_alignment.feedback.graph import create_feedback_graph
    from langchain_model_alignment.feedback.principles import create_principle_chain
    from langchain_model_alignment.feedback.records import AlignedPrompt, Feedback
    from langchain_model_alignment.feedback.review import Review
    from langchain_model_alignment.feedback.single_run import AlignableSingleRun
    from langchain_model_alignment.feedback.suggestions import create_critique_chain, create_kudos_chain
    from langchain_model_alignment.feedback.updates import create_direct_update_chain, create_prompt_update_chain
    from langchain_model_alignment.local import local_chat_model
    from langchain_model_alignment.models import resolve_chat_model
    from langchain_model_alignment.templates import Template
    from langchain_model_alignment.usage import Budget, Usage

_WHERE = {
    "AlignableSingleRun": "feedback.single_run",
    "AlignedPrompt": "feedback.records",
    "AlignmentError": "errors",
    "Budget": "usage",
    "Caller": "calls",
    "Constitution": "constitution",
    "Feedback": "feedback.records",
    "Gate": "calls",
    "MemoryCache": "cache",
    "Principle": "constitution",
    "Review": "feedback.review",
    "SQLiteCache": "cache",
    "Template": "templates",
    "Usage": "usage",
    "create_critique_chain": "feedback.suggestions",
    "create_direct_update_chain": "feedback.updates",
    "create_feedback_graph": "feedback.graph",
    "create_kudos_chain": "feedback.suggestions",
    "create_principle_chain": "feedback.principles",
    "create_prompt_update_chain": "feedback.updates",
    "errors": "errors",
    "local_chat_model": "local",
    "resolve_chat_model": "models",
    "single_run": "feedback.single_run",
}
_MODULES = {"errors", "single_run"}

__all__ = [
    "AlignableSingleRun",
    "AlignedPrompt",
    "AlignmentError",
    "Budget",
    "Caller",
    "Constitution",
    "Feedback",
    "Gate",
    "MemoryCache",
    "Principle",
    "Review",
    "SQLiteCache",
    "Template",
    "Usage",
    "create_critique_chain",
    "create_direct_update_chain",
    "create_feedback_graph",
    "create_kudos_chain",
    "create_principle_chain",
    "create_prompt_update_chain",
    "errors",
    "local_chat_model",
    "resolve_chat_model",
    "single_run",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_WHERE[name]}")
    return module if name in _MODULES else getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
