"""`python -m tests.benchmarks wishes` on one task, with a server that always says the same."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

MISSING = [name for name in ("langchain_openai", "uvicorn") if find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f'needs {", ".join(MISSING)}: pip install -e ".[test]"')


class Model(BaseHTTPRequestHandler):
    """Answers every chat completion with the same words."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        sure = {"token": "no", "logprob": 0.0, "bytes": None}
        logprobs = {"content": [{**sure, "top_logprobs": [sure]}], "refusal": None}
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "logprobs": logprobs}
        choice["message"] = {"role": "assistant", "content": "Be brief."}
        body = json.dumps({"id": "1", "object": "chat.completion", "choices": [choice]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Model) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}/v1"
        serving.shutdown()
        thread.join()


def test_a_run_that_is_gone_on_with_measures_only_what_is_missing(server, tmp_path):
    out = tmp_path / "wishes.json"

    def measured(*arms: str, more: tuple[str, ...] = ()) -> str:
        options = ["--tasks", "1", "--server", server, "--out", str(out), *more]
        command = [sys.executable, "-m", "tests.benchmarks", "wishes", *options, "--only-arms", *arms]
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]).stdout

    measured("feedback appended")
    said = measured("feedback appended", "ours", more=("--resume",))

    assert "[1/1] twenty words, ours" in said
    results = {result["arm"]: result for result in json.loads(out.read_text())["results"]}
    appended, ours = results["feedback appended"], results["ours"]
    assert (appended["learn"]["calls"], appended["answer"]["calls"]) == (0, 8)
    assert "Far too long" in appended["after"]["answers"][0]["asked"]
    assert ours["learn"]["calls"] >= 4
    assert "20 words" in ours["after"]["prompt"]
    assert "Do you also sell umbrellas?" in ours["still"]["answers"][0]["asked"]
    assert appended["troubles"] == ours["troubles"] == []
