"""One answer to a filled prompt, from a chat model or from any Runnable that takes messages."""

from collections.abc import Sequence
from typing import Any

from langchain_core import language_models  # lazy: the class is loaded at its first use
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import Runnable, RunnableBinding, RunnableConfig

from langchain_model_alignment.calls import Caller, ChatModelLike, as_caller, visible_text
from langchain_model_alignment.errors import MalformedAnswerError
from langchain_model_alignment.loop import make_runnable
from langchain_model_alignment.traits import variation_of

_ANSWER_KEYS = ("messages", "answer", "output", "response", "result", "text")


def as_target(model: ChatModelLike | Runnable[Any, Any]) -> Caller | Runnable[Any, Any]:
    """Return what answers a prompt: a chat model behind its gate, any other Runnable as it is."""
    inner = model
    while isinstance(inner, RunnableBinding):
        inner = inner.bound
    if isinstance(inner, Runnable) and not isinstance(inner, language_models.BaseChatModel):
        return model if isinstance(model, Runnable) else inner
    return as_caller(model)  # type: ignore[arg-type]  # a chat model, plain or bound, a name or a caller


def as_answerer(llm: ChatModelLike | Runnable[Any, Any]) -> Runnable[Any, Any]:
    """Return what answers messages as a Runnable: a chat model or a Runnable as it is, a caller through its gate."""
    if isinstance(llm, str):
        from langchain_model_alignment.models import resolve_chat_model

        return resolve_chat_model(llm)
    if isinstance(llm, Runnable):
        return llm
    caller = as_caller(llm)

    async def answer(value: PromptValue, config: RunnableConfig) -> AIMessage:
        return (await caller.ask(value.to_messages(), config=config)).message

    return make_runnable(answer, name="answer", input_type=PromptValue, output_type=AIMessage)


async def respond(
    target: Caller | Runnable[Any, Any],
    messages: Sequence[BaseMessage],
    *,
    sample: int | None = None,
    config: RunnableConfig | None = None,
) -> str:
    """Return one answer as text.

    Args:
        target: A model behind its gate, or any Runnable that takes a list of messages: a RAG chain, an agent. A
            LangGraph graph whose state has `messages`, as agents have, gets them under that key.
        messages: The filled prompt.
        sample: Which of several candidates this is, so that they are asked for separately; one answer, when absent.
        config: Callbacks, tags and metadata for the call.

    Raises:
        MalformedAnswerError: The answer is empty, or of a kind that holds no text.
        ModelError: The call failed.
    """
    if isinstance(target, Caller):
        options = variation_of(target.llm, sample) if sample is not None else {}
        answer = await target.ask(messages, config=config, sample=sample or 0, **options)
        text = answer.text
    else:
        value = {"messages": list(messages)} if _takes_messages(target) else list(messages)
        text = text_of(await target.ainvoke(value, config))
    if not text.strip():
        raise MalformedAnswerError("The model's answer is empty; check the prompt, or a limit on output tokens.")
    # Half an emoji, where an answer was cut, could be neither kept nor sent.
    return text.strip().encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def text_of(result: Any) -> str:
    """Return the text in what a Runnable returned: text, a message, a list of messages, or a dict that holds one.

    Example:
        >>> text_of({"answer": "Paris", "sources": []})
        'Paris'

    Raises:
        MalformedAnswerError: There is no text in it.
    """
    if isinstance(result, str | BaseMessage):
        return visible_text(result)
    if isinstance(result, list) and result:
        return text_of(result[-1])
    if isinstance(result, dict):
        for key in _ANSWER_KEYS:
            if result.get(key):
                return text_of(result[key])
    raise MalformedAnswerError(
        f"The target returned a {type(result).__name__} without text; let it return a string, a message, "
        "or a dict with 'messages' or 'answer'."
    )


def _takes_messages(target: Runnable[Any, Any]) -> bool:
    # A compiled LangGraph graph names its state's keys as channels.
    return "messages" in getattr(target, "channels", ())
