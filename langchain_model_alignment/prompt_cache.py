"""Where the stable part of a request ends, said to models whose prompt cache has to be told.

Requests of this library begin with what stays the same (rules, examples, earlier turns) and end with what is new. Most
providers and servers find a known beginning by themselves; Anthropic's looks only as far as a mark in the request.
"""

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import BaseMessage

__all__ = ["mark_prefix"]

_MARK = {"type": "ephemeral"}


def mark_prefix(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Mark the end of everything but the last message, in the form that `ChatAnthropic` takes.

    A prefix shorter than the model's least (about 1,000 tokens) is not cached, and costs nothing more.

    Args:
        messages: A request; it stays as it is. One that holds a mark already is left to whoever set it.

    Returns:
        The request, with `cache_control` on the last message before the last one that ends in text.

    Example:
        >>> from langchain_core.messages import HumanMessage, SystemMessage
        >>> mark_prefix([SystemMessage("Rules."), HumanMessage("A row")])[0].content
        [{'type': 'text', 'text': 'Rules.', 'cache_control': {'type': 'ephemeral'}}]
    """
    marked = list(messages)
    if any("cache_control" in block for message in marked for block in _blocks(message)):
        return marked
    for at in range(len(marked) - 2, -1, -1):
        blocks = _blocks(marked[at])
        if blocks and blocks[-1].get("type") == "text" and blocks[-1]["text"].strip():
            content = [*blocks[:-1], {**blocks[-1], "cache_control": _MARK}]
            marked[at] = marked[at].model_copy(update={"content": content})
            break
    return marked


def _blocks(message: BaseMessage) -> list[dict[str, Any]]:
    parts = [message.content] if isinstance(message.content, str) else message.content
    return [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
