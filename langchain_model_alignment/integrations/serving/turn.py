"""One turn of a feedback loop as a plain Runnable: a thread's id and what a person says in, what comes next out.

A checkpointed graph that is served as it is loses its interrupt on the way. Here the question is part of the reply, so
the same turn serves FastAPI, LangServe and a program.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Annotated, Any, Literal, Self, cast

from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.errors import is_invalid_resume
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, StateSnapshot
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from typing_extensions import TypedDict

from langchain_model_alignment.artifacts import one_line
from langchain_model_alignment.errors import ConfigurationError, ConflictError, FeedbackError, NotFoundError
from langchain_model_alignment.feedback.loop_state import FeedbackEvent
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.integrations.plain import PlainDict, PlainText, PlainValue
from langchain_model_alignment.integrations.serving.claims import Claim, Claims
from langchain_model_alignment.integrations.serving.prompts import StoredName, StoredPrompts
from langchain_model_alignment.loop import make_runnable

__all__ = ["Question", "Reply", "ReplyState", "Start", "ThreadId", "Turn", "TurnEvent", "Turns", "create_turn_chain"]

ThreadId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:@+-]{1,128}$")]
"""The id of a thread: letters, digits and `_.:@+-`."""


class Start(BaseModel):
    """What begins a loop: a prompt, or the name of a stored one, and a value for each variable."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"prompt": "Name three uses of {item}."}]}
    )

    prompt: PlainText | PlainDict | None = None
    """A string, or the JSON of an `AlignedPrompt`."""
    stored: StoredName | None = None
    """The name of a stored prompt, instead of `prompt`."""
    inputs: PlainDict = {}

    @model_validator(mode="after")
    def _has_one_prompt(self) -> Self:
        if (self.prompt is None) == (self.stored is None):
            raise ValueError("give either a prompt or the name of a stored one")
        return self


class Turn(BaseModel):
    """One turn: an `input` begins a loop, a `resume` answers its question.

    With neither, a thread whose last turn failed half way goes on where it stopped; any other just tells how it stands.

    Example:
        >>> Turn(thread_id="anna", resume={"action": "critique", "text": "Too long."}).resume
        {'action': 'critique', 'text': 'Too long.'}
    """

    model_config = ConfigDict(extra="forbid")

    thread_id: ThreadId
    input: Start | None = None
    resume: PlainValue = Field(default=None, examples=[{"action": "critique", "text": "Too long."}])
    """A `Review`, a `Decision` or a `Reason`, whatever the question asks for, as JSON."""
    question: str | None = None
    """The id of the question that is answered. With it, an answer that is sent twice counts once."""

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if self.input is not None and self.resume is not None:
            raise ValueError("give an input to begin or a resume to answer, not both")
        if self.question is not None and self.resume is None:
            raise ValueError("a question goes with the resume that answers it")
        return self


class Question(TypedDict):
    """What a thread waits for."""

    id: str
    type: Literal["review", "replay", "why"]
    """Answered with a `Review`, a `Decision` or a `Reason`."""
    value: dict[str, Any]
    """What to show a person: response, candidates, principles, prompt; or what got worse; or reasons."""


class ReplyState(TypedDict):
    """What a loop has come to."""

    prompt: dict[str, Any]
    """The JSON of the `AlignedPrompt`."""
    response: str | None
    """The answer in front of the person."""


class Reply(TypedDict):
    """What a turn came to."""

    thread_id: str
    status: Literal["waiting", "ended", "stopped"]
    """`stopped`: the last turn failed half way; a turn with the thread's id alone goes on."""
    state: ReplyState
    waiting_for: Question | None


class TurnEvent(TypedDict):
    """One thing that a turn tells while it runs, and at its end the reply."""

    event: FeedbackEvent | None
    reply: Reply | None


class Turns:
    """The threads of a feedback graph, turn by turn.

    Args:
        graph: The compiled feedback graph, with a checkpointer; with a store, prompts can be begun from by name.
        claim: How a thread is held for a turn; by default against other turns in this process.

    Raises:
        ConfigurationError: The graph has no checkpointer.
    """

    def __init__(self, graph: "CompiledStateGraph[Any, Any, Any, Any]", *, claim: Claim | None = None) -> None:
        if not graph.checkpointer:
            raise ConfigurationError("Turns need a checkpointer; compile the feedback graph with one.")
        self._graph = graph
        self._claim = claim or Claims()
        self._prompts = StoredPrompts(graph.store) if graph.store is not None else None

    async def take(self, turn: Turn, config: RunnableConfig | None = None) -> Reply:
        """Take a turn; see `events` for what is raised."""
        async with aclosing(self.events(turn, config)) as events:
            async for event in events:
                if event["reply"] is not None:
                    return event["reply"]
        raise AssertionError("a turn ends with its reply")

    async def events(
        self, turn: Turn, config: RunnableConfig | None = None, *, tokens: bool = False
    ) -> AsyncGenerator[TurnEvent, None]:
        """Take a turn, telling what happens; the last event is the reply.

        Args:
            turn: The turn.
            config: Callbacks, tags and metadata for the calls.
            tokens: Whether answers are told piece by piece too, as events of the type `token`.

        Raises:
            NotFoundError: There is no such thread, or no such stored prompt.
            ConflictError: Another turn is under way, or the thread does not wait for this answer.
            FeedbackError: The answer does not fit the question, which stays pending.
            PromptError: The prompt or its inputs cannot be used.
            ModelError: A call failed; the thread keeps what was done and can go on.
        """
        thread = _of_thread(turn.thread_id, config)
        async with self._claim(turn.thread_id):
            entry = await self._entry(turn, await self._graph.aget_state(thread))
            if entry is not _STAY:
                modes: Any = ["custom", "messages"] if tokens else ["custom"]
                run: Any = self._graph.astream(entry, thread, stream_mode=modes)
                try:
                    async with aclosing(run):  # a reader that goes stops it before another turn may begin
                        async for mode, told in run:
                            event = told if mode == "custom" else _token(*told)
                            if event is not None:
                                yield {"event": event, "reply": None}
                except ValidationError as error:
                    if not is_invalid_resume(error):
                        raise
                    problem = one_line(error).removeprefix("Value error, ")
                    raise FeedbackError(
                        f"The answer does not fit the question ({problem}); the question is still pending."
                    ) from error
            yield {"event": None, "reply": _reply(turn.thread_id, await self._graph.aget_state(thread))}

    async def read(self, thread_id: str) -> Reply:
        """Return how a thread stands.

        Raises:
            NotFoundError: There is no such thread.
        """
        state = await self._graph.aget_state(_of_thread(thread_id, None))
        if not _is_there(state):
            raise _no_thread(thread_id)
        return _reply(thread_id, state)

    async def take_back(self, thread_id: str) -> Reply:
        """Give up a turn that stopped half way: the question that it answered is asked again, as it was.

        Raises:
            NotFoundError: There is no such thread.
            ConflictError: Another turn is under way, or there is no question to go back to.
        """
        async with self._claim(thread_id):
            now = await self.read(thread_id)
            if now["status"] != "stopped":
                return now
            async for earlier in self._graph.aget_state_history(_of_thread(thread_id, None)):
                if earlier.interrupts:
                    # Run from there without an answer, the node asks anew; what came after stays as a fork.
                    await self._graph.ainvoke(None, earlier.config)
                    return await self.read(thread_id)
        raise ConflictError(f'The thread "{thread_id}" never asked anything; go on, or begin it anew with an input.')

    async def forget(self, thread_id: str) -> None:
        """Delete a thread.

        Raises:
            NotFoundError: There is no such thread.
            ConflictError: A turn is under way there.
        """
        async with self._claim(thread_id):
            await self.read(thread_id)
            await self._graph.checkpointer.adelete_thread(thread_id)  # type: ignore[union-attr]

    async def _entry(self, turn: Turn, state: StateSnapshot) -> Any:
        """What to run the graph with."""
        question = state.interrupts[0] if state.interrupts else None
        if turn.input is not None:
            if question is not None:
                raise ConflictError(
                    f'The thread "{turn.thread_id}" waits for an answer; resume it, or begin another thread.'
                )
            return await self._begin(turn.input)
        if not _is_there(state):
            raise _no_thread(turn.thread_id)
        if turn.resume is None:
            return None if _is_under_way(state) and question is None else _STAY
        if question is None:
            what = (
                "stopped half way; send its id alone to go on" if _is_under_way(state) else "has ended; begin it anew"
            )
            raise ConflictError(f'The thread "{turn.thread_id}" waits for no answer: it {what}.')
        if turn.question not in (None, question.id):
            raise ConflictError(f'That question was answered; the thread "{turn.thread_id}" now asks "{question.id}".')
        return Command(resume={question.id: turn.resume})

    async def _begin(self, start: Start) -> dict[str, Any]:
        """Refuse what could not be answered before there is a thread."""
        if start.stored is not None:
            if self._prompts is None:
                raise ConfigurationError("There are no stored prompts here: the graph was compiled without a store.")
            prompt = await self._prompts.aget(start.stored)
        elif isinstance(start.prompt, dict):
            prompt = AlignedPrompt.from_dict(start.prompt, "The prompt")
        else:
            prompt = AlignedPrompt.from_prompt(start.prompt or "")
        prompt.effective.check_inputs(start.inputs)
        return {"prompt": prompt.model_dump(mode="json"), "inputs": start.inputs}


def create_turn_chain(
    graph: "CompiledStateGraph[Any, Any, Any, Any]", *, claim: Claim | None = None
) -> Runnable[Turn, Reply]:
    """Create the turn of a feedback loop as a Runnable, for LangServe or a program.

    Args:
        graph: The feedback graph, compiled with a checkpointer. An async one wants the async methods.
        claim: How a thread is held for a turn; by default against other turns in this process.

    Returns:
        The turn: a `Turn`, or a dict like it, in; a `Reply` out.

    Raises:
        ConfigurationError: The graph has no checkpointer.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> from langgraph.checkpoint.memory import InMemorySaver
        >>> from langchain_model_alignment.feedback.graph import create_feedback_graph
        >>> graph = create_feedback_graph(FakeListChatModel(responses=["Hello!"])).compile(InMemorySaver())
        >>> turn = create_turn_chain(graph)
        >>> reply = turn.invoke({"thread_id": "1", "input": {"prompt": "Greet {name}.", "inputs": {"name": "Ada"}}})
        >>> reply["status"], reply["waiting_for"]["type"], reply["waiting_for"]["value"]["response"]
        ('waiting', 'review', 'Hello!')
        >>> turn.invoke({"thread_id": "1", "resume": {"action": "accept"}})["status"]
        'ended'
    """
    turns = Turns(graph, claim=claim)

    async def take(value: Turn | dict[str, Any], config: RunnableConfig) -> Reply:
        try:
            turn = Turn.model_validate(value)
        except ValidationError as error:
            raise FeedbackError(f"That is no turn ({one_line(error).removeprefix('Value error, ')}).") from error
        return await turns.take(turn, config)

    return make_runnable(take, name="turn", input_type=Turn, output_type=Reply)


_STAY: Any = object()


def _token(chunk: BaseMessage, marks: Mapping[str, Any]) -> FeedbackEvent | None:
    """A piece of an answer; what the model says to itself, or while it judges, is none."""
    if marks.get("langgraph_node") != "respond" or "alignment_candidate" not in marks or not chunk.text:
        return None
    told = {"text": str(chunk.text), "candidate": marks["alignment_candidate"], "message": str(chunk.id)}
    return cast(FeedbackEvent, {"type": "token", **told})


def _of_thread(thread_id: str, config: RunnableConfig | None) -> RunnableConfig:
    """The thread's config; what else a caller configured is of another graph."""
    kept = {key: value for key, value in (config or {}).items() if key in ("callbacks", "tags", "metadata")}
    return cast(RunnableConfig, {**kept, "configurable": {"thread_id": thread_id}})


def _is_there(state: StateSnapshot) -> bool:
    return state.created_at is not None


def _is_under_way(state: StateSnapshot) -> bool:
    """Whether there is work left; `next` alone leaves out a step that was done and not yet followed by another."""
    return bool(state.tasks)


def _no_thread(thread_id: str) -> NotFoundError:
    return NotFoundError(f'There is no thread "{thread_id}"; begin it with an input.')


def _reply(thread_id: str, state: StateSnapshot) -> Reply:
    found = state.interrupts[0] if state.interrupts else None
    prompt = state.values.get("prompt")
    question: Question | None = (
        None if found is None else {"id": found.id, "type": found.value["type"], "value": found.value}
    )
    return {
        "thread_id": thread_id,
        "status": "waiting" if found else "stopped" if _is_under_way(state) else "ended",
        "state": {"prompt": prompt if isinstance(prompt, dict) else {}, "response": state.values.get("response")},
        "waiting_for": question,
    }
