"""Where threads are kept: a folder for one server at a time, or a Postgres that is there."""

from pathlib import Path
from typing import Any

import pytest

from langchain_model_alignment.errors import ArtifactError, ConfigurationError, ConflictError
from langchain_model_alignment.integrations.serving.claims import Claims
from langchain_model_alignment.integrations.serving.storage import open_storage


async def test_a_folder_is_made_and_used_by_one_server_at_a_time(tmp_path: Path) -> None:
    folder = str(tmp_path / "new" / "data")
    async with open_storage(folder):
        with pytest.raises(ConflictError, match="Another server uses"):
            async with open_storage(folder):
                pass
    async with open_storage(folder) as storage:
        await storage.store.aput(("a",), "b", {"c": 1})
    async with open_storage(folder) as storage:
        item = await storage.store.aget(("a",), "b")
        assert item is not None
        assert item.value == {"c": 1}


async def test_a_step_is_not_held_up_by_the_disk(tmp_path: Path) -> None:
    async with open_storage(str(tmp_path)) as storage:
        connection: Any = storage.checkpointer.conn  # type: ignore[attr-defined]
        assert await (await connection.execute("PRAGMA journal_mode")).fetchone() == ("wal",)
        assert await (await connection.execute("PRAGMA synchronous")).fetchone() == (1,)


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="cannot be written"):
        async with open_storage(str(tmp_path / "file" / "data")):
            pass


async def test_a_postgres_that_is_not_there_is_told_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psycopg_pool", reason='not installed: pip install "langchain-model-alignment[postgres]"')
    with pytest.raises(ConfigurationError, match="cannot be used") as caught:
        async with open_storage("postgresql://ann:hush@localhost/none?host=/nonexistent"):
            pass
    assert "hush" not in str(caught.value)


async def test_one_turn_at_a_time_holds_a_thread() -> None:
    claim = Claims()
    async with claim("a"), claim("b"):
        with pytest.raises(ConflictError, match="under way"):
            async with claim("a"):
                pass
    async with claim("a"):
        pass
