"""Feedback in a conversation becomes a principle in the store: a tool for an agent, and a node for any graph.

Whose principles these are, the caller says by a function of the run. What is kept is always what a person said: the
tool takes only words that stand in one of the user's messages, so that no web page can write principles, and keeps the
whole sentence, so that "use emojis" never stands for "never use emojis".
"""

import logging
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from langchain_core.messages import BaseMessage, convert_to_messages
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.tools import BaseTool, StructuredTool, ToolException
from langgraph.prebuilt import ToolRuntime
from langgraph.runtime import get_runtime
from pydantic import ValidationError
from typing_extensions import TypedDict

from langchain_model_alignment.artifacts import one_line
from langchain_model_alignment.calls import ChatModelLike
from langchain_model_alignment.errors import BudgetError, ConflictError, FeedbackError, ModelError
from langchain_model_alignment.feedback.exchanges import Feedback
from langchain_model_alignment.feedback.principles import Strategy
from langchain_model_alignment.integrations import instructions
from langchain_model_alignment.integrations.learner import Blocking, Learner, NameOf, Place, library_for, name_for
from langchain_model_alignment.integrations.said import answer_in, said_by_user
from langchain_model_alignment.integrations.store import ConstitutionLibrary
from langchain_model_alignment.loop import GraphNode, run_sync

__all__ = ["FeedbackTurn", "create_feedback_node", "create_feedback_tool"]

logger = logging.getLogger(__name__)


class FeedbackTurn(TypedDict, total=False):
    """What the feedback node reads of a graph's state, and what it changes."""

    messages: list[Any]
    """The conversation; its last answer is what the feedback is about."""
    feedback: str | dict[str, Any] | None
    """A critique in words, or a `Feedback` as a dict (`kind`, `text`, …); nothing once it is learned."""
    learned: list[str]
    """What changed among the principles, a line each."""


def create_feedback_tool(
    llm: ChatModelLike,
    name: NameOf,
    *,
    library: ConstitutionLibrary | None = None,
    strategy: Strategy | None = None,
) -> BaseTool:
    """Create the tool by which an agent keeps what its user says about its answers.

    The agent copies the user's words; words that no message of the user holds are refused. The whole sentences around
    them become a principle with all the checks of `create_principle_chain`, and the constitution's next version in the
    store. With `ConstitutionMiddleware` in the agent it holds from the next model call on. The `custom` stream and an
    `EventCallback` get an event of the type `learned`, with `name`, `version`, `principles`, `changes`, `written_by`
    and `conflicts`.

    Args:
        llm: The model that writes principles.
        name: The name of the constitution, or a function from the run's `ToolRuntime` to it.
        library: Where constitutions are; the store that the agent was compiled with, when absent.
        strategy: How to ask the model; by default what fits it.

    Returns:
        The tool, called `learn_from_feedback`.

    Raises:
        ConfigurationError: When called: there is no store, or the name is none.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> tool = create_feedback_tool(FakeListChatModel(responses=["…"]), "tone")
        >>> tool.name, list(tool.tool_call_schema.model_json_schema()["properties"])
        ('learn_from_feedback', ['words', 'kind'])
    """
    learner = Learner(llm, strategy)

    def learn(
        words: Annotated[str, instructions.FEEDBACK_WORDS],
        runtime: ToolRuntime[Any, Any],
        kind: Annotated[Literal["critique", "kudos"], instructions.FEEDBACK_KIND] = "critique",
    ) -> str:
        given = library_for(library, runtime.store)
        return run_sync(answer(Blocking(given), words, kind, runtime))

    async def alearn(
        words: Annotated[str, instructions.FEEDBACK_WORDS],
        runtime: ToolRuntime[Any, Any],
        kind: Annotated[Literal["critique", "kudos"], instructions.FEEDBACK_KIND] = "critique",
    ) -> str:
        return await answer(library_for(library, runtime.store), words, kind, runtime)

    async def answer(
        place: Place, words: str, kind: Literal["critique", "kudos"], runtime: ToolRuntime[Any, Any]
    ) -> str:
        found = said_by_user(words, convert_to_messages(runtime.state["messages"]))
        if found is None:
            raise ToolException(instructions.NOT_THEIR_WORDS)
        said, response = found
        feedback = Feedback(kind=kind, text=said, response=response)
        try:
            learned = await learner.learn(place, name_for(name, runtime), feedback, runtime.config)
        except (ModelError, BudgetError, ConflictError) as error:
            logger.warning("Feedback given to an agent could not be kept: %s", error)
            raise ToolException(instructions.could_not(str(error))) from error
        return instructions.learned(learned.changes, learned.conflicts) if learned.changes else instructions.NOTHING_NEW

    return StructuredTool.from_function(
        learn,
        alearn,
        name="learn_from_feedback",
        description=instructions.FEEDBACK_TOOL,
        handle_tool_error=True,
    )


def create_feedback_node(
    llm: ChatModelLike,
    name: NameOf,
    *,
    library: ConstitutionLibrary | None = None,
    strategy: Strategy | None = None,
) -> Runnable[FeedbackTurn, FeedbackTurn]:
    """Create the node that learns from feedback which an application puts into its graph's state.

    For buttons and comment fields beside an answer, and for models that call no tools. The state has `messages` and
    `feedback`; a state with `learned` is told what changed.

    Args:
        llm: The model that writes principles.
        name: The name of the constitution, or a function from the run's `Runtime` to it.
        library: Where constitutions are; the store that the graph was compiled with, when absent.
        strategy: How to ask the model; by default what fits it.

    Returns:
        The node, for `graph.add_node("feedback", …)`.

    Raises:
        FeedbackError: When called: the feedback is empty, or none that is known.
        ConfigurationError: When called: there is no store, or the name is none.
        ConflictError: When called: others wrote the same constitution all the time.
        ModelError: When called: the model failed; nothing is kept, and the state is as it was.
    """
    learner = Learner(llm, strategy)

    async def learn(place: Place | None, state: FeedbackTurn, config: RunnableConfig) -> FeedbackTurn:
        given, run = state.get("feedback"), get_runtime()
        if given is None:
            return {"feedback": None}
        place = place or library_for(library, run.store)
        feedback = _feedback_in(given, convert_to_messages(state.get("messages", [])))
        found = await learner.learn(place, name_for(name, run), feedback, config)
        return {"feedback": None, "learned": found.changes}

    async def call(state: FeedbackTurn, config: RunnableConfig) -> FeedbackTurn:
        return await learn(None, state, config)

    def call_sync(state: FeedbackTurn, config: RunnableConfig) -> FeedbackTurn:
        return run_sync(learn(Blocking(library_for(library, get_runtime().store)), state, config))

    return GraphNode(call, func=call_sync, name="feedback")


def _feedback_in(given: Any, messages: Sequence[BaseMessage]) -> Feedback:
    fields = {"kind": "critique", "text": given} if isinstance(given, str) else given
    if not isinstance(fields, dict):
        raise FeedbackError(
            f"The state's feedback is a {type(given).__name__}; give a text, or a dict with kind and text."
        )
    try:
        return Feedback.model_validate({"response": answer_in(messages), **fields})
    except ValidationError as error:
        raise FeedbackError(
            f"The state's feedback cannot be used: {one_line(error).removeprefix('Value error, ')}."
        ) from error
