"""Rows out of what a person has at hand: a list of dicts, a DataFrame, a .csv or a .jsonl file."""

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from langchain_model_alignment.errors import ArtifactError, DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Rows", "Table", "columns_of", "read_rows"]

Rows = list[dict[str, Any]]
Table = Union[Iterable[Mapping[str, Any]], "pd.DataFrame", str, os.PathLike[str]]


def read_rows(source: Table) -> Rows:
    """Return the rows of a table; an empty cell is None.

    Args:
        source: Dicts, a DataFrame, or the path of a .csv or .jsonl file in UTF-8.

    Raises:
        ArtifactError: The file cannot be read, or is not what its name says.
        DataError: There are no rows, or a row is no dict.

    Example:
        >>> read_rows([{"response": "Cut paper.", "rating": " "}])
        [{'response': 'Cut paper.', 'rating': None}]
    """
    found: Iterable[Any]
    if isinstance(source, str | os.PathLike):
        found = _read_file(Path(source))
    elif hasattr(source, "to_dict"):
        found = source.to_dict("records")
    else:
        found = source
    rows: Rows = []
    for number, row in enumerate(found, 1):
        if not isinstance(row, Mapping):
            raise DataError(f"Row {number} is a {type(row).__name__}; give a dict from column to value.")
        rows.append({str(name): _cell(value) for name, value in row.items()})
    if not rows:
        raise DataError("The table holds no rows; give at least one.")
    return rows


def columns_of(rows: Rows) -> list[str]:
    """Return the names of all columns, in order of appearance.

    Example:
        >>> columns_of([{"a": 1}, {"b": 2, "a": 3}])
        ['a', 'b']
    """
    return list(dict.fromkeys(name for row in rows for name in row))


def _cell(value: Any) -> Any:
    """A value as plain Python has it; None for what pandas calls missing."""
    if isinstance(value, str):
        return value if value.strip() else None
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    is_scalar = hasattr(value, "item") and getattr(value, "ndim", None) == 0
    return value.item() if is_scalar else value


def _read_file(path: Path) -> Rows:
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".jsonl"):
        raise DataError(f"{path} is no table that can be read; its name must end in .csv or .jsonl.")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error.strerror or error}); check the path.") from error
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{path} is not UTF-8 text (byte {error.start} is odd); save it as UTF-8.") from error
    return _read_csv(path, text) if suffix == ".csv" else _read_jsonl(path, text)


def _read_csv(path: Path, text: str) -> Rows:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    rows: Rows = []
    try:
        for row in reader:
            if None in row:
                raise DataError(
                    f"{path}, line {reader.line_num} has more cells than the header; put a cell with commas in quotes."
                )
            rows.append(dict(row))
    except csv.Error as error:
        raise ArtifactError(
            f"{path}, line {reader.line_num} cannot be read as a .csv ({error}); correct that line."
        ) from error
    return rows


def _read_jsonl(path: Path, text: str) -> Rows:
    rows: Rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ArtifactError(f"{path}, line {number} is not JSON ({error}); correct it.") from error
        if not isinstance(row, dict):
            raise ArtifactError(f"{path}, line {number} is no row; write an object on each line, from column to value.")
        rows.append(row)
    return rows
