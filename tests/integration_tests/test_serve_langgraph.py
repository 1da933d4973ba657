"""`langgraph dev` and the LangGraph SDK: the feedback loop on an Agent Server."""

import json
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving import ACCEPT, CRITIQUE, SCRIPTED, START, process

pytest.importorskip(
    "langgraph_api",
    reason='not installed: pip install "langchain-model-alignment[server]", not beside the extra langserve',
)

from langgraph_sdk import get_sync_client

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "server" / "langgraph.json"
COMMAND = shutil.which("langgraph", path=str(Path(sys.executable).parent)) or "langgraph"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The example's own settings, with a scripted model in the place of the local one."""
    folder: Path = tmp_path_factory.mktemp("server")
    told = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    where = told["graphs"]["feedback"].partition(":")[0]
    (folder / "scripted.py").write_text(f"{SCRIPTED}\nfrom {where} import feedback\n", encoding="utf-8")
    told["graphs"]["feedback"] = "./scripted.py:feedback"
    told["env"] = {"LANGCHAIN_ALIGN_MODEL": "scripted:mind", "PYTHONPATH": str(ROOT)}
    (folder / "langgraph.json").write_text(json.dumps(told), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [COMMAND, "dev", "--no-browser", "--no-reload", "--port", str(port)]
    with process(command, ready="Application started up in", folder=folder, LANGGRAPH_STRICT_MSGPACK="false"):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def client(address: str) -> Iterator[Any]:
    with get_sync_client(url=address) as client:
        yield client


def test_the_sdk_drives_a_whole_loop(client: Any) -> None:
    thread = client.threads.create()["thread_id"]
    client.runs.wait(thread, "feedback", input=START)
    first = _question(client, thread)
    assert first["response"] == "<Give three uses for rope.>"
    client.runs.wait(thread, "feedback", command={"resume": CRITIQUE})
    second = _question(client, thread)
    assert [p["text"] for p in second["principles"]] == ["Be brief."]
    ended: Any = client.runs.wait(thread, "feedback", command={"resume": ACCEPT})
    assert ended["prompt"]["description"] == "Give three uses for {item}. Be brief."
    assert not client.threads.get_state(thread)["next"]


def test_events_come_over_the_sdks_stream(client: Any) -> None:
    thread = client.threads.create()["thread_id"]
    told = [p.data for p in client.runs.stream(thread, "feedback", input=START, stream_mode="custom")]
    assert "answers" in [data.get("type") for data in told if isinstance(data, dict)]


def test_the_schemas_are_real(client: Any) -> None:
    assistant = client.assistants.search(graph_id="feedback")[0]["assistant_id"]
    schemas: Any = client.assistants.get_schemas(assistant)
    assert set(schemas["input_schema"]["properties"]) == {"prompt", "inputs"}


def _question(client: Any, thread: str) -> dict[str, Any]:
    state = client.threads.get_state(thread)
    value: dict[str, Any] = state["tasks"][0]["interrupts"][0]["value"]
    return value
