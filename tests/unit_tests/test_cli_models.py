"""``langchain-align models``."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from langchain_model_alignment.cli.models import app
from langchain_model_alignment.errors import WeightsError
from langchain_model_alignment.local.catalog import CATALOG

runner = CliRunner()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LANGCHAIN_ALIGN_CACHE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "250")
    return tmp_path


def test_list_names_every_model_its_size_its_licence_and_that_it_is_not_pulled() -> None:
    result = runner.invoke(app, ["list"])
    assert result.exit_code == 0
    line = next(line for line in result.output.splitlines() if "qwen2.5-coder-1.5b" in line)
    assert "1,117 MB" in line
    assert "Apache-2.0" in line
    assert "not pulled" in line
    assert all(name in result.output for name in CATALOG)


def test_path_prints_where_the_weights_lie(cache: Path) -> None:
    mine = cache / "mine.gguf"
    mine.write_bytes(b"GGUF")
    result = runner.invoke(app, ["path", str(mine)])
    assert result.output.strip() == str(mine)


def test_path_of_weights_not_pulled_is_an_error_that_says_what_to_do() -> None:
    result = runner.invoke(app, ["path", "qwen2.5-coder-1.5b"])
    assert isinstance(result.exception, WeightsError)
    assert "models pull" in str(result.exception)


def test_pull_shows_progress_and_prints_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    def pull(name: str, progress) -> Path:  # type: ignore[no-untyped-def]
        progress(1, 2, "downloading")
        return Path("/there/it.gguf")

    monkeypatch.setattr("langchain_model_alignment.cli.models.pull", pull)
    result = runner.invoke(app, ["pull", "qwen2.5-coder-1.5b"])
    assert result.stdout.strip() == str(Path("/there/it.gguf"))
    assert "downloading" in result.stderr


def test_pull_of_an_unknown_name_lists_the_known_ones() -> None:
    result = runner.invoke(app, ["pull", "qwen"])
    assert isinstance(result.exception, WeightsError)
    assert "qwen2.5-coder-1.5b" in str(result.exception)
