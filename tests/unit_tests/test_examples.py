"""The examples run, with a scripted model in place of the local one."""

import asyncio
import importlib
import json
import runpy
import sys
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from langchain_core.messages import AIMessage, BaseMessage

from langchain_model_alignment import AlignedPrompt, Rulebook
from tests.fakes import ScriptedChatModel, ToolModel
from tests.serving import client_of

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the examples are not beside the tests here")


def mind(messages: list[BaseMessage]) -> str | AIMessage:
    """Writes the principle that each piece of feedback in the examples asks for, and lets the prompt stay short."""
    system, told = messages[0].text, messages[-1].text
    if "list of principles" in system:
        wishes = {
            "ask for the order number": "Ask for the order number.",
            "polite": "Be polite.",
            "I will look at once": "Say that you will look at once.",
            "two sentences": "Write at most two sentences.",
            "other shops": "Never mention other shops.",
        }
        rule = next(rule for wish, rule in reversed(wishes.items()) if wish in told)
        return json.dumps({"reason": "asked", "action": "add", "principle": rule})
    if "rewrite instructions" in system:
        return json.dumps({"text": ""})
    if "rulebook of a labeler" in system:
        edit = {"kind": "add", "label": "heron", "text": "The message is about money."}
        return json.dumps({"edits": [edit, {**edit, "text": "The message names a fee or a fine."}]})
    if "labeling principles" in system:
        return "The message asks something."
    if system.startswith("You help the customers") and messages[-1].type == "human" and "please" in told:
        call = {"name": "learn_from_feedback", "args": {"words": "at most two sentences"}, "id": "1"}
        return AIMessage("", tool_calls=[call])
    if "Which desk" in system:
        paid = ("pa", "fee", "fine", "price", "refund", "charge", "bill", "cost", "card")
        return "heron" if "money" in system and any(word in told for word in paid) else "falcon"
    return f"An answer to: {told}"


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> ScriptedChatModel:
    llm = ScriptedChatModel(mind)
    monkeypatch.setattr("langchain_model_alignment.models.resolve_chat_model", lambda name: llm)
    return llm


def run(name: str, *arguments: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [name, "--model", "scripted:model", *arguments])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


@pytest.mark.usefixtures("model")
def test_a_prompt_is_aligned_and_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "reply.json"
    run("align_a_prompt.py", "--out", str(out), monkeypatch=monkeypatch)
    aligned = AlignedPrompt.load(out)
    assert [p.text for p in aligned.principles][:2] == ["Ask for the order number.", "Be polite."]
    assert len(aligned.principles) == 3
    assert "Be polite." in aligned.exchanges[-1].candidates[0]
    assert "p1: Ask for the order number." in capsys.readouterr().out


@pytest.mark.usefixtures("model")
def test_the_feedback_loop_is_resumed_twice_from_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    run("feedback_loop.py", "--file", str(tmp_path / "thread.sqlite"), monkeypatch=monkeypatch)
    output = capsys.readouterr().out
    assert output.count("The person:") == 2
    assert output.partition("Accepted.")[2].count("Write at most two sentences.") == 1


def test_the_aligned_prompt_and_the_principle_chain_drop_into_chains(
    model: ScriptedChatModel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    run("drop_in_chain.py", monkeypatch=monkeypatch)
    assert "+ p1: Never mention other shops." in capsys.readouterr().out
    assert "Never mention other shops." not in model.requests[0].text
    assert "Never mention other shops." in model.last.messages[0].text
    assert "You answer for Acme." in model.last.messages[0].text


@pytest.mark.usefixtures("model")
def test_a_labeler_is_trained_and_its_report_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    run("train_a_labeler.py", "--out", str(tmp_path), monkeypatch=monkeypatch)
    assert any("money" in p.text for p in Rulebook.load(tmp_path / "rulebook.json").enabled())
    assert "The message is about money." in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Accuracy on new messages: 0." in capsys.readouterr().out


@pytest.mark.parametrize("options", [[], ["--tools"]])
def test_an_agent_learns_from_its_user(
    options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    pytest.importorskip("langchain.agents", reason='pip install "langchain-model-alignment[agents]"')
    llm = ToolModel(mind)
    monkeypatch.setattr("langchain_model_alignment.models.resolve_chat_model", lambda name: llm)
    run("agent_that_learns.py", *options, monkeypatch=monkeypatch)
    asked = [r.messages[0].text for r in llm.requests if r.messages[0].text.startswith("You help the customers")]
    assert asked[0] == "You help the customers of a bicycle shop."
    assert asked[-1].endswith("Follow these principles:\n- Write at most two sentences.")
    assert "p1: Write at most two sentences." in capsys.readouterr().out


@pytest.mark.usefixtures("model")
def test_a_tracker_of_ones_own_sees_the_training(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    mlflow = MagicMock()
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    run("mlflow_tracking.py", monkeypatch=monkeypatch)
    told = [call.kwargs["step"] for call in mlflow.log_metrics.call_args_list]
    assert told == list(range(len(told)))
    assert len(told) >= 2
    assert mlflow.log_metrics.call_args.args[0]["calls"] > 0
    assert mlflow.log_metric.call_args.args[0].startswith("score_c")
    assert mlflow.set_tag.call_args.args[0] == "stopped_because"
    assert "Stopped because" in capsys.readouterr().out


@pytest.mark.usefixtures("model")
def test_without_mlflow_its_example_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(SystemExit, match="pip install mlflow"):
        run("mlflow_tracking.py", monkeypatch=monkeypatch)


@pytest.mark.usefixtures("model")
async def test_a_fastapi_app_of_ones_own_has_the_loop_beside_its_own_page(tmp_path: Path):
    pytest.importorskip("fastapi", reason='not installed: pip install "langchain-model-alignment[serve]"')
    app = runpy.run_path(str(EXAMPLES / "serve_fastapi.py"))["make_app"]("scripted:model", str(tmp_path))
    async with client_of(app) as client:
        assert (await client.get("/")).json() == "Welcome to the shop."
        while (await client.get("/align/healthz")).json()["model"] == "loading":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        turn = {"thread_id": "1", "input": {"prompt": "Name uses of {item}.", "inputs": {"item": "rope"}}}
        assert (await client.post("/align/turn", json=turn)).json()["waiting_for"]["type"] == "review"


def test_a_langserve_app_serves_the_turn_and_a_chain(model: ScriptedChatModel):
    pytest.importorskip("langserve", reason='not installed: pip install "langchain-model-alignment[langserve]"')
    app = runpy.run_path(str(EXAMPLES / "serve_langserve.py"))["make_app"](model)
    paths = app.openapi()["paths"]
    assert {"/turn/invoke", "/critique/invoke"} <= set(paths)


def test_the_langgraph_json_names_a_graph_that_is_there():
    told = json.loads((EXAMPLES / "server" / "langgraph.json").read_text(encoding="utf-8"))
    module, _, name = told["graphs"]["feedback"].partition(":")
    assert callable(getattr(importlib.import_module(module), name))


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_the_readme_lists_every_example(name: str):
    assert f"python examples/{name}" in (EXAMPLES / "README.md").read_text(encoding="utf-8")
