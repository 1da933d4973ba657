"""Rows that are labeled and reviewed, in one SQLite file: as many as there are, and never all at once in memory."""

import itertools
import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_model_alignment.errors import ArtifactError
from langchain_model_alignment.labeling.classifier import Labeled

__all__ = ["Counts", "Sheet", "SheetRow"]

_BATCH = 1_000
_TABLES = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS rows (
    number INTEGER PRIMARY KEY, inputs TEXT NOT NULL, asked INTEGER NOT NULL DEFAULT 0,
    label INTEGER, confidence REAL, principles TEXT, error TEXT, given INTEGER
);
CREATE INDEX IF NOT EXISTS doubt ON rows (given IS NOT NULL, asked = 0, label IS NOT NULL, confidence, number);
"""
# Rows that nobody has looked at come first, and of these the ones without a label, then the least sure.
_DOUBT = "given IS NOT NULL, asked = 0, label IS NOT NULL, confidence, number"
_SELECT = "SELECT number, inputs, asked, label, confidence, principles, error, given FROM rows"


@dataclass(frozen=True)
class SheetRow:
    """One row of a sheet.

    Attributes:
        number: Its place in the file, from 1.
        inputs: The task's inputs, by column.
        asked: Whether the model has been asked about it.
        label: The index of the label that the model gave; None for none.
        confidence: How sure the model is, from 0 to 1, where it tells.
        principles: Ids of the principles that decided, where they were asked for.
        error: What went wrong, where something did.
        given: The index of the label that a person gave.
    """

    number: int
    inputs: Mapping[str, Any]
    asked: bool
    label: int | None
    confidence: float | None
    principles: tuple[str, ...] | None
    error: str | None
    given: int | None


@dataclass(frozen=True)
class Counts:
    """How a sheet stands.

    Attributes:
        rows: All rows.
        asked: Those that the model has been asked about.
        failed: Of these, those whose call failed.
        given: Those that a person labeled.
        labels: How many rows have each label, by its index; a person's word counts before the model's.
    """

    rows: int
    asked: int
    failed: int
    given: int
    labels: Mapping[int, int]


class Sheet:
    """Rows with their labels, in a file.

    Args:
        path: The file; it is made when missing.

    Raises:
        ArtifactError: It cannot be read or written; so of every method.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> sheet = Sheet(Path(folder.name) / "rows.sqlite")
        >>> sheet.add([{"text": "sure"}, {"text": "doubtful"}])
        2
        >>> sheet.put(1, Labeled(0, confidence=0.9))
        >>> sheet.put(2, Labeled(1, confidence=0.6))
        >>> [row.inputs["text"] for row in sheet.page(0, 10)]
        ['doubtful', 'sure']
        >>> sheet.close(); folder.cleanup()
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error
        with self._using() as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.executescript(_TABLES)

    def about(self) -> dict[str, Any]:
        """Return what was written down about the sheet."""
        with self._using() as db:
            return {name: json.loads(value) for name, value in db.execute("SELECT name, value FROM about")}

    def note(self, **values: Any) -> None:
        """Write something down about it: JSON values, by name."""
        with self._using() as db:
            pairs = [(name, json.dumps(value)) for name, value in values.items()]
            db.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", pairs)

    def add(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Add rows below the others, and return how many there are then."""
        left = iter(rows)
        while batch := [(json.dumps(row, default=str),) for row in itertools.islice(left, _BATCH)]:
            with self._using() as db:
                db.execute("BEGIN")
                db.executemany("INSERT INTO rows (inputs) VALUES (?)", batch)
                db.execute("COMMIT")
        return self.counts().rows

    def clear(self) -> None:
        """Take all rows out."""
        with self._using() as db:
            db.execute("DELETE FROM rows")

    def waiting(self, n: int) -> list[SheetRow]:
        """Return the first rows that the model has not been asked about."""
        return self._read(f"{_SELECT} WHERE asked = 0 ORDER BY number LIMIT ?", n)

    def page(self, start: int, n: int, *, doubtful_first: bool = True) -> list[SheetRow]:
        """Return some rows.

        Args:
            start: How many to pass over.
            n: How many at most.
            doubtful_first: Those that nobody has looked at and the model is least sure of first, else in their order.
        """
        order = _DOUBT if doubtful_first else "number"
        return self._read(f"{_SELECT} ORDER BY {order} LIMIT ? OFFSET ?", n, start)

    def row(self, number: int) -> SheetRow:
        """Return one row."""
        return self._read(f"{_SELECT} WHERE number = ?", number)[0]

    def put(self, number: int, found: Labeled) -> None:
        """Keep what the model said of a row."""
        values = (found.label, found.confidence, found.error, number)
        with self._using() as db:
            db.execute(
                "UPDATE rows SET asked = 1, label = ?, confidence = ?, error = ?, principles = NULL WHERE number = ?",
                values,
            )

    def explain(self, number: int, principles: Iterable[str]) -> None:
        """Keep which principles decided a row."""
        with self._using() as db:
            db.execute("UPDATE rows SET principles = ? WHERE number = ?", (json.dumps(list(principles)), number))

    def give(self, number: int, label: int) -> None:
        """Keep the label that a person gave a row."""
        with self._using() as db:
            db.execute("UPDATE rows SET given = ? WHERE number = ?", (label, number))

    def ask_again(self, *, failed_only: bool) -> None:
        """Have the model asked about rows once more: those whose call failed, or all that no person has labeled."""
        which = "error IS NOT NULL" if failed_only else "given IS NULL"
        with self._using() as db:
            db.execute(f"UPDATE rows SET asked = 0, error = NULL WHERE {which}")  # noqa: S608  # one of the two above

    def counts(self) -> Counts:
        """Count."""
        with self._using() as db:
            rows, asked, failed, given = db.execute(
                "SELECT count(*), total(asked), count(error), count(given) FROM rows"
            ).fetchone()
            labels = db.execute(
                "SELECT coalesce(given, label), count(*) FROM rows WHERE coalesce(given, label) IS NOT NULL GROUP BY 1"
            ).fetchall()
        return Counts(rows, int(asked), failed, given, dict(labels))

    def __iter__(self) -> Iterator[SheetRow]:
        last = 0
        while rows := self._read(f"{_SELECT} WHERE number > ? ORDER BY number LIMIT ?", last, _BATCH):
            yield from rows
            last = rows[-1].number

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._db
            except sqlite3.Error as error:
                if self._db.in_transaction:
                    self._db.rollback()
                raise self._unusable(error) from error

    def _read(self, query: str, *values: Any) -> list[SheetRow]:
        with self._using() as db:
            found = db.execute(query, values).fetchall()
        return [
            SheetRow(
                number=number,
                inputs=json.loads(inputs),
                asked=bool(asked),
                label=label,
                confidence=confidence,
                principles=None if principles is None else tuple(json.loads(principles)),
                error=error,
                given=given,
            )
            for number, inputs, asked, label, confidence, principles, error, given in found
        ]

    def _unusable(self, error: Exception) -> ArtifactError:
        return ArtifactError(f"{self._path} cannot be read or written ({error}); make room there, and try again.")
