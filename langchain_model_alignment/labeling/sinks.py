"""Rows into files, in constant memory; what is written when the process dies is a file that can be read."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from langchain_model_alignment.errors import DataError
from langchain_model_alignment.labeling.tables import Scan, pyarrow

__all__ = ["JsonSink", "Sink", "as_json", "make_sink", "schema_of"]

Rows = Sequence[dict[str, Any]]

_GROUP = 20_000  # rows of a row group
_GROUP_BYTES = 2**26  # of long rows fewer
_GROUPS = 10  # row groups of a part


class Sink(Protocol):
    """Where rows go."""

    def write(self, rows: Rows) -> None:
        """Write rows; but for a last group of a .parquet file they are in the file when this returns.

        Raises:
            OSError: The disk is full, or not there any more.
        """
        ...

    def close(self) -> None:
        """Write the end, so that the file is whole."""
        ...


def make_sink(path: Path, columns: Sequence[str], schema: Any = None) -> Sink:
    """Open a file to write rows into; its name tells how.

    Args:
        path: The file.
        columns: The columns of a .csv.
        schema: The Arrow schema of a .parquet file.
    """
    kind = path.suffix.lower()
    if kind == ".csv":
        return _CsvSink(path, columns)
    return _ParquetSink(path, schema) if kind == ".parquet" else JsonSink(path, lines=kind == ".jsonl")


class _CsvSink:
    """An empty cell is None; lists and objects are JSON."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._columns = list(columns)
        self._file = path.open("wb")
        self._write([self._columns])

    def write(self, rows: Rows) -> None:
        columns = self._columns
        self._write([[_cell(row.get(name)) for name in columns] for row in rows])

    def close(self) -> None:
        self._file.close()

    def _write(self, cells: Sequence[Sequence[Any]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(cells)
        self._file.write(_encoded(text.getvalue()))
        self._file.flush()


class JsonSink:
    """JSON, an object on each line or one list of objects.

    Args:
        path: The file.
        lines: Whether each object has a line of its own.
    """

    def __init__(self, path: Path, *, lines: bool) -> None:
        self._file = path.open("wb")
        self._lines = lines
        self._between = "" if lines else "["

    def write(self, rows: Rows) -> None:
        """Write rows."""
        texts = map(as_json, rows)
        if self._lines:
            text = "".join(f"{row}\n" for row in texts)
        else:
            text = ",\n".join(texts)
            text, self._between = (self._between + text, ",\n") if text else ("", self._between)
        self._file.write(_encoded(text))
        self._file.flush()

    def close(self) -> None:
        """Write the end."""
        with self._file:
            if not self._lines:
                self._file.write(b"[]\n" if self._between == "[" else b"]\n")


class _ParquetSink:
    """A .parquet file can be read only when it is closed, so it is written in parts that are joined in the end."""

    def __init__(self, path: Path, schema: Any) -> None:
        self._path = path
        self._schema = schema
        self._texts = [f.name for f in schema if pyarrow().types.is_string(f.type)]
        self._tables: list[Any] = []
        self._parts: list[Path] = []
        self._writer: Any = None
        self._groups = 0

    def write(self, rows: Rows) -> None:
        pa = pyarrow()
        texts = {name: [_text(row.get(name)) for row in rows] for name in self._texts}
        try:
            columns = [pa.array(texts.get(f.name) or [row.get(f.name) for row in rows], f.type) for f in self._schema]
        except (pa.ArrowException, OverflowError) as error:
            reason = " ".join(str(error).split()).rstrip(".")
            raise DataError(f"A row does not fit into {self._path.name} ({reason}); write .jsonl instead.") from error
        self._tables.append(pa.Table.from_arrays(columns, schema=self._schema))
        held = sum(table.nbytes for table in self._tables)
        if held >= _GROUP_BYTES or sum(table.num_rows for table in self._tables) >= _GROUP:
            self._write_group()

    def close(self) -> None:
        try:
            if self._tables or not self._parts:
                self._write_group()
        finally:
            self._close_part()
        if len(self._parts) > 1:
            self._join()
        else:
            self._parts[0].replace(self._path)

    def _write_group(self) -> None:
        pa = pyarrow()
        if self._writer is None:
            self._parts.append(self._path.with_name(f"{self._path.name}.{len(self._parts):05d}.parquet"))
            self._writer = pa.parquet.ParquetWriter(self._parts[-1], self._schema)
        self._writer.write_table(pa.concat_tables(self._tables or [self._schema.empty_table()]).combine_chunks())
        self._tables.clear()
        self._groups += 1
        if self._groups % _GROUPS == 0:
            self._close_part()

    def _close_part(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _join(self) -> None:
        pq = pyarrow().parquet
        with pq.ParquetWriter(self._path, self._schema) as writer:
            for part in self._parts:
                with pq.ParquetFile(part) as file:
                    for group in range(file.num_row_groups):
                        writer.write_table(file.read_row_group(group))
        for part in self._parts:
            part.unlink()


def schema_of(found: Scan, added: Mapping[str, Sequence[Any]]) -> Any:
    """Return the Arrow schema for the rows of files and columns of ours.

    Args:
        found: What is in the files.
        added: Our columns, each with values that tell its type.

    Raises:
        DataError: A column holds values of several types; a column of a .parquet file has one.
        ConfigurationError: pyarrow is not installed.
    """
    pa = pyarrow()
    told = pa.schema([(name, _type_of(name, kinds)) for name, kinds in found.kinds.items()])
    ours = pa.schema([(name, pa.array(list(values)).type) for name, values in added.items()])
    try:
        # What has no value anywhere has no type either.
        together = pa.unify_schemas([*found.schemas, told], promote_options="permissive")
    except pa.ArrowException as error:
        raise DataError(
            f"A column changes its type between the files ({' '.join(str(error).split()).rstrip('.')}); a .parquet "
            "file cannot hold that: write .jsonl, or make the files alike."
        ) from error
    known = [f.with_type(pa.string()) if pa.types.is_null(f.type) else f for f in together]
    return pa.schema([*sorted(known, key=lambda f: found.columns.index(f.name)), *ours])


def _type_of(name: str, kinds: dict[str, str]) -> Any:
    pa = pyarrow()
    types = {"str": pa.string(), "bool": pa.bool_(), "int": pa.int64(), "float": pa.float64()}
    if not kinds:
        return pa.null()
    if kinds.keys() <= {"int", "float"}:
        return types["float" if "float" in kinds else "int"]
    if len(kinds) == 1 or kinds.keys() <= {"dict", "list"}:
        return types.get(next(iter(kinds)), pa.string())  # lists and objects are JSON there
    (one, where), (other, there) = list(kinds.items())[:2]
    raise DataError(
        f"The column {name!r} changes its type: {where} it is {one}, {there} it is {other}; a .parquet file cannot "
        "hold that: write .jsonl, or correct the rows."
    )


def as_json(value: Any) -> str:
    """Return a value as JSON; what JSON does not know, such as a date, as text."""
    return json.dumps(value, ensure_ascii=False, default=_as_text)


def _as_text(value: Any) -> str:
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str | None) else as_json(value)


def _cell(value: Any) -> Any:
    return as_json(value) if isinstance(value, dict | list) else value


def _encoded(text: str) -> bytes:
    # Half a surrogate pair, which JSON may hold, is no UTF-8; written this way it is JSON again.
    return text.encode("utf-8", "backslashreplace")
