"""Where threads and stored prompts are kept: a folder with SQLite files, or Postgres, by one setting."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.store.base import BaseStore
from langgraph.store.sqlite.aio import AsyncSqliteStore

from langchain_model_alignment.artifacts import make_place
from langchain_model_alignment.errors import ConfigurationError, ConflictError
from langchain_model_alignment.integrations.serving.claims import Claim, Claims

__all__ = ["Storage", "open_storage"]


@dataclass(frozen=True)
class Storage:
    """What is open.

    Attributes:
        checkpointer: Keeps the threads.
        store: Keeps the stored prompts.
        claim: Holds a thread for one turn, against every server of this storage.
    """

    checkpointer: BaseCheckpointSaver[Any]
    store: BaseStore
    claim: Claim


def open_storage(database: str) -> AbstractAsyncContextManager[Storage]:
    """Open the storage, and make what is missing in it.

    Args:
        database: A folder for SQLite files, which one server at a time can use; or `postgresql://…`, for any number.

    Returns:
        An async context manager that yields the `Storage`; entering it raises `ConfigurationError` where the database
        cannot be used, and `ConflictError` where another server uses the folder.

    Example:
        >>> import asyncio, tempfile
        >>> async def kind(folder):
        ...     async with open_storage(folder) as storage:
        ...         return type(storage.checkpointer).__name__
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(kind(folder))
        'AsyncSqliteSaver'
    """
    if database.startswith(("postgresql://", "postgres://")):
        try:
            from langchain_model_alignment.integrations.serving.postgres import open_postgres
        except ImportError as error:
            raise ConfigurationError(
                'Postgres needs more packages: pip install "langchain-model-alignment[postgres]".'
            ) from error
        return open_postgres(database)
    return _open_folder(Path(database))


@asynccontextmanager
async def _open_folder(folder: Path) -> AsyncIterator[Storage]:
    make_place(folder / "threads.sqlite")
    # Two files, so that neither ever waits for, or is refused by, the other's lock.
    with _alone(folder):
        async with (
            AsyncSqliteSaver.from_conn_string(str(folder / "threads.sqlite")) as checkpointer,
            AsyncSqliteStore.from_conn_string(str(folder / "store.sqlite")) as store,
        ):
            await checkpointer.setup()
            # A killed server loses nothing; a power cut may lose the last steps, and no step waits 5 ms for the disk.
            await checkpointer.conn.execute("PRAGMA synchronous=NORMAL")
            await store.setup()
            yield Storage(checkpointer, store, Claims())


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a second server out: each knows only its own turns. The lock goes with the process, however it ends."""
    lock = sqlite3.connect(folder / "lock.sqlite", timeout=0, isolation_level=None)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        lock.close()
        if "locked" in str(error):
            raise ConflictError(
                f"Another server uses {folder}; give this one a folder of its own, or both a postgresql:// database."
            ) from error
        raise ConfigurationError(f"{folder} cannot be used ({error}); give another folder.") from error
    try:
        yield
    finally:
        lock.close()
