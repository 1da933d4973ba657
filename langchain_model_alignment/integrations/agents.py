"""Principles in the system message of an agent made by `langchain.agents.create_agent`."""

from collections.abc import Awaitable, Callable
from typing import Any

from langchain_core.messages import SystemMessage

from langchain_model_alignment.errors import ConfigurationError
from langchain_model_alignment.feedback.instructions import PRINCIPLES_HEADING
from langchain_model_alignment.integrations.entries import Entry
from langchain_model_alignment.integrations.learner import NameOf, library_for, name_for
from langchain_model_alignment.integrations.store import ConstitutionLibrary

try:
    from langchain.agents.middleware import AgentMiddleware, ModelRequest
except ImportError as error:
    raise ConfigurationError(
        'This needs the package langchain: pip install "langchain-model-alignment[agents]".'
    ) from error

__all__ = ["ConstitutionMiddleware"]


class ConstitutionMiddleware(AgentMiddleware[Any, Any, Any]):
    """Puts a constitution into the system message of an agent, below what stands there.

    It is read from the store at each model call, so what the agent learned holds from the next call on. The text is the
    same for the same constitution, so that a provider's prompt cache serves it. A name that the library does not have,
    such as that of a new user, has no principles.

    Example:
        >>> from langchain.agents import create_agent
        >>> from langchain_core.language_models import FakeListChatModel
        >>> from langgraph.store.memory import InMemoryStore
        >>> from langchain_model_alignment.constitution import Constitution
        >>> store = InMemoryStore()
        >>> ConstitutionLibrary(store).put("ann", Constitution.of("Be brief."))
        1
        >>> agent = create_agent(
        ...     FakeListChatModel(responses=["Hi."]),
        ...     system_prompt="You help.",
        ...     middleware=[ConstitutionMiddleware(lambda run: run.context["user"])],
        ...     context_schema=dict,
        ...     store=store,
        ... )
        >>> agent.invoke({"messages": [("human", "Hello")]}, context={"user": "ann"})["messages"][-1].text
        'Hi.'
    """

    def __init__(self, name: NameOf, library: ConstitutionLibrary | None = None) -> None:
        """Make the middleware.

        Args:
            name: The name of the constitution, or a function from the run's `Runtime` to it. As part of another graph
                the agent gets that graph's context, or None.
            library: Where constitutions are; the store that the agent was compiled with, when absent.
        """
        super().__init__()
        self._name, self._library = name, library

    def wrap_model_call(self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Any]) -> Any:
        """Ask the model with the principles as they stand."""
        library = library_for(self._library, request.runtime.store)
        return handler(_with_principles(request, library.newest(name_for(self._name, request.runtime))))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[Any]]
    ) -> Any:
        """Ask the model; the async twin of `wrap_model_call`."""
        library = library_for(self._library, request.runtime.store)
        return await handler(_with_principles(request, await library.anewest(name_for(self._name, request.runtime))))


def _with_principles(request: ModelRequest[Any], entry: Entry | None) -> ModelRequest[Any]:
    if entry is None or not entry.constitution.enabled():
        return request
    listed = f"{PRINCIPLES_HEADING}\n{entry.constitution.render()}"
    system = request.system_message
    if system is None or not system.content:
        return request.override(system_message=SystemMessage(listed))
    content: Any
    if isinstance(system.content, str):
        content = f"{system.content}\n\n{listed}"
    else:  # blocks, of which one may end a provider's cached prefix: they stay as they are
        content = [*system.content, {"type": "text", "text": f"\n\n{listed}"}]
    return request.override(system_message=system.model_copy(update={"content": content}))
