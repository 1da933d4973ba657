"""Gemini over a real connection: a server on this machine, and Google's own where a key is set."""

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from langchain_core.messages import HumanMessage
from pydantic import BaseModel

pytest.importorskip("langchain_google_genai", reason='pip install "langchain-model-alignment[google]"')

from langchain_model_alignment import AlignableSingleRun, Caller, Usage, resolve_chat_model
from langchain_model_alignment.structured import ask_structured
from tests.gemini import over_quota, said

LIVE = os.environ.get("GOOGLE_API_KEY") or os.environ.get("GEMINI_API_KEY")
live = pytest.mark.skipif(not LIVE, reason="set GOOGLE_API_KEY to ask the real Gemini (it costs a few calls)")
MODEL = os.environ.get("GEMINI_MODEL", "gemini-2.5-flash")


class Server(BaseHTTPRequestHandler):
    """Turns the first request away and answers all others; connections are kept."""

    protocol_version = "HTTP/1.1"
    asked: list[str]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append(self.path)
        status, body = over_quota("0.2s") if len(self.asked) == 1 else (200, said("Paris"))
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    Server.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a kept connection that its loop dropped
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_one_model_serves_several_event_loops(address: str):
    usage = Usage()
    caller = Caller(resolve_chat_model(f"google_genai:{MODEL}", api_key="-", base_url=address), usage=usage)
    for number in range(3):
        assert asyncio.run(caller.ask([HumanMessage(f"Question {number}")])).text == "Paris"
    assert Server.asked[0] == f"/v1beta/models/{MODEL}:generateContent"
    assert (usage.calls, usage.retries, usage.failures) == (4, 1, 0)


@live
def test_the_real_gemini_gives_structured_answers_and_counts_them():
    class City(BaseModel):
        name: str

    usage = Usage()
    caller = Caller(resolve_chat_model(f"google_genai:{MODEL}"), usage=usage)
    city = asyncio.run(ask_structured(caller, [HumanMessage("The capital of France?")], City))
    assert city.name == "Paris"
    assert usage.tokens > 0


@live
def test_the_real_gemini_learns_from_feedback():
    run = AlignableSingleRun(f"google_genai:{MODEL}")
    run.set_model_description("Give three uses for the following item: {item}")
    run.send_input("scissors")
    run.critique_response("there must be exactly two, and both in rhyme")
    run.update_model_description_from_principles()
    assert "{item}" in run.get_model_description()
