"""`langchain-align serve`: what it refuses before it listens, and what it passes on."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason='not installed: pip install "langchain-model-alignment[serve]"')

from typer.testing import CliRunner

from langchain_model_alignment.cli.app import app
from langchain_model_alignment.errors import ArtifactError, ConfigurationError, ModelNameError
from tests.fakes import ScriptedChatModel
from tests.serving import mind, rulebook

EVERYWHERE = "0.0.0.0"  # noqa: S104


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Any, dict[str, Any]]]:
    calls: list[tuple[Any, dict[str, Any]]] = []
    monkeypatch.delenv("LANGCHAIN_ALIGN_API_KEY", raising=False)
    monkeypatch.setenv("LANGCHAIN_ALIGN_DATABASE", str(tmp_path / "data"))
    monkeypatch.setattr("uvicorn.run", lambda app, **options: calls.append((app, options)))
    known = {"scripted:mind": ScriptedChatModel(mind)}

    def resolve(name: str) -> ScriptedChatModel:
        if name not in known:
            raise ModelNameError(f"There is no {name}.")
        return known[name]

    monkeypatch.setattr("langchain_model_alignment.models.resolve_chat_model", resolve)
    return calls


def serve(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["serve", "--model", "scripted:mind", *arguments])


def test_it_listens_on_this_machine_only(served: list[Any]) -> None:
    assert serve().exit_code == 0
    assert (served[0][1]["host"], served[0][1]["port"]) == ("127.0.0.1", 8000)


def test_another_address_needs_a_key(served: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    refused = serve("--host", EVERYWHERE)
    assert isinstance(refused.exception, ConfigurationError)
    assert "LANGCHAIN_ALIGN_API_KEY" in str(refused.exception)
    assert not served
    monkeypatch.setenv("LANGCHAIN_ALIGN_API_KEY", "secret")
    assert serve("--host", EVERYWHERE).exit_code == 0
    assert served[0][1]["host"] == EVERYWHERE


def test_a_model_that_means_nothing_is_told_at_the_start(served: list[Any]) -> None:
    refused = serve("--alignment-model", "nowhere:model")
    assert isinstance(refused.exception, ModelNameError)
    assert not served


def test_rulebooks_are_served_under_their_file_name_or_another(served: list[Any], tmp_path: Path) -> None:
    file = rulebook().save(tmp_path / "toxic.json")
    assert serve("--rulebook", str(file), "--rulebook", f"rude={file}").exit_code == 0
    assert "/rulebooks/{name}/invoke" in served[0][0].openapi()["paths"]


def test_a_file_that_is_no_rulebook_is_told(served: list[Any], tmp_path: Path) -> None:
    refused = serve("--rulebook", str(tmp_path / "none.json"))
    assert isinstance(refused.exception, ArtifactError)
    assert not served


def test_a_database_that_cannot_be_used_is_told_at_the_start(served: list[Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused = serve("--database", str(tmp_path / "file"))
    assert isinstance(refused.exception, ArtifactError)
    assert not served


def test_a_password_in_the_database_is_not_printed(served: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGCHAIN_ALIGN_DATABASE", "postgresql://ann:hush@localhost/threads?host=/nonexistent")
    refused = serve()
    assert isinstance(refused.exception, ConfigurationError)
    assert "hush" not in refused.output + str(refused.exception)
    assert not served
