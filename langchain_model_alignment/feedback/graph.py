"""The feedback loop as a LangGraph state machine: respond, review (a person's turn), extract, update, and again.

State holds plain JSON values only; models, gates and caches are closed over by the factory. The graph comes
uncompiled, so that the caller chooses the checkpointer, and works as a subgraph under any context.
"""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Literal, NotRequired, Required

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from pydantic import AfterValidator
from typing_extensions import TypedDict

from langchain_model_alignment.calls import Caller, ChatModelLike, as_caller
from langchain_model_alignment.errors import ConfigurationError, PromptError
from langchain_model_alignment.feedback import steps
from langchain_model_alignment.feedback.principles import Strategy, create_principle_chain
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.feedback.review import Review, review_payload
from langchain_model_alignment.feedback.updates import create_prompt_update_chain
from langchain_model_alignment.loop import make_runnable


class FeedbackState(TypedDict, total=False):
    """The state of a feedback loop; give `prompt` and `inputs` to begin."""

    prompt: Any
    """The prompt: a string to begin with, the JSON of an `AlignedPrompt` from then on."""
    inputs: dict[str, Any]
    """A value for each variable of the prompt."""
    candidates: list[str]
    """The answers to review."""
    response: str
    """The answer that was chosen."""
    review: dict[str, Any]
    """The person's last turn, as JSON of a `Review`."""


class FeedbackInput(TypedDict):
    """What begins a feedback loop."""

    prompt: Required[str | dict[str, Any]]
    """A string, or the JSON of an `AlignedPrompt`."""
    inputs: NotRequired[dict[str, Any]]
    """A value for each variable of the prompt."""


class FeedbackOutput(TypedDict):
    """What a feedback loop ends with."""

    prompt: dict[str, Any]
    """The JSON of the `AlignedPrompt`."""
    response: str
    """The answer that was accepted."""


class FeedbackEvent(TypedDict, total=False):
    """What the graph tells while it runs (`stream_mode="custom"`); `type` says which of the other keys are there."""

    type: Literal["answers", "principles", "prompt"]
    candidates: list[str]
    """With `answers`: the new candidates."""
    principles: list[dict[str, Any]]
    """With `principles`: all principles as they stand."""
    changes: list[str]
    """With `principles`: what changed, a line each."""
    written_by: str
    """With `principles`: who found the words: `model`, `repair` or `person`."""
    before: str
    after: str
    """With `prompt`: the text before and after the update."""
    listed: list[str]
    """With `prompt`: principles that the text itself could not be made to say, and are listed below it."""


def create_feedback_graph(
    llm: ChatModelLike,
    *,
    alignment_model: ChatModelLike | None = None,
    target: Runnable[Any, Any] | None = None,
    candidates: int = 1,
    strategy: Strategy | None = None,
) -> "StateGraph[FeedbackState, None, FeedbackInput, FeedbackOutput]":
    """Create the loop in which a person aligns one prompt.

    The graph answers the inputs, then stops at an interrupt whose payload holds the response, the candidates, the
    principles and the prompt. It is resumed with a `Review` (or a dict like it, or an answer of LangChain's Agent
    Inbox); one that is not valid leaves the question pending. Feedback becomes a principle, the prompt is updated, and
    the new answer comes for review, until the review is `accept`.

    Args:
        llm: The model that answers, and that writes principles where no other is given.
        alignment_model: The model that writes principles and prompts.
        target: What answers instead of `llm`: any Runnable that takes the prompt's messages, such as a RAG chain or
            an agent.
        candidates: How many answers to choose from at each turn.
        strategy: How to ask the alignment model; by default what fits it.

    Returns:
        The graph, not compiled; compile it with a checkpointer.

    Raises:
        ConfigurationError: Fewer than one candidate.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> from langgraph.checkpoint.memory import InMemorySaver
        >>> from langgraph.types import Command
        >>> decision = '{"reason": "asked", "action": "add", "principle": "Be brief."}'
        >>> woven = '{"text": "Be brief and greet {name}."}'
        >>> graph = create_feedback_graph(
        ...     FakeListChatModel(responses=["Good morning to you, dear Ada!", "Hi Ada!"]),
        ...     alignment_model=FakeListChatModel(responses=[decision, woven]),
        ... ).compile(checkpointer=InMemorySaver())
        >>> thread = {"configurable": {"thread_id": "1"}}
        >>> state = graph.invoke({"prompt": "Greet {name}.", "inputs": {"name": "Ada"}}, thread)
        >>> state["__interrupt__"][0].value["response"]
        'Good morning to you, dear Ada!'
        >>> state = graph.invoke(Command(resume={"action": "critique", "text": "Too long."}), thread)
        >>> state["__interrupt__"][0].value["prompt"], state["__interrupt__"][0].value["response"]
        ('Be brief and greet {name}.', 'Hi Ada!')
        >>> graph.invoke(Command(resume={"action": "accept"}), thread)["response"]
        'Hi Ada!'
    """
    if candidates < 1:
        raise ConfigurationError(f"{candidates} candidates were asked for; ask for 1 or more.")
    answerer = as_caller(llm)
    aligner = answerer if alignment_model is None else as_caller(alignment_model)
    nodes = _Nodes(target or answerer, aligner, candidates, strategy)
    graph: StateGraph[FeedbackState, None, FeedbackInput, FeedbackOutput] = StateGraph(
        FeedbackState, input_schema=FeedbackInput, output_schema=FeedbackOutput
    )
    graph.add_node("respond", _node(nodes.respond))
    graph.add_node("review", nodes.review)
    graph.add_node("edit", nodes.edit)
    graph.add_node("extract", _node(nodes.extract))
    graph.add_node("update", _node(nodes.update))
    graph.add_edge(START, "respond")
    graph.add_edge("respond", "review")
    graph.add_conditional_edges("review", _after_review, ["extract", "edit", "respond", END])
    graph.add_edge("extract", "update")
    graph.add_edge("edit", "update")
    graph.add_edge("update", "respond")
    return graph


def _node(step: Callable[[FeedbackState, RunnableConfig], Coroutine[Any, Any, FeedbackState]]) -> Runnable[Any, Any]:
    """Make a node that serves `invoke` and `ainvoke` alike."""
    return make_runnable(step, name=step.__name__, input_type=FeedbackState, output_type=FeedbackState)


class _Nodes:
    """The steps of the loop, over what the factory closed over."""

    def __init__(
        self,
        target: Caller | Runnable[Any, Any],
        aligner: Caller,
        candidates: int,
        strategy: Strategy | None,
    ) -> None:
        self._target = target
        self._candidates = candidates
        self._principles = create_principle_chain(aligner, strategy=strategy)
        self._updates = create_prompt_update_chain(aligner, strategy=strategy)

    async def respond(self, state: FeedbackState, config: RunnableConfig) -> FeedbackState:
        prompt = _prompt_of(state)
        exchange = await steps.answer(self._target, prompt, state.get("inputs"), self._candidates, config)
        candidates = list(exchange.candidates)
        _tell({"type": "answers", "candidates": candidates})
        return {
            "prompt": _as_state(prompt.with_exchange(exchange)),
            "inputs": exchange.inputs,
            "candidates": candidates,
            "response": candidates[0],
        }

    def review(self, state: FeedbackState) -> FeedbackState:
        # Nothing before the interrupt but reading: a node runs again from its beginning when it is resumed.
        prompt, candidates = _prompt_of(state), state["candidates"]

        def fits(review: Review) -> Review:
            _check_fits(review, prompt, candidates)
            return review

        payload = review_payload(prompt, candidates)
        schema: Any = Annotated[Review, AfterValidator(fits)]
        answer: Any = interrupt(payload, response_schema=schema)
        review = Review.model_validate(answer)
        response = candidates[review.choice]
        exchange = prompt.exchanges[-1].model_copy(update={"response": response})
        changed: FeedbackState = {
            "prompt": _as_state(prompt.with_exchange(exchange)),
            "response": response,
            "review": review.model_dump(mode="json"),
        }
        if review.inputs is not None:
            changed["inputs"] = prompt.effective.check_inputs(review.inputs)
        return changed

    async def extract(self, state: FeedbackState, config: RunnableConfig) -> FeedbackState:
        prompt, review = _prompt_of(state), Review.model_validate(state["review"])
        exchange = prompt.exchanges[-1]
        feedback, proposal = await steps.propose(self._principles, prompt, exchange, review.kind, review.text, config)
        after = steps.keep(prompt, exchange.id, feedback, proposal)
        _tell_principles(prompt, after, proposal.written_by)
        return {"prompt": _as_state(after)}

    def edit(self, state: FeedbackState) -> FeedbackState:
        prompt, review = _prompt_of(state), Review.model_validate(state["review"])
        after = prompt
        if review.edits:
            after = after.commit(review.edits, reason="edited by hand", author="person")
        if review.text:
            after = after.set_instructions(review.text)
        _tell_principles(prompt, after, "person")
        return {"prompt": _as_state(after)}

    async def update(self, state: FeedbackState, config: RunnableConfig) -> FeedbackState:
        prompt = _prompt_of(state)
        update = await steps.weave(self._updates, prompt, config)
        if update is None:
            return {}
        after = steps.keep_update(prompt, update, prompt.document.base, "principles into the prompt") or prompt
        before = prompt.history.at(prompt.exchanges[-1].revision).description.text
        _tell({"type": "prompt", "before": before, "after": after.description, "listed": list(update.listed)})
        return {"prompt": _as_state(after)}


def _check_fits(review: Review, prompt: AlignedPrompt, candidates: list[str]) -> None:
    """Refuse, while the question is still pending, what could not be done afterwards."""
    if review.choice >= len(candidates):
        raise ValueError(f"there is no candidate {review.choice}; there are {len(candidates)}, counted from 0")
    try:
        after = prompt.commit(review.edits)
        if review.action == "edit" and review.text:
            after = after.set_instructions(review.text)
        if review.inputs is not None or review.action == "edit":
            inputs = review.inputs if review.inputs is not None else prompt.exchanges[-1].inputs
            after.effective.check_inputs(inputs)
    except ConfigurationError as error:
        raise ValueError(str(error)) from error


def _after_review(state: FeedbackState) -> str:
    action = state["review"]["action"]
    return {"accept": END, "edit": "edit", "again": "respond"}.get(action, "extract")


def _prompt_of(state: FeedbackState) -> AlignedPrompt:
    prompt = state.get("prompt")
    if isinstance(prompt, str):
        return AlignedPrompt.from_prompt(prompt)
    if not isinstance(prompt, dict):
        raise PromptError(
            f"The graph's prompt is {'missing' if prompt is None else f'a {type(prompt).__name__}'}; give a string, or "
            'AlignedPrompt.from_prompt(…).model_dump(mode="json").'
        )
    return AlignedPrompt.from_dict(prompt, "The state's prompt")


def _as_state(prompt: AlignedPrompt) -> dict[str, Any]:
    return prompt.model_dump(mode="json")


def _tell(event: FeedbackEvent) -> None:
    get_stream_writer()(event)


def _tell_principles(before: AlignedPrompt, after: AlignedPrompt, written_by: str) -> None:
    _tell(
        {
            "type": "principles",
            "principles": [p.model_dump(mode="json") for p in after.principles],
            "changes": before.constitution.diff(after.constitution),
            "written_by": written_by,
        }
    )
