"""One caller serves sync code, `asyncio.run` and a running loop in any order, over real connections."""

import asyncio
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI

from langchain_model_alignment.calls import Caller
from langchain_model_alignment.loop import run_sync

ANSWER = json.dumps(
    {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
).encode()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept open

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def base_url() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


def test_sync_and_async_forms_mix(base_url: str):
    caller = Caller(ChatOpenAI(model="m", api_key="none", base_url=base_url), max_retries=0)

    async def ask(name: str) -> list[str]:
        answers = await asyncio.gather(*(caller.ask([HumanMessage(f"{name} {i}")]) for i in range(4)))
        return [answer.text for answer in answers]

    async def both() -> list[str]:
        return run_sync(ask("sync in a running loop")) + await ask("async beside it")

    for name in "ab":
        assert asyncio.run(ask(f"run {name}")) == ["hi"] * 4
        assert run_sync(ask(f"sync {name}")) == ["hi"] * 4
    assert asyncio.run(both()) == ["hi"] * 8
    assert caller.usage.calls == 24
