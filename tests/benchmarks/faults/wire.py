"""A model outside of the processes that are killed: it writes down when each request came and was answered."""

import asyncio
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, messages_from_dict, messages_to_dict
from langchain_core.outputs import ChatGeneration, ChatResult

from tests.benchmarks.faults.answers import answer

HOST, LIMIT = "127.0.0.1", 2**20


@dataclass
class Arrival:
    """One request that came, and when its answer had been read; times as of `time.monotonic`."""

    request: str
    begun: float
    sent: float | None = None


class WireChatModel(BaseChatModel):
    """Asks the model at a port of this machine, a connection for each request."""

    port: int
    model_name: str = "rule"

    @property
    def _llm_type(self) -> str:
        return "wire"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name}

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        raise NotImplementedError

    async def _agenerate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        reader, writer = await asyncio.open_connection(HOST, self.port, limit=LIMIT)
        try:
            writer.write(json.dumps(messages_to_dict(messages)).encode() + b"\n")
            said = messages_from_dict(json.loads(await reader.readline()))[0]
        finally:
            writer.close()
        return ChatResult(generations=[ChatGeneration(message=said)])


class Notes:
    """The model's side.

    Args:
        latency: Seconds before each answer.
    """

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.arrivals: list[Arrival] = []
        self.port = 0

    async def serve(self, ready: threading.Event, done: asyncio.Event) -> None:
        """Answer until it is done."""
        async with await asyncio.start_server(self._answer, HOST, 0, limit=LIMIT, backlog=256) as server:
            self.port = server.sockets[0].getsockname()[1]
            ready.set()
            await done.wait()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await reader.readline()
            if not line.endswith(b"\n"):
                return  # killed while it asked
            arrival = Arrival(hashlib.sha256(line).hexdigest(), time.monotonic())
            self.arrivals.append(arrival)
            await asyncio.sleep(self.latency)
            said = answer(messages_from_dict(json.loads(line)))
            writer.write(json.dumps(messages_to_dict([said])).encode() + b"\n")
            await writer.drain()
            await reader.read()  # it hangs up when it has read the answer
            arrival.sent = time.monotonic()
        except ConnectionError:
            pass  # killed while it waited
        finally:
            writer.close()


@contextmanager
def noting(latency: float) -> Iterator[Notes]:
    """Serve in a thread for the length of a block."""
    notes, ready, done = Notes(latency), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(notes.serve(ready, done),), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield notes
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join()
        loop.close()
