"""The page about models: its code and its commands run, with a scripted model in the place of each server."""

import re
import shlex
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

import langchain_model_alignment
from langchain_model_alignment.cli.app import app
from langchain_model_alignment.local.catalog import CATALOG
from langchain_model_alignment.models import resolve_chat_model
from tests.fakes import ScriptedChatModel

pytest.importorskip("langchain_openai", reason='pip install "langchain-model-alignment[local]"')

ROOT = Path(__file__).parents[2]
FORUM = Path("examples/data/forum")
PAGE = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


def scripted(messages: list[Any]) -> str:
    """Answer each kind of request with something of the right form."""
    if messages[0].text.startswith("Should the comment"):
        return "remove" if "http" in messages[-1].text else "keep"
    if '"principle_id"' in messages[-1].text:
        return '{"reason": "asked", "action": "add", "principle": "Say how many people there are."}'
    return "The comment advertises a product to other people."


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with the examples, where each name is resolved for real and then played by a script."""

    def stand_in(name: str, *_: Any, **settings: Any) -> ScriptedChatModel:
        resolve_chat_model(name, **settings)
        return ScriptedChatModel(scripted)

    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr(langchain_model_alignment, "resolve_chat_model", stand_in, raising=False)
    for command in ("train", "label"):
        monkeypatch.setattr(f"langchain_model_alignment.cli.{command}.open_model", lambda name, _: stand_in(name))
    monkeypatch.setattr(
        langchain_model_alignment,
        "hugging_face_chat_model",
        lambda *_, **__: ScriptedChatModel(scripted),
        raising=False,
    )
    (tmp_path / FORUM).mkdir(parents=True)
    for name in ("train.csv", "test.csv"):  # a part of the rows will do
        pd.read_csv(ROOT / FORUM / name, nrows=60).to_csv(tmp_path / FORUM / name, index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_the_code_runs(block: str, place: Path) -> None:
    exec(compile(block, "models.md", "exec"), {})  # noqa: S102 (our own page)


def test_the_commands_run(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for line in COMMANDS:
        program, *words = shlex.split(line)
        if program == "export":
            monkeypatch.setenv(*words[0].split("="))
            continue
        assert program == "langchain-align"
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
    assert (place / "labels.csv").exists()


def test_there_is_something_to_run() -> None:
    assert (len(BLOCKS), len(COMMANDS)) == (4, 3)


def test_the_default_local_model_is_the_one_the_page_names() -> None:
    assert "Qwen2.5-Coder-1.5B-Instruct" in next(iter(CATALOG.values())).note
