"""`langchain-align serve` in a process of its own, and curl at the other end."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving import ACCEPT, CRITIQUE, SCRIPTED, START, process, python, rulebook

pytest.importorskip("uvicorn", reason='not installed: pip install "langchain-model-alignment[serve]"')

CURL = shutil.which("curl") or ""
pytestmark = pytest.mark.skipif(not CURL, reason="not installed: apt-get install curl")

SERVE = SCRIPTED + "from langchain_model_alignment.cli import main; main()"
SAID = "Uvicorn running on "


def curl(address: str, path: str, body: Any = None, *options: str) -> tuple[int, str]:
    sent = [] if body is None else ["--json", json.dumps(body)]
    done = subprocess.run(
        [CURL, "-sS", "-w", "\n%{http_code}", *sent, *options, address + path],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    text, _, status = done.stdout.rpartition("\n")
    return int(status), text


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("served")
    book = rulebook().save(folder / "toxic.json")
    told = ("--port", "0", "--model", "scripted:mind", "--rulebook", str(book), "--database", str(folder / "data"))
    with process(python(SERVE, "serve", *told), ready=SAID) as line:
        yield line.partition(SAID)[2].split()[0]


def test_curl_drives_a_whole_loop(address: str) -> None:
    first = json.loads(curl(address, "/turn", {"thread_id": "c", "input": START})[1])
    question = first["waiting_for"]["id"]
    second = json.loads(curl(address, "/turn", {"thread_id": "c", "question": question, "resume": CRITIQUE})[1])
    assert [p["text"] for p in second["waiting_for"]["value"]["principles"]] == ["Be brief."]
    assert curl(address, "/turn", {"thread_id": "c", "question": question, "resume": CRITIQUE})[0] == 409
    status, text = curl(address, "/turn", {"thread_id": "c", "resume": ACCEPT})
    assert (status, json.loads(text)["status"]) == (200, "ended")


def test_curl_reads_a_stream_of_labels_as_they_are_done(address: str) -> None:
    rows = {"rows": [{"comment": "hello"}, {"comment": "you idiot"}]}
    status, text = curl(address, "/rulebooks/toxic/stream", rows, "-N", "-H", "accept: application/x-ndjson")
    told = [json.loads(line) for line in text.splitlines()]
    assert status == 200
    assert {e["data"]["index"]: e["data"]["prediction"] for e in told[:-1]} == {0: False, 1: True}


def test_the_server_answers_within_five_seconds_before_any_weights_are_there(tmp_path: Path) -> None:
    weights = """
import time, langchain_model_alignment.models as models
models.resolve_chat_model = lambda name: time.sleep(600)
from langchain_model_alignment.cli import main; main()
"""
    start = time.monotonic()
    with process(python(weights, "serve", "--port", "0", "--database", str(tmp_path)), ready=SAID) as line:
        address = line.partition(SAID)[2].split()[0]
        assert json.loads(curl(address, "/healthz")[1])["model"] == "loading"
        assert curl(address, "/openapi.json")[0] == 200
        taken = time.monotonic() - start
        assert curl(address, "/turn", {"thread_id": "c", "input": START})[0] == 503
    assert taken < 5 * _slowness(), f"{taken:.1f} s"


def _slowness() -> float:
    """How much longer than alone this machine takes right now: its load by its processors."""
    import os

    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)) if hasattr(os, "getloadavg") else 1.0
