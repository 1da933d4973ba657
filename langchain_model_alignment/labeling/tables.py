"""Rows out of files, one at a time: .csv, .jsonl, .json and .parquet; a broken row is told, and the rest goes on."""

import csv
import json
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from langchain_model_alignment.errors import ArtifactError, ConfigurationError, DataError

__all__ = [
    "SUFFIXES",
    "Entry",
    "Scan",
    "check_suffix",
    "pyarrow",
    "read_entries",
    "scan",
    "together",
]

SUFFIXES = (".csv", ".json", ".jsonl", ".parquet")

_LONGEST_CELL = 2**24  # characters; Python's own limit of 131,072 is less than a long document
_BATCH = 500  # rows of a Parquet file in memory at once
_BUFFER = 2**20  # bytes of each column of a Parquet file
_BOM = b"\xef\xbb\xbf"


class Entry(NamedTuple):
    """A row of a file, or what is in its place."""

    file: Path
    number: int
    """Its line, from 1 with the header; in .json and .parquet its row, from 1."""
    row: dict[str, Any] | None
    """From column to value; None where it could not be read."""
    error: str = ""
    """What is wrong with it, as the end of a sentence that begins with its place."""
    text: str = ""
    """What stands there instead of a row."""

    @property
    def place(self) -> str:
        """The file and the line, for people."""
        lines = self.file.suffix.lower() in (".csv", ".jsonl")
        return f"{self.file}, {'line' if lines else 'row'} {self.number}"


@dataclass(slots=True)
class Scan:
    """What is in files, before anything is paid for.

    Attributes:
        columns: The names of all columns, in order of appearance.
        rows: How many rows can be read.
        broken: How many rows cannot.
        first_broken: The first of those.
        kinds: Of .csv and JSON files, where asked for: the kinds of values in each column, and where each is first.
        schemas: The Arrow schemas of the .parquet files.
    """

    columns: list[str] = field(default_factory=list)
    rows: int = 0
    broken: int = 0
    first_broken: Entry | None = None
    kinds: dict[str, dict[str, str]] = field(default_factory=dict)
    schemas: list[Any] = field(default_factory=list)


def check_suffix(path: Path) -> None:
    """Refuse a file whose name does not say how it is written.

    Raises:
        DataError: The name ends in nothing known.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path} is no table that can be used; its name must end in {', '.join(SUFFIXES)}.")


def read_entries(path: Path) -> Iterator[Entry]:
    """Read a file row by row; the cells of a .csv stay the text that they are.

    Args:
        path: The file; text in UTF-8. A .json file is a list of objects and is read at once.

    Yields:
        Its rows, and the rows that could not be read.

    Raises:
        ArtifactError: The file as a whole cannot be read.
        ConfigurationError: It is a .parquet file, and pyarrow is not installed.
    """
    kind = path.suffix.lower()
    if kind == ".parquet":
        yield from _read_parquet(path)
        return
    try:
        with path.open("rb") as file:
            file.seek(len(_BOM) if file.read(len(_BOM)) == _BOM else 0)
            yield from {".csv": _read_csv, ".jsonl": _read_jsonl, ".json": _read_json}[kind](path, file)
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error.strerror or error}); check the path.") from error


def scan(file: Path, *, typed: bool = False) -> Scan:
    """Look through a file for its columns, its rows and what is broken.

    Args:
        file: The file.
        typed: Whether the kinds of its values are wanted too; a .parquet file tells them anyway.

    Raises:
        ArtifactError: The file as a whole cannot be read.
    """
    found, columns = Scan(), dict[str, None]()
    if file.suffix.lower() == ".parquet":
        with _parquet_file(file) as opened:
            schema = opened.schema_arrow
            return Scan(list(schema.names), opened.metadata.num_rows, schemas=[schema])
    for entry in read_entries(file):
        if entry.row is None:
            found.broken += 1
            found.first_broken = found.first_broken or entry
            continue
        found.rows += 1
        columns.update(dict.fromkeys(entry.row))
        if typed:
            _note_kinds(found.kinds, entry)
    found.columns = list(columns)
    return found


def together(scans: Sequence[Scan]) -> Scan:
    """Return what is in several files as if they were one."""
    found = Scan(
        columns=list(dict.fromkeys(name for one in scans for name in one.columns)),
        rows=sum(one.rows for one in scans),
        broken=sum(one.broken for one in scans),
        first_broken=next((one.first_broken for one in scans if one.first_broken), None),
        schemas=[schema for one in scans for schema in one.schemas],
    )
    for one in scans:
        for name, kinds in one.kinds.items():
            before = found.kinds.setdefault(name, {})
            before.update({kind: place for kind, place in kinds.items() if kind not in before})
    return found


def pyarrow() -> Any:
    """Return pyarrow.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigurationError(
            '.parquet files need pyarrow: pip install "langchain-model-alignment[parquet]".'
        ) from error
    return pyarrow


class _Lines:
    """The lines of a file as text; all but the first of those that a broken row took can be given back."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._given_back: deque[bytes] = deque()
        self.taken: list[bytes] = []
        self.number = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._given_back.popleft() if self._given_back else next(self._file)
        self.number += 1
        self.taken.append(line)
        return line.decode("utf-8")

    def give_back(self) -> None:
        self._given_back.extendleft(reversed(self.taken[1:]))
        self.number -= len(self.taken) - 1
        del self.taken[1:]


def _read_csv(path: Path, file: BinaryIO) -> Iterator[Entry]:
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_CELL))  # of the process; it is only ever raised
    lines = _Lines(file)
    reader = csv.reader(lines, strict=True)
    try:
        names = next((cells for cells in reader if cells), [])
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{path} is not UTF-8 text (byte {error.start} is odd); save it as UTF-8.") from error
    except csv.Error as error:
        raise ArtifactError(f"{path} cannot be read as a .csv ({error}); correct its first line.") from error
    if twice := [name for name in names if names.count(name) > 1]:
        raise DataError(f"{path} has the column {twice[0]!r} twice; rename one.")
    width = len(names)
    while True:
        lines.taken.clear()
        at = lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            wrong = f"cannot be read as a .csv ({error})"
        except UnicodeDecodeError:
            wrong = "is not UTF-8 text"
        else:
            if len(cells) == width:
                yield Entry(path, at, dict(zip(names, cells, strict=True)))
                continue
            if not cells:
                continue
            wrong = f"cannot be read as a .csv (it has {len(cells)} cells, and the header {width})"
        # An open quote may have taken in rows that are whole: only its first line is broken.
        lines.give_back()
        yield _broken(path, at, wrong, lines.taken[0])


def _read_jsonl(path: Path, file: BinaryIO) -> Iterator[Entry]:
    for number, line in enumerate(file, 1):
        try:
            row = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError:
            yield _broken(path, number, "is not UTF-8 text", line)
        except (ValueError, RecursionError) as error:
            if line.strip():
                yield _broken(path, number, f"is not JSON ({error})", line)
        else:
            if isinstance(row, dict):
                yield Entry(path, number, row)
            else:
                yield _broken(path, number, "holds no rows: it is no object from column to value", line)


def _read_json(path: Path, file: BinaryIO) -> Iterator[Entry]:
    try:
        text = file.read().decode("utf-8")
        found = json.loads(text) if text.strip() else []
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{path} is not UTF-8 text (byte {error.start} is odd); save it as UTF-8.") from error
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} is not JSON ({error}); correct it.") from error
    if not isinstance(found, list):
        raise ArtifactError(f"{path} holds no rows; write a list of objects, from column to value.")
    for number, row in enumerate(found, 1):
        if isinstance(row, dict):
            yield Entry(path, number, row)
        else:
            yield _broken(path, number, "is no object from column to value", json.dumps(row).encode())


def _read_parquet(path: Path) -> Iterator[Entry]:
    number = 0
    with _parquet_file(path) as file:
        batches = file.iter_batches(batch_size=_BATCH)
        while True:
            try:
                batch = next(batches, None)
            except (OSError, pyarrow().ArrowException) as error:
                raise ArtifactError(f"{path} cannot be read from row {number + 1} on ({error}).") from error
            if batch is None:
                return
            for row in batch.to_pylist():
                number += 1
                yield Entry(path, number, row)


def _parquet_file(path: Path) -> Any:
    pa = pyarrow()
    try:
        # Without these two it holds a whole row group, and pandas writes groups of a million rows.
        return pa.parquet.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER)
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()).rstrip(".")
        raise ArtifactError(f"{path} cannot be read as a .parquet file ({reason}); check the file.") from error


def _broken(path: Path, number: int, error: str, line: bytes) -> Entry:
    return Entry(path, number, None, error, line.decode("utf-8", "replace").rstrip("\r\n"))


def _note_kinds(kinds: dict[str, dict[str, str]], entry: Entry) -> None:
    for name, value in (entry.row or {}).items():
        seen = kinds.setdefault(name, {})
        if value is not None and (kind := type(value).__name__) not in seen:
            seen[kind] = entry.place
