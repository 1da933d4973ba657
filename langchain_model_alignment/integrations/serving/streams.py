"""Events over one answer: server-sent events, or a line of JSON each."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from fastapi import Request
from fastapi.responses import StreamingResponse
from typing_extensions import TypedDict

from langchain_model_alignment.integrations.serving.problems import problem_of

__all__ = ["STREAMED", "Event", "stream_of"]

_LINES = "application/x-ndjson"
_EVENTS = "text/event-stream"

STREAMED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": f"Server-sent events; one JSON object a line where `{_LINES}` is accepted.",
        "content": {_EVENTS: {"schema": {"type": "string"}}, _LINES: {"schema": {"type": "string"}}},
    }
}


class Event(TypedDict):
    """One thing that is told."""

    event: str
    data: dict[str, Any]


async def stream_of(request: Request, events: AsyncGenerator[Event, None]) -> StreamingResponse:
    """Send events as they come.

    What cannot even be begun is raised before anything is sent, so that it has a status of its own; what fails later
    is the last event, `error`.
    """
    first = await anext(events)
    lines = _LINES in request.headers.get("accept", "")

    async def told() -> AsyncIterator[bytes]:
        async with aclosing(events):
            yield _encoded(first, lines)
            try:
                async for event in events:
                    yield _encoded(event, lines)
            except Exception as error:  # noqa: BLE001  # the status is sent; the problem is told as an event
                yield _encoded({"event": "error", "data": json.loads(bytes(problem_of(error).body))}, lines)

    return StreamingResponse(told(), media_type=_LINES if lines else _EVENTS, headers={"Cache-Control": "no-store"})


def _encoded(event: Event, lines: bool) -> bytes:
    if lines:
        return json.dumps(event).encode() + b"\n"
    return f"event: {event['event']}\ndata: {json.dumps(event['data'])}\n\n".encode()
