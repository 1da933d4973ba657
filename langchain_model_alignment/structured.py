"""One way to get a pydantic object out of any chat model.

A model with structured output of its own is asked through it; any other gets the JSON schema in words. Either way the
answer is read here, and one that cannot be read gets one repair.
"""

import functools
import json
import threading
from collections.abc import Sequence
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.runnables import RunnableBinding, RunnableConfig, RunnableSequence
from pydantic import BaseModel, ValidationError

from langchain_model_alignment.calls import Answer, Caller
from langchain_model_alignment.errors import BadRequestError, MalformedAnswerError
from langchain_model_alignment.instructions import EMPTY_ANSWER, format_instructions, repair_instructions

__all__ = ["ask_structured"]

M = TypeVar("M", bound=BaseModel)

_MOST_STARTS = 1_000  # places in one answer where a JSON object is looked for
_decoder = json.JSONDecoder(strict=False)
_lock = threading.Lock()
# What each caller passes to its model for a schema; None is "in words".
_native: WeakKeyDictionary[Caller, dict[type[BaseModel], dict[str, Any] | None]] = WeakKeyDictionary()


class _UnreadableError(Exception):
    """What is wrong with an answer, in words a model can act on."""


async def ask_structured(
    caller: Caller, messages: Sequence[BaseMessage], schema: type[M], *, config: RunnableConfig | None = None
) -> M:
    """Ask a model for an object.

    Args:
        caller: The model.
        messages: The request, without instructions on the format.
        schema: The pydantic model that the answer must fit.
        config: Callbacks, tags and metadata for the calls.

    Returns:
        The object.

    Raises:
        MalformedAnswerError: Neither the answer nor its repair fits the schema.
        RefusalError: The model would not answer.
        ModelError: A call failed.
        BudgetError: The budget is spent.

    Example:
        >>> import asyncio
        >>> from langchain_core.language_models import FakeListChatModel
        >>> class City(BaseModel):
        ...     name: str
        >>> caller = Caller(FakeListChatModel(responses=['The city: {"name": "Paris"}']))
        >>> asyncio.run(ask_structured(caller, [HumanMessage("The capital of France?")], City))
        City(name='Paris')
    """
    native = _native_kwargs(caller, schema)
    if native is not None:
        try:
            return await _ask_and_repair(caller, messages, schema, native, config)
        except BadRequestError:  # a server that does not know the parameter; if it is something else, it comes again
            _remember(caller, schema, None)
    return await _ask_and_repair(caller, _with_format(messages, schema), schema, {}, config)


async def _ask_and_repair(
    caller: Caller,
    messages: Sequence[BaseMessage],
    schema: type[M],
    kwargs: dict[str, Any],
    config: RunnableConfig | None,
) -> M:
    answer = await caller.ask(messages, config=config, **kwargs)
    try:
        return _read(answer, schema)
    except _UnreadableError as error:
        problem = str(error)
    shown = _shown(answer)
    repair = [
        *messages,
        AIMessage(shown or EMPTY_ANSWER),
        HumanMessage(repair_instructions(problem, _schema_text(schema))),
    ]
    # A model that says nothing in its own format may still say it in words.
    answer = await caller.ask(repair, config=config, **(kwargs if shown else {}))
    try:
        return _read(answer, schema)
    except _UnreadableError as error:
        raise MalformedAnswerError(
            f"The model {caller.name} gave no readable {schema.__name__}, nor when asked to repair it: "
            f"{error} Try again, or take a stronger model."
        ) from error


def _native_kwargs(caller: Caller, schema: type[BaseModel]) -> dict[str, Any] | None:
    """What the model's own structured output passes along with a request; None where it has none."""
    with _lock:
        known = _native.setdefault(caller, {})
        if schema in known:
            return known[schema]
    kwargs = _bound_kwargs(caller, schema) if caller.traits.structured == "native" else None
    _remember(caller, schema, kwargs)
    return kwargs


def _remember(caller: Caller, schema: type[BaseModel], kwargs: dict[str, Any] | None) -> None:
    with _lock:
        _native.setdefault(caller, {})[schema] = kwargs


def _bound_kwargs(caller: Caller, schema: type[BaseModel]) -> dict[str, Any] | None:
    llm = caller.llm
    # On some OpenAI-compatible servers function calling silently returns nothing.
    openai = any(base.__name__ == "BaseChatOpenAI" for base in type(llm).__mro__)
    options: dict[str, Any] = {"method": "json_schema"} if openai else {}
    try:
        runnable = llm.with_structured_output(schema, **options)
    except (NotImplementedError, ValueError, TypeError, ImportError, AttributeError):
        return None
    first = runnable.first if isinstance(runnable, RunnableSequence) else None
    if not (isinstance(first, RunnableBinding) and first.bound is llm and first.kwargs):
        return None
    kwargs = dict(first.kwargs)
    if kwargs.get("response_format") is schema:
        kwargs["response_format"] = _openai_format(schema)
    return kwargs


def _openai_format(schema: type[BaseModel]) -> dict[str, Any]:
    """The schema as data: given the class, the SDK would parse the answer itself, and lose one that does not fit."""
    from openai import pydantic_function_tool

    function: dict[str, Any] = {**pydantic_function_tool(schema)["function"]}
    return {
        "type": "json_schema",
        "json_schema": {"name": function["name"], "schema": function["parameters"], "strict": True},
    }


def _with_format(messages: Sequence[BaseMessage], schema: type[BaseModel]) -> list[BaseMessage]:
    """The request with the format at its end: after the last human message, which stays the last one."""
    asked = list(messages)
    instructions = format_instructions(_schema_text(schema))
    if not asked or not isinstance(asked[-1], HumanMessage):
        return [*asked, HumanMessage(instructions)]
    content = asked[-1].content
    longer: str | list[str | dict[Any, Any]] = (
        f"{content}\n\n{instructions}"
        if isinstance(content, str)
        else [*content, {"type": "text", "text": instructions}]
    )
    asked[-1] = asked[-1].model_copy(update={"content": longer})
    return asked


@functools.cache
def _schema_text(schema: type[BaseModel]) -> str:
    return json.dumps(_untitled(schema.model_json_schema()), ensure_ascii=False, separators=(",", ":"))


def _untitled(schema: Any) -> Any:
    """The schema without the titles that pydantic makes out of names: fewer tokens, nothing lost."""
    if isinstance(schema, list):
        return [_untitled(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: {field: _untitled(part) for field, part in value.items()} if name == "properties" else _untitled(value)
        for name, value in schema.items()
        if not (name == "title" and isinstance(value, str))
    }


def _shown(answer: Answer) -> str:
    """The answer as the model said it, for it to see again."""
    if answer.text.strip() or not answer.message.tool_calls:
        return answer.text.strip()
    return json.dumps(answer.message.tool_calls[0]["args"], ensure_ascii=False)


def _read(answer: Answer, schema: type[M]) -> M:
    """The first object in an answer that fits the schema."""
    problem = "it holds no JSON object." if answer.text.strip() or answer.message.tool_calls else "it is empty."
    candidates = [call["args"] for call in answer.message.tool_calls] or _objects(answer.text)
    first = True
    for candidate in candidates:
        try:
            # An object with none of the fields is not meant, even where every field has a default.
            if not schema.model_fields or _names(schema) & candidate.keys():
                return schema.model_validate(candidate)
            trouble = f"it has none of the fields {', '.join(schema.model_fields)}."
        except ValidationError as error:
            trouble = _in_words(error)
        if first:
            problem, first = trouble, False
    raise _UnreadableError(problem)


def _objects(text: str) -> list[dict[str, Any]]:
    """Every JSON object in a text, outer ones before those inside them."""
    found: list[dict[str, Any]] = []
    start = text.find("{")
    for _ in range(_MOST_STARTS):
        if start < 0:
            break
        try:
            value, _ = _decoder.raw_decode(text, start)
            found.append(value)
        except (ValueError, RecursionError):
            pass
        start = text.find("{", start + 1)
    return found


def _names(schema: type[BaseModel]) -> set[str]:
    return {name for field, info in schema.model_fields.items() for name in (field, info.alias) if name}


def _in_words(error: ValidationError) -> str:
    troubles = [
        f"{'.'.join(str(part) for part in trouble['loc']) or 'the object'}: {trouble['msg']}"
        for trouble in error.errors(include_url=False, include_input=False, include_context=False)[:5]
    ]
    return "; ".join(troubles) + "."
