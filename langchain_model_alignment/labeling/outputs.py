"""Where labeled rows are written: into a folder beside their place, and to their place when all are there."""

import errno
import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from langchain_model_alignment.artifacts import make_place
from langchain_model_alignment.errors import ArtifactError, DataError
from langchain_model_alignment.labeling.sinks import JsonSink, Sink, make_sink, schema_of
from langchain_model_alignment.labeling.sources import Source, finds
from langchain_model_alignment.labeling.tables import Entry, Scan, check_suffix, together

__all__ = ["Output", "check_out", "failures_of", "places_in", "unfinished"]

_ROWS = 500  # written at once
_SECONDS = 1.0  # after which fewer are written too


def unfinished(out: Path) -> Path:
    """The folder of a run that is not finished: its rows so far, and what it needs to go on.

    Example:
        >>> unfinished(Path("labels.csv")).name
        'labels.csv.unfinished'
    """
    return out.with_name(f"{out.name}.unfinished")


def failures_of(out: Path) -> Path:
    """The file of rows that could not be read or labeled.

    Example:
        >>> failures_of(Path("labels.csv")).name
        'labels.csv.failures.jsonl'
    """
    return out.with_name(f"{out.name}.failures.jsonl")


def places_in(folder: Path, files: Iterable[Path]) -> dict[Path, Path]:
    """Return where in a folder each of several files goes, so that they lie to each other as they do now.

    Example:
        >>> [str(place) for place in places_in(Path("to"), [Path("../x/a.csv"), Path("../y/b.csv")]).values()]
        ['to/x/a.csv', 'to/y/b.csv']
    """
    plain = {file: Path(os.path.abspath(file)) for file in files}  # a `..` would lead out of the folder again
    base = os.path.commonpath([file.parent for file in plain.values()])
    return {file: folder / whole.relative_to(base) for file, whole in plain.items()}


def check_out(out: Path, source: Source, files: Sequence[Path]) -> None:
    """Refuse to write over what is read, or into what would be read the next time.

    Args:
        out: Where to write.
        source: What to read.
        files: The files that it stands for.

    Raises:
        DataError: `out` is one of the files or lies among them, or its name tells no format.
        ArtifactError: Its folder cannot be made or written to.
    """
    if out.suffix:
        check_suffix(out)
        if out.is_dir():
            raise DataError(f"{out} is a folder; give the name of a file, or of a folder without an ending.")
    elif out.is_file():
        raise DataError(f"{out} is a file whose name tells no format; end it in .csv, .json, .jsonl or .parquet.")
    folder = out.resolve() if not out.suffix else None
    if folder and any(folder in file.resolve().parents for file in files):
        raise DataError(f"{out} holds the tables to be labeled; write to another folder.")
    places, parts = _places(out, files), _parts(out, files)
    if len(set(places.values())) < len(places):
        raise DataError(f"Two of the tables would be written to the same file in {out}; label them one by one.")
    read = {_identity(file) for file in files if file.exists()}
    for place in (*places.values(), *parts.values(), failures_of(out), _failures(out)):
        if place.exists() and _identity(place) in read:
            raise DataError(f"{place} is a table to be labeled, and would be written over; write to another place.")
        if finds(source, place):
            raise DataError(
                f"{place} would lie among the tables to be labeled, and be one of them the next time; write to another "
                "folder."
            )
    make_place(out)


def _places(out: Path, files: Iterable[Path]) -> dict[Path, Path]:
    """Where the rows of each file are in the end; of all files, where they go into one."""
    return {out: out} if out.suffix else places_in(out, files)


def _parts(out: Path, files: Iterable[Path]) -> dict[Path, Path]:
    """Where they are until then."""
    rows = unfinished(out) / "rows"
    return {out: rows / out.name} if out.suffix else places_in(rows, files)


def _failures(out: Path) -> Path:
    return unfinished(out) / "failures.jsonl"


def _identity(path: Path) -> tuple[int, int]:
    """The file itself, whatever its name here."""
    found = path.stat()
    return found.st_dev, found.st_ino


class Output:
    """The labeled rows of files, in their order, and the rows that failed.

    Args:
        out: A file for all of them; a folder, a name without an ending, for a file each.
        scans: The files, and what is in them.
        added: The columns that rows get, each with values that tell its type.

    Raises:
        DataError: A .parquet file cannot hold a column whose type changes.
        ConfigurationError: A .parquet file is to be written, and pyarrow is not installed.
        ArtifactError: The folder beside `out` cannot be made.
    """

    def __init__(self, out: Path, scans: dict[Path, Scan], added: Mapping[str, Sequence[Any]]) -> None:
        self.out = out
        self.folder = unfinished(out)
        self.rows = self.failures = 0
        self._added = added
        self._many = not out.suffix
        self._places, self._parts = _places(out, scans), _parts(out, scans)
        self._failures = _failures(out)
        wholes = scans if self._many else {out: together(list(scans.values()))}
        self._schemas = {p: schema_of(s, added) for p, s in wholes.items() if p.suffix.lower() == ".parquet"}
        self._wholes = wholes
        self._file: Path | None = None
        self._sink: Sink | None = None
        self._failed: JsonSink | None = None
        self._waiting: list[dict[str, Any]] = []
        self._written_at = time.monotonic()
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error

    def begin(self) -> None:
        """Remove the rows that an earlier run left; they are written again, from the labels that are kept.

        Raises:
            ArtifactError: They cannot be removed.
        """
        try:
            if (rows := self.folder / "rows").exists():
                shutil.rmtree(rows)
            self._failures.unlink(missing_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error

    def write(self, entry: Entry, row: dict[str, Any]) -> None:
        """Write a row.

        Raises:
            ArtifactError: The disk is full, or not there any more.
        """
        if self._sink is None or (self._many and entry.file != self._file):
            self._next(entry.file)
        self._waiting.append(row)
        self.rows += 1
        if len(self._waiting) >= _ROWS or time.monotonic() - self._written_at > _SECONDS:
            self._flush()

    def fail(self, entry: Entry, kind: str, error: str) -> None:
        """Note a row that could not be read, or not be labeled.

        Raises:
            ArtifactError: The disk is full, or not there any more.
        """
        place = {"file": str(entry.file), "line": entry.number, "kind": kind, "error": error}
        what = {"text": entry.text} if entry.row is None else {"row": entry.row}
        try:
            if self._failed is None:
                self._failed = JsonSink(self._failures, lines=True)
            self._failed.write([place | what])
        except OSError as broken:
            raise self._unwritable(broken) from broken
        self.failures += 1

    def finish(self) -> None:
        """Put everything in its place.

        Raises:
            ArtifactError: The disk is full, or not there any more.
        """
        self.close()
        try:
            for file, place in self._places.items():
                if (part := self._parts[file]).exists() or not self._many:
                    place.parent.mkdir(parents=True, exist_ok=True)
                    _move(part, place if self._many else place.resolve())  # a link stays a link
            if self.failures:
                _move(self._failures, failures_of(self.out))
            else:
                failures_of(self.out).unlink(missing_ok=True)
            shutil.rmtree(self.folder / "rows")
        except OSError as error:
            raise self._unwritable(error) from error

    def close(self) -> None:
        """Write what waits, and end the files, so that each can be read as it is.

        Raises:
            ArtifactError: The disk is full, or not there any more.
        """
        try:
            with ExitStack() as stack:  # each is closed, whatever goes wrong with the others
                for sink in (self._sink, self._failed):
                    if sink is not None:
                        stack.callback(sink.close)
                self._flush()
        except OSError as error:
            raise self._unwritable(error) from error
        finally:
            self._sink = self._failed = None

    def discard(self) -> None:
        """Remove the folder beside the place."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def place_of(self, entry: Entry) -> Path:
        """Return the file, by its name, that a row goes to."""
        return entry.file if self._many else self.out

    def _next(self, file: Path) -> None:
        self._flush()
        whole = file if self._many else self.out
        columns = [*self._wholes[whole].columns, *self._added]
        try:
            if self._sink is not None:
                self._sink.close()
            part = self._parts[whole]
            part.parent.mkdir(parents=True, exist_ok=True)
            self._sink, self._file = make_sink(part, columns, self._schemas.get(whole)), file
        except OSError as error:
            raise self._unwritable(error) from error

    def _flush(self) -> None:
        self._written_at = time.monotonic()
        if self._sink is None or not self._waiting:
            return
        try:
            self._sink.write(self._waiting)
        except OSError as error:
            raise self._unwritable(error) from error
        self._waiting.clear()

    def _unwritable(self, error: OSError) -> ArtifactError:
        return ArtifactError(
            f"{self.folder} cannot be written ({error.strerror or error}); free the disk and give the same command "
            "again, or choose another place."
        )


def _move(part: Path, place: Path) -> None:
    """Put a file in its place, whole or not at all, also where that is another file system."""
    try:
        os.replace(part, place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        near = place.with_name(f".{place.name}.part")
        try:
            shutil.copyfile(part, near)
            os.replace(near, place)
        finally:
            near.unlink(missing_ok=True)
        part.unlink()
