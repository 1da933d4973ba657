"""`langchain-align studio`: where it listens, what it refuses, and where it keeps things."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nicegui", reason='not installed: pip install "langchain-model-alignment[studio]"')

from typer.testing import CliRunner

from langchain_model_alignment.cli.app import app
from langchain_model_alignment.errors import ConfigurationError, ConflictError, ModelNameError
from langchain_model_alignment.integrations.serving.storage import open_storage
from tests.fakes import ScriptedChatModel

EVERYWHERE = "0.0.0.0"  # noqa: S104


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = []
    monkeypatch.delenv("LANGCHAIN_ALIGN_API_KEY", raising=False)

    def create(model: Any, folder: Path, **options: Any) -> str:
        calls.append({"folder": folder, **options})
        return "the app"

    def resolve(name: str) -> ScriptedChatModel:
        if name != "scripted:mind":
            raise ModelNameError(f"There is no {name}.")
        return ScriptedChatModel("yes")

    monkeypatch.setattr("langchain_model_alignment.studio.app.create_studio", create)
    monkeypatch.setattr("uvicorn.run", lambda app, **options: calls[-1].update(options))
    monkeypatch.setattr("langchain_model_alignment.models.resolve_chat_model", resolve)
    return calls


def studio(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["studio", "--no-browser", "--model", "scripted:mind", *arguments])


def test_it_listens_on_this_machine_only_and_keeps_things_where_it_is_told(started: list[Any], tmp_path: Path) -> None:
    assert studio("--folder", str(tmp_path), "--port", "8123").exit_code == 0
    assert (started[0]["host"], started[0]["port"], started[0]["folder"]) == ("127.0.0.1", 8123, tmp_path)


def test_another_address_needs_a_key(started: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = studio("--host", EVERYWHERE, "--folder", str(tmp_path))
    assert isinstance(refused.exception, ConfigurationError)
    assert not started
    monkeypatch.setenv("LANGCHAIN_ALIGN_API_KEY", "secret")
    allowed = studio("--host", EVERYWHERE, "--folder", str(tmp_path))
    assert allowed.exit_code == 0
    assert started[0]["key"] == "secret"
    assert "secret" not in allowed.output


def test_a_model_that_means_nothing_is_told_before_the_page_opens(started: list[Any], tmp_path: Path) -> None:
    refused = studio("--alignment-model", "nowhere:model", "--folder", str(tmp_path))
    assert isinstance(refused.exception, ModelNameError)
    assert not started


async def test_a_folder_that_another_server_uses_is_told_before_the_page_opens(
    started: list[Any], tmp_path: Path
) -> None:
    async with open_storage(str(tmp_path)):
        refused = await asyncio.to_thread(studio, "--folder", str(tmp_path))
    assert isinstance(refused.exception, ConflictError)
    assert "host" not in started[0]
