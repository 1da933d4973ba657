"""Model answers kept, so that paid work is never paid twice."""

import os
import sqlite3
import threading
import zlib
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

from langchain_model_alignment.errors import ArtifactError

__all__ = ["AnswerCache", "MemoryCache", "SQLiteCache"]

_VERSION = 2  # of which the long answers are compressed; a file of version 1 is read, and goes on as this one
_BUSY_SECONDS = 30.0
_LONG = 4096  # characters from which an answer is kept compressed: one with log probabilities has tens of thousands


@runtime_checkable
class AnswerCache(Protocol):
    """Where answers are kept: JSON text under a key that stands for the whole request.

    Both methods are called on the event loop and from several threads, so they are quick and thread-safe. `put`
    returns only when the answer is safe: killing the process right after it loses nothing.
    """

    def get(self, key: str) -> str | None:
        """The value under a key, or None."""
        ...

    def put(self, key: str, value: str) -> None:
        """Keep a value under a key; the last one wins."""
        ...


class MemoryCache:
    """Answers kept as long as the object lives.

    Example:
        >>> cache = MemoryCache()
        >>> cache.put("key", '"answer"')
        >>> cache.get("key"), cache.get("other")
        ('"answer"', None)
    """

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def get(self, key: str) -> str | None:
        """The value under a key, or None."""
        return self._values.get(key)

    def put(self, key: str, value: str) -> None:
        """Keep a value under a key."""
        self._values[key] = value

    def __len__(self) -> int:
        return len(self._values)


class SQLiteCache:
    """Answers kept in one SQLite file, shared by threads and by processes.

    Args:
        path: The file; it and its folder are made when missing.

    Raises:
        ArtifactError: The file is not a cache of this library, or cannot be read or written.

    Example:
        >>> import tempfile, pathlib
        >>> folder = tempfile.TemporaryDirectory()
        >>> with SQLiteCache(pathlib.Path(folder.name) / "answers.sqlite") as cache:
        ...     cache.put("key", '"answer"')
        ...     cache.get("key")
        '"answer"'
        >>> folder.cleanup()
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._pid = 0
        self._connected()

    def get(self, key: str) -> str | None:
        """The value under a key, or None.

        Raises:
            ArtifactError: The file cannot be read.
        """
        with self._lock:
            try:
                row = self._connected().execute("SELECT value FROM answers WHERE key = ?", (key,)).fetchone()
                return None if row is None else _unpacked(row[0])
            except (sqlite3.Error, zlib.error, UnicodeDecodeError) as error:
                raise self._unusable(error) from error

    def put(self, key: str, value: str) -> None:
        """Keep a value under a key; it is in the file when this returns.

        Raises:
            ArtifactError: The file cannot be written, for instance because the disk is full.
        """
        with self._lock:
            try:
                self._connected().execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, _packed(value)))
            except sqlite3.Error as error:
                raise self._unusable(error) from error

    def __len__(self) -> int:
        with self._lock:
            return int(self._connected().execute("SELECT count(*) FROM answers").fetchone()[0])

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None and self._pid == os.getpid():
                self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_connection", None) is not None:
            self.close()

    def _connected(self) -> sqlite3.Connection:
        # A connection must not cross a fork: the child opens its own.
        if self._connection is None or self._pid != os.getpid():
            self._connection, self._pid = self._open(), os.getpid()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        connection = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if version not in (0, 1, _VERSION) or tables - {"answers"}:
                raise ArtifactError(
                    f"{self.path} is a database, but not an answer cache of this version; give another path."
                )
            # With WAL and NORMAL a committed answer outlives the process; only a power cut can lose the last ones.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
            )
            connection.execute(f"PRAGMA user_version = {_VERSION}")
        except (OSError, sqlite3.Error) as error:
            if connection is not None:
                connection.close()
            raise self._unusable(error) from error
        except ArtifactError:
            if connection is not None:
                connection.close()
            raise
        return connection

    def _unusable(self, error: Exception) -> ArtifactError:
        return ArtifactError(
            f"The answer cache {self.path} cannot be used ({error}); free the disk or give another path."
        )


def _packed(value: str) -> str | bytes:
    return value if len(value) < _LONG else zlib.compress(value.encode("utf-8", "surrogatepass"), 1)


def _unpacked(kept: str | bytes) -> str:
    return kept if isinstance(kept, str) else zlib.decompress(kept).decode("utf-8", "surrogatepass")
