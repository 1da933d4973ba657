"""Tables on the command line: all rows of a file, and the labels in a column."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from langchain_model_alignment.errors import ArtifactError, DataError
from langchain_model_alignment.labeling.tables import check_suffix, read_entries
from langchain_model_alignment.labeling.task import LabelValue, is_missing

__all__ = ["Rows", "about", "labels_in", "read_table"]

Rows = list[dict[str, Any]]

_MOST_LABELS = 100  # found in a column; more are rather texts or numbers


def read_table(path: Path, needed: Sequence[str] = ()) -> Rows:
    """Read all rows of a file; the cells of a .csv stay the text that they are.

    Args:
        path: The file, in UTF-8.
        needed: Columns that must be there.

    Raises:
        ArtifactError: The file or one of its rows cannot be read.
        DataError: A column is missing, or the file holds no rows.
    """
    check_suffix(path)
    rows: Rows = []
    for entry in read_entries(path):
        if entry.row is None:
            raise ArtifactError(f"{entry.place} {entry.error}; correct it.")
        rows.append(entry.row)
    if not rows:
        raise DataError(f"{path} holds no rows; give at least a few.")
    there = list(dict.fromkeys(name for row in rows for name in row))
    if missing := [name for name in needed if name not in there]:
        columns = ", ".join(there[:20]) or "none"
        raise DataError(f"{path} has no column {', '.join(map(repr, missing))}; its columns are: {columns}.")
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


@contextmanager
def about(path: Path) -> Iterator[None]:
    """Name the file in what is said of its rows."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
