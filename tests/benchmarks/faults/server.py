"""A server on this machine that speaks OpenAI's API, answers by rule, and fails by plan."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from langchain_core.messages import AIMessage, convert_to_messages

from tests.benchmarks.faults.answers import answer
from tests.benchmarks.faults.plan import Plan, spoiled

LATE = 1.5  # seconds that a server stays silent, for a client with less patience
PIECES, PAUSE = 8, 0.05  # of a slow body
_STATUS = {"limit, told when": 429, "limit, not told": 429, "overloaded": 503}


class Server(ThreadingHTTPServer):
    """The server and its notes.

    Args:
        plan: Its faults.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, plan: Plan) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.plan = plan

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that lost their patience."""


@contextmanager
def serving(plan: Plan) -> Iterator[Server]:
    """Serve for the length of a block."""
    with Server(plan) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        asked = json.loads(text)
        messages = convert_to_messages(asked["messages"])
        said = answer(messages, logprobs=bool(asked.get("logprobs")), structured="response_format" in asked)
        fault = self.server.plan.strike(text)
        time.sleep(LATE if fault == "timeout" else 0)
        if fault == "dropped":
            self.close_connection = True
            return
        status = _STATUS.get(fault, 200)
        spoken = spoiled(fault, said, self.server.plan.calls)
        body = json.dumps(_completion(spoken) if status == 200 else {"error": {"message": fault}}).encode()
        if fault == "broken body":
            body = body[: len(body) // 2]
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if fault == "limit, told when":
            self.send_header("Retry-After", "0.05")
        self.end_headers()
        for piece in _pieces(body) if fault == "slow body" else [body]:
            self.wfile.write(piece)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of each request."""


def _pieces(body: bytes) -> Iterator[bytes]:
    size = len(body) // PIECES + 1
    for begin in range(0, len(body), size):
        time.sleep(PAUSE)
        yield body[begin : begin + size]


def _completion(said: AIMessage) -> dict[str, Any]:
    refusal = said.additional_kwargs.get("refusal")
    choice: dict[str, Any] = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": None if refusal else said.text, "refusal": refusal},
    }
    if told := said.response_metadata.get("logprobs"):
        choice["logprobs"] = {"content": [_token(token) for token in told["content"]]}
    usage = {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}
    return {"id": "c", "object": "chat.completion", "created": 0, "model": "rule", "choices": [choice], "usage": usage}


def _token(token: dict[str, Any]) -> dict[str, Any]:
    top = [{**one, "bytes": None} for one in token["top_logprobs"]]
    return {"token": token["token"], "logprob": token.get("logprob", 0.0), "bytes": None, "top_logprobs": top}
