"""What the tests of serving share: a model that knows its part, a client without a socket, a process that serves."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
from langchain_core.messages import BaseMessage

from langchain_model_alignment import LabelingTask, Rulebook

START = {"prompt": "Give three uses for {item}.", "inputs": {"item": "rope"}}
CRITIQUE = {"action": "critique", "text": "be brief"}
ACCEPT = {"action": "accept"}


def mind(messages: list[BaseMessage]) -> str:
    """Writes the principle that was asked for, weaves it in, finds wishes kept, and answers with what it was told."""
    system, told = messages[0].text, messages[-1].text
    if "list of principles" in system:
        return json.dumps({"reason": "asked", "action": "add", "principle": "Be brief."})
    if "rewrite instructions" in system:
        return json.dumps({"text": "Give three uses for {item}. Be brief."})
    if "whether a prompt's new answer" in system:
        return json.dumps({"sayings": [{"number": 1, "kept": True}]})
    if "Is it toxic?" in system:
        return "True" if "idiot" in told else "False"
    return f"<{told}>"


def rulebook() -> Rulebook:
    task = LabelingTask(
        input_names=["comment"], label_name="toxic", label_values=[True, False], task_description="Is it toxic?"
    )
    return Rulebook.of(task, {True: ["It insults a person."]})


@asynccontextmanager
async def client_of(app: Any, base: str = "http://127.0.0.1", **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app that is started, without a socket."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=base, **options) as client,
    ):
        yield client


async def play_at_once(client: httpx.AsyncClient, threads: int) -> None:
    """Play whole loops side by side; each must end with its own answer."""

    async def play(number: int) -> str:
        given = {"prompt": START["prompt"], "inputs": {"item": f"thing {number}"}}
        for turn in ({"input": given}, {"resume": CRITIQUE}, {"resume": ACCEPT}):
            response = await client.post("/turn", json={"thread_id": f"t{number}", **turn}, timeout=300)
            assert response.status_code == 200, response.text
        response_text: str = response.json()["state"]["response"]
        return response_text

    found = await asyncio.gather(*(play(number) for number in range(threads)))
    assert found == [f"<Give three uses for thing {number}. Be brief.>" for number in range(threads)]


def events_in(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Read server-sent events."""
    found = []
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


SCRIPTED = """
import sys, time
import langchain_model_alignment.models as models
from tests.fakes import ScriptedChatModel
from tests.serving import mind
known = models.resolve_chat_model
models.resolve_chat_model = lambda name: ScriptedChatModel(mind) if name == "scripted:mind" else known(name)
"""
"""What makes `--model scripted:mind` mean the scripted model, in a process of its own."""


def python(program: str, *arguments: str) -> list[str]:
    """The command that runs a program."""
    return [sys.executable, "-u", "-c", program, *arguments]


@contextmanager
def process(
    command: list[str], *, ready: str, seconds: float = 120, folder: Path | None = None, **environment: str
) -> Iterator[str]:
    """Start what serves, and yield the line in which it says so; it is ended with the block."""
    root = Path(__file__).parents[1]
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    told = {**kept, "PYTHONPATH": str(root), "COLUMNS": "200", **environment}
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        running = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder, env=told)
        try:
            yield _line_with(ready, running, log.fileno(), seconds)
        finally:
            running.terminate()
            running.wait(30)


def _line_with(ready: str, running: "subprocess.Popen[bytes]", log: int, seconds: float) -> str:
    until = time.monotonic() + seconds
    while time.monotonic() < until and running.poll() is None:
        said = os.pread(log, 1_000_000, 0).decode(errors="replace")
        if found := [line for line in said.splitlines(keepends=True) if ready in line and line.endswith("\n")]:
            return found[0]
        time.sleep(0.05)
    raise AssertionError(f"it did not say {ready!r} but:\n{os.pread(log, 1_000_000, 0).decode(errors='replace')}")
