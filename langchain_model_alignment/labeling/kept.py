"""What was found for each row, kept so that no row is paid for twice, in bounded memory."""

import json
import os
import sqlite3
from hashlib import blake2b
from pathlib import Path
from typing import Self

from langchain_model_alignment.errors import ArtifactError
from langchain_model_alignment.labeling.classifier import Labeled

__all__ = ["Kept", "key_of"]

_VERSION = 1
_KEY_DIGITS = 32
_FOLD = 20_000  # answers in memory at once
_INDEX_CACHE = 32_000  # KiB


def key_of(text: str) -> bytes:
    """Name a row by what a model is shown of it."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class Kept:
    """Labels by row content, in a folder.

    A label is appended to a log at once, which costs microseconds and outlives a kill; whenever the log holds 20,000 of
    them they are sorted into an SQLite index, and the log begins anew. Writing each row into the index by itself would
    touch a page of it for every row.

    Args:
        folder: The folder; it is there.
        about: Names the rulebook, the model and the settings that the labels are of.
        anew: Forget the labels that are there, whatever they are of.

    Raises:
        ArtifactError: The folder holds labels of something else, cannot be used, or another process is using it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with Kept(Path(folder), "a rulebook") as kept:
        ...         kept.put(key_of("text: Hello"), Labeled(1, confidence=0.9))
        ...     with Kept(Path(folder), "a rulebook") as kept:
        ...         len(kept), kept.get(key_of("text: Hello")).label, kept.get(key_of("text: Bye"))
        (1, 1, None)
    """

    def __init__(self, folder: Path, about: str, *, anew: bool = False) -> None:
        self.folder = folder
        self._log_file = folder / "labels.log"
        self._recent: dict[bytes, str] = {}
        self._count = 0
        self._log = -1
        self._index = self._opened(about, anew)
        try:
            self._take_in_log()
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return self._count

    def get(self, key: bytes) -> Labeled | None:
        """Return what was found for a row, or None."""
        value = self._recent.get(key)
        if value is None:
            try:
                row = self._index.execute("SELECT value FROM labels WHERE key = ?", (key,)).fetchone()
            except sqlite3.Error as error:
                raise self._unusable(error) from error
            if row is None:
                return None
            value = row[0]
        label, confidence, ids = json.loads(value)
        return Labeled(label, confidence=confidence, principle_ids=tuple(ids))

    def put(self, key: bytes, found: Labeled) -> None:
        """Keep what was found for a row; killing the process right after it loses nothing.

        Raises:
            ArtifactError: The disk is full, or not there any more.
        """
        value = json.dumps([found.label, found.confidence, found.principle_ids], separators=(",", ":"))
        line = f"{key.hex()} {value}\n".encode()
        try:
            if os.write(self._log, line) != len(line):
                raise OSError("No space left on device")
        except OSError as error:
            raise self._unusable(error) from error
        self._recent[key] = value
        self._count += 1
        if len(self._recent) >= _FOLD:
            self._fold()

    def close(self) -> None:
        """Close the files; the folder stays."""
        if self._log >= 0:
            os.close(self._log)
            self._log = -1
        self._index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _opened(self, about: str, anew: bool) -> sqlite3.Connection:
        index = None
        try:
            index = sqlite3.connect(
                self.folder / "labels.sqlite", timeout=1, isolation_level=None, check_same_thread=False
            )
            index.execute("PRAGMA locking_mode = EXCLUSIVE")  # two processes would write one file
            index.execute("PRAGMA synchronous = NORMAL")
            index.execute(f"PRAGMA cache_size = -{_INDEX_CACHE}")
            if anew:
                self._forget(index)
            index.execute("CREATE TABLE IF NOT EXISTS labels (key BLOB PRIMARY KEY, value TEXT) WITHOUT ROWID")
            index.execute("CREATE TABLE IF NOT EXISTS about (version INTEGER, about TEXT)")
            index.execute("INSERT INTO about SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM about)", (_VERSION, about))
            if index.execute("SELECT version, about FROM about").fetchone() != (_VERSION, about):
                raise ArtifactError(
                    f"{self.folder} holds labels of another rulebook, another model or other settings; give the same "
                    "again, give another place to write to, or begin anew."
                )
        except (sqlite3.Error, OSError, ArtifactError) as error:
            if index is not None:
                index.close()
            if isinstance(error, ArtifactError):
                raise
            if "locked" in str(error):
                raise ArtifactError(
                    f"Another process is using {self.folder}; wait for it, or give another place to write to."
                ) from error
            raise self._unusable(error) from error
        return index

    def _forget(self, index: sqlite3.Connection) -> None:
        """Empty the index and the log, once no other process can be using them."""
        index.execute("BEGIN EXCLUSIVE")
        index.execute("DROP TABLE IF EXISTS labels")
        index.execute("DROP TABLE IF EXISTS about")
        self._log_file.unlink(missing_ok=True)  # before the index says whose labels it holds
        index.execute("COMMIT")

    def _take_in_log(self) -> None:
        """Sort in what an earlier process left in the log; a line that it could not finish is asked again."""
        try:
            self._log = os.open(self._log_file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            lines = self._log_file.read_bytes().splitlines(keepends=True)
        except OSError as error:
            raise self._unusable(error) from error
        for line in lines:
            try:
                key, value = line.decode().split(" ", 1)
                if len(key) == _KEY_DIGITS and line.endswith(b"\n") and json.loads(value):
                    self._recent[bytes.fromhex(key)] = value.rstrip()
            except ValueError:
                continue
        self._fold()
        self._count = self._index.execute("SELECT count(*) FROM labels").fetchone()[0]

    def _fold(self) -> None:
        try:
            self._index.execute("BEGIN")
            self._index.executemany("INSERT OR REPLACE INTO labels VALUES (?, ?)", sorted(self._recent.items()))
            self._index.execute("COMMIT")
            os.ftruncate(self._log, 0)
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from error
        self._recent.clear()

    def _unusable(self, error: Exception) -> ArtifactError:
        reason = getattr(error, "strerror", None) or str(error)
        return ArtifactError(
            f"The labels so far, in {self.folder}, cannot be read or added to ({reason}); free the disk and give the "
            "same command again, or give another place to write to."
        )
