"""A file as a table to train on: all its rows at once, and the labels in a column."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from langchain_model_alignment.errors import ArtifactError, DataError
from langchain_model_alignment.labeling.tables import check_suffix, read_entries
from langchain_model_alignment.labeling.task import LabelValue, is_missing

__all__ = ["Rows", "about", "balance_of", "labels_in", "read_table"]

Rows = list[dict[str, Any]]

_MOST_LABELS = 100  # found in a column; more are rather texts or numbers


def read_table(path: Path, needed: Sequence[str] = ()) -> Rows:
    """Read all rows of a file; the cells of a .csv stay the text that they are.

    Args:
        path: The file, in UTF-8.
        needed: Columns that must be there; the others are left out, so that a large file takes no more room than it
            has to. All columns, when absent.

    Raises:
        ArtifactError: The file or one of its rows cannot be read.
        DataError: A column is missing, or the file holds no rows.
    """
    check_suffix(path)
    rows: Rows = []
    there: dict[str, None] = {}
    for entry in read_entries(path):
        if entry.row is None:
            raise ArtifactError(f"{entry.place} {entry.error}; correct it.")
        there.update(dict.fromkeys(entry.row))
        rows.append({name: entry.row[name] for name in needed if name in entry.row} if needed else entry.row)
    if not rows:
        raise DataError(f"{path} holds no rows; give at least a few.")
    if missing := [name for name in needed if name not in there]:
        columns = ", ".join(list(there)[:20]) or "none"
        raise DataError(f"{path} has no column {', '.join(map(repr, missing))}; its columns are: {columns}.")
    return rows


def labels_in(rows: Iterable[Mapping[str, Any]], column: str, path: Path) -> tuple[LabelValue, ...]:
    """Return the distinct labels of a column, sorted; of several spellings the commonest.

    Raises:
        DataError: There are fewer than two, or so many that they are no labels.
    """
    return tuple(label for label, _ in balance_of(rows, column, path))


def balance_of(rows: Iterable[Mapping[str, Any]], column: str, path: Path) -> list[tuple[LabelValue, int]]:
    """Return the labels of a column, as `labels_in` does, with how many rows each has.

    Args:
        rows: The rows, each read once.
        column: The column.
        path: The file that they are from, for what is said of them.

    Raises:
        DataError: There are fewer than two labels, or so many that they are none.
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
        if len(counts) > _MOST_LABELS:
            raise DataError(
                f"{path} holds more than {_MOST_LABELS} different values in its column {column!r}; if they are the "
                "labels, name them (--labels on the command line)."
            )
    spelled = [
        (max(counts[key].items(), key=lambda item: (item[1], str(item[0])))[0], counts[key].total())
        for key in sorted(counts)
    ]
    if len(spelled) < 2:
        there = f"only the label {spelled[0][0]!r}" if spelled else "no label"
        raise DataError(f"{path} holds {there} in its column {column!r}; training needs rows of two labels at least.")
    return spelled


@contextmanager
def about(path: Path) -> Iterator[None]:
    """Name the file in what is said of its rows."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
