"""Tables on the command line: rows out of .csv, .json and .jsonl files, and back into them."""

import csv
import io
import json
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from langchain_model_alignment.artifacts import write_text
from langchain_model_alignment.errors import ArtifactError, DataError
from langchain_model_alignment.labeling.task import LabelValue

__all__ = ["Rows", "about", "check_suffix", "is_missing", "labels_in", "read_table", "write_table"]

Rows = list[dict[str, Any]]

_SUFFIXES = (".csv", ".json", ".jsonl")
_MOST_LABELS = 100  # found in a column; more are rather texts or numbers


def check_suffix(path: Path) -> None:
    """Refuse a file whose name does not say how it is written.

    Raises:
        DataError: The name ends in nothing known.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise DataError(f"{path} is no table that can be used; its name must end in {', '.join(_SUFFIXES)}.")


def read_table(path: Path, needed: Sequence[str] = ()) -> Rows:
    """Read the rows of a file; the cells of a .csv stay the text that they are.

    Args:
        path: The file, in UTF-8.
        needed: Columns that must be there.

    Raises:
        ArtifactError: The file cannot be read, or is not what its name says.
        DataError: A column is missing, or the file holds no rows.
    """
    check_suffix(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error.strerror or error}); check the path.") from error
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{path} is not UTF-8 text (byte {error.start} is odd); save it as UTF-8.") from error
    rows = _read_csv(path, text) if path.suffix.lower() == ".csv" else _read_json(path, text)
    if not rows:
        raise DataError(f"{path} holds no rows; give at least a few.")
    there = list(dict.fromkeys(name for row in rows for name in row))
    if missing := [name for name in needed if name not in there]:
        columns = ", ".join(there[:20]) or "none"
        raise DataError(f"{path} has no column {', '.join(map(repr, missing))}; its columns are: {columns}.")
    return rows


def _read_csv(path: Path, text: str) -> Rows:
    import pandas as pd

    if not text.strip():
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # cells that would be dropped
            frame = pd.read_csv(io.StringIO(text, newline=""), dtype=str, na_filter=False, index_col=False)
    except (ValueError, pd.errors.ParserError, pd.errors.ParserWarning) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise ArtifactError(f"{path} cannot be read as a .csv ({reason}); correct that line.") from error
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _read_json(path: Path, text: str) -> Rows:
    lines = path.suffix.lower() == ".jsonl"
    parts = [(f", line {n}", line) for n, line in enumerate(text.split("\n"), 1)] if lines else [("", text)]
    rows: Rows = []
    for where, part in parts:
        if not part.strip():
            continue
        try:
            value = json.loads(part)
        except (ValueError, RecursionError) as error:
            raise ArtifactError(f"{path}{where} is not JSON ({error}); correct it.") from error
        found = [value] if lines else value
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            wanted = "an object on each line" if lines else "a list of objects"
            raise ArtifactError(f"{path}{where} holds no rows; write {wanted}, from column to value.")
        rows += found
    return rows


def labels_in(rows: Rows, column: str, path: Path) -> tuple[LabelValue, ...]:
    """Return the distinct labels of a column, sorted; of several spellings the commonest.

    Raises:
        DataError: There are fewer than two, or so many that they are no labels.
    """
    counts: dict[str, Counter[Any]] = {}
    for row in rows:
        value = row.get(column)
        if isinstance(value, str):
            value = value.strip()
        if is_missing(value):
            continue
        if not isinstance(value, str | bool | int | float):
            raise DataError(
                f"{path} has a {type(value).__name__} in its column {column!r}; a label is a word or number."
            )
        counts.setdefault(str(value).casefold(), Counter())[value] += 1
    values = [max(counts[key].items(), key=lambda item: (item[1], str(item[0])))[0] for key in sorted(counts)]
    if len(values) < 2:
        there = f"only the label {values[0]!r}" if values else "no label"
        raise DataError(f"{path} holds {there} in its column {column!r}; training needs rows of two labels at least.")
    if len(values) > _MOST_LABELS:
        raise DataError(
            f"{path} holds {len(values)} different values in its column {column!r}; if they are the labels, name them "
            "with --labels."
        )
    return tuple(values)


def is_missing(value: Any) -> bool:
    """Whether a cell is empty."""
    return value is None or value != value or (isinstance(value, str) and not value.strip())


@contextmanager
def about(path: Path) -> Iterator[None]:
    """Name the file in what is said of its rows."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def write_table(path: Path, rows: Rows) -> Path:
    """Write rows, whole or not at all; an empty cell is None.

    Raises:
        ArtifactError: The file cannot be written.
    """
    if path.suffix.lower() == ".csv":
        names = list(dict.fromkeys(name for row in rows for name in row))
        out = io.StringIO(newline="")
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
        text = out.getvalue()
    else:
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        by_line = path.suffix.lower() == ".jsonl"
        text = "".join(f"{line}\n" for line in lines) if by_line else "[" + ",\n".join(lines) + "]\n"
    # Half a surrogate pair, which JSON may hold, is no UTF-8; written this way it is JSON again.
    return write_text(path, text.encode("utf-8", "backslashreplace").decode("utf-8"))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
