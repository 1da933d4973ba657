"""Reading, storing and naming what models are asked and answer.

An answer is kept as plain JSON and rebuilt as an `AIMessage`; a request is named by a hash of all that shapes its
answer.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage
from pydantic import BaseModel, TypeAdapter

__all__ = ["dump_answer", "load_answer", "request_key", "visible_text"]

_VERSION = 1
_OPEN, _CLOSE = "<think>", "</think>"
_STORED = ("content", "tool_calls", "invalid_tool_calls", "usage_metadata", "response_metadata", "additional_kwargs")

_SPOKEN = ("role", "name", "tool_calls", "tool_call_id", "additional_kwargs")


def visible_text(message: BaseMessage | str) -> str:
    """The text of an answer without its reasoning.

    Reasoning in content blocks is no text. Reasoning written into the text between think tags is taken out, also
    when the opening tag is missing (it was part of the prompt) or the closing one is (the answer was cut off).

    Args:
        message: An answer, or its text.

    Returns:
        The text that is meant for the reader.

    Example:
        >>> visible_text("<think>Which city? Paris.</think>Paris")
        'Paris'
        >>> visible_text("<think>Which city")
        ''
    """
    text = str(message if isinstance(message, str) else message.text)
    if _OPEN not in text and _CLOSE not in text:
        return text
    kept: list[str] = []
    rest = text
    first_close = rest.find(_CLOSE)
    first_open = rest.find(_OPEN)
    if first_close >= 0 and (first_open < 0 or first_close < first_open):
        rest = rest[first_close + len(_CLOSE) :]
    while (start := rest.find(_OPEN)) >= 0:
        end = rest.find(_CLOSE, start)
        if end < 0:  # cut off while thinking; further on it is more likely to be a word of the answer
            if not "".join(kept).strip() and not rest[:start].strip():
                rest = ""
            break
        kept.append(rest[:start])
        rest = rest[end + len(_CLOSE) :]
    kept.append(rest)
    return "".join(kept).strip()


def dump_answer(message: AIMessage) -> str:
    """An answer as JSON text; what is not JSON in its metadata is left out.

    Args:
        message: The answer.

    Returns:
        The JSON text, for `load_answer`.
    """
    stored = {name: value for name in _STORED if (value := getattr(message, name))}
    try:
        return json.dumps({"version": _VERSION, **stored}, separators=(",", ":"))
    except (TypeError, ValueError):
        return json.dumps({"version": _VERSION, **_plain(stored)}, separators=(",", ":"))


def load_answer(text: str) -> AIMessage | None:
    """The answer in a stored JSON text.

    Args:
        text: What `dump_answer` returned.

    Returns:
        The answer, or None when the text is not one of ours; the model is then asked again.
    """
    try:
        stored = json.loads(text)
        if stored.pop("version") != _VERSION:
            return None
        known = {name: stored[name] for name in _STORED if name in stored}
        return AIMessage(**{"content": "", **known})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def request_key(identity: str, messages: Sequence[BaseMessage], kwargs: Mapping[str, Any], sample: int) -> str | None:
    """Name a request by a hash of all that shapes its answer.

    Args:
        identity: The model, from its traits.
        messages: What it is asked.
        kwargs: What is passed along; schema classes count by their JSON schema.
        sample: Tells apart several answers wanted to the same request.

    Returns:
        64 hexadecimal digits, or None when the request holds a value that has no JSON form: such a request is
        neither cached nor joined with another.
    """
    spoken = [_spoken(message) for message in messages]
    try:
        text = json.dumps([identity, spoken, kwargs, sample], sort_keys=True, separators=(",", ":"), default=_as_json)
    except (TypeError, ValueError, RecursionError):
        return None
    return hashlib.sha256(text.encode()).hexdigest()


def _spoken(message: BaseMessage) -> list[Any]:
    """What of a message reaches the model."""
    fields = vars(message)  # plain reads: a field that is missing costs microseconds on a pydantic object
    extras = {name: value for name in _SPOKEN if (value := fields.get(name))}
    return [fields.get("type"), fields["content"], extras]


def _as_json(value: Any) -> Any:
    if isinstance(value, type):
        return {"schema": _schema(value)}
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(type(value).__name__)


@lru_cache(maxsize=256)
def _schema(schema: type) -> Any:
    try:
        return TypeAdapter(schema).json_schema()
    except Exception as error:  # whatever pydantic says about a class that has no schema
        raise TypeError(schema.__name__) from error


def _plain(value: Any) -> Any:
    """The JSON part of a value; parts of dicts that are not JSON are dropped, in lists they become null."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items() if part is None or _plain(part) is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return None
