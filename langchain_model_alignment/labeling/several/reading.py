"""Rows with several labels: lists out of cells, a split that spares rare labels, and the yes-or-no rows of a label."""

import json
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from langchain_model_alignment.errors import DataError, DataWarning
from langchain_model_alignment.labeling import instructions
from langchain_model_alignment.labeling.splits import set_apart
from langchain_model_alignment.labeling.task import LabelingTask, Row, Table, few, is_missing

__all__ = [
    "ANSWERS",
    "Having",
    "binary_rows",
    "binary_task",
    "fixed_labels",
    "read_several",
    "split_several",
    "values_in",
]

ANSWERS = ("yes", "no")
"""What each label's rulebook answers with: whether the row has it."""

_FEWEST = 2  # training rows with a label, and without it: of one alone nothing general can be learned

Having = dict[str, frozenset[int]]
"""For each row, by its id, the indices of the labels that it has."""


def binary_task(task: LabelingTask, label: str) -> LabelingTask:
    """Return the task of telling whether a row has one of several labels."""
    question = instructions.one_of_several(task.question, label)
    return task.model_copy(update={"label_values": ANSWERS, "task_description": question, "ordered": False})


def read_several(task: LabelingTask, data: Table, separator: str) -> tuple[list[Row], Having]:
    """Read rows whose label column holds lists.

    Args:
        task: Its `label_values` are all labels that a row may have.
        data: A data frame, or dicts.
        separator: What stands between labels in a cell that is text, but neither a JSON list nor a single label.

    Returns:
        The rows, without labels of their own, in the order of the table, and which labels they have.

    Raises:
        DataError: A column is missing, a cell is missing or names a label that there is not, or no row is there.

    Example:
        >>> task = LabelingTask(input_names=["post"], label_name="topics", label_values=["sport", "money"])
        >>> table = [{"post": "A goal!", "topics": "sport"}, {"post": "Hello", "topics": []}]
        >>> rows, having = read_several(task, table, ",")
        >>> [sorted(having[row.id]) for row in rows]
        [[0], []]
    """
    table: Any = data if hasattr(data, "columns") else [data] if isinstance(data, Mapping) else list(data)
    rows = task.read(table, labeled=False)
    if not rows:
        raise DataError("The table has no rows; give at least a few labeled ones.")
    cells = task.columns(table, labeled=True)[0][task.label_name]
    if absent := [at for at, cell in enumerate(cells) if not isinstance(cell, str) and is_missing(cell)]:
        raise DataError(
            f"{len(absent)} rows have no {task.label_name} (rows {few(absent)}, counted from 0); where no label "
            "applies write an empty list, or leave the rows out."
        )
    lists = [values_in(cell, task, separator) for cell in cells]
    found = [[task.index_of(value) for value in values] for values in lists]
    unknown = [
        (at, value)
        for at, (values, indices) in enumerate(zip(lists, found, strict=True))
        for value, index in zip(values, indices, strict=True)
        if index is None
    ]
    if unknown:
        values = list(dict.fromkeys(str(value) for _, value in unknown))
        raise DataError(
            f"The column {task.label_name!r} lists {few(values)} (first in row {unknown[0][0]}, counted from 0), but "
            f"the labels are {few(list(task.labels), 20)}; add it to label_values or correct the rows."
        )
    sets = [frozenset(index for index in indices if index is not None) for indices in found]
    return rows, {row.id: has for row, has in zip(rows, sets, strict=True)}


def values_in(cell: Any, task: LabelingTask, separator: str) -> list[Any]:
    """Return the labels in a cell: a list, tuple, set or array, a JSON list, or text with a separator.

    Example:
        >>> task = LabelingTask(input_names=["post"], label_name="topics", label_values=["sport", "tax, rent"])
        >>> [values_in(cell, task, ",") for cell in (("sport",), '["sport"]', "sport, tax", "tax, rent", "")]
        [['sport'], ['sport'], ['sport', 'tax'], ['tax, rent'], []]
    """
    if isinstance(cell, str):
        text = cell.strip()
        if task.index_of(text) is not None:
            return [text]
        if text.startswith("["):
            try:
                listed = json.loads(text)
            except ValueError:
                listed = None
            if isinstance(listed, list):
                return listed
        return [part.strip() for part in text.split(separator) if part.strip()]
    if hasattr(cell, "tolist"):  # an array, or a single number of numpy
        cell = cell.tolist()
    return list(cell) if isinstance(cell, list | tuple | set | frozenset) else [cell]


def split_several(rows: Sequence[Row], having: Having, n: int, seed: int) -> tuple[list[Row], list[Row]]:
    """Split rows into those to train on and at most `n` to validate on, by the rarest label of each row.

    So a rare label has its share on both sides, and all labels are trained and compared on the same rows.
    """
    counts = Counter(label for row in rows for label in having[row.id])
    rarest = {row.id: min(having[row.id], key=lambda label: (counts[label], label), default=-1) for row in rows}
    learning, validation = set_apart([replace(row, label=rarest[row.id]) for row in rows], n, seed)
    return [replace(row, label=None) for row in learning], [replace(row, label=None) for row in validation]


def binary_rows(rows: Sequence[Row], having: Having, label: int) -> list[Row]:
    """Return the rows as one label's rulebook learns from them: labeled with the index of its answer."""
    signs = {True: ("+", 0), False: ("-", 1)}  # the id names the answer too, so that other labels are another table
    marked = [(row, *signs[label in having[row.id]]) for row in rows]
    return [Row(f"{row.id}{sign}", row.text, answer) for row, sign, answer in marked]


def fixed_labels(task: LabelingTask, rows: Sequence[Row], having: Having) -> dict[str, bool]:
    """Return the labels that training rows cannot teach, and whether every row is given them; they are told once.

    Raises:
        DataError: No label is left to learn.
    """
    counts = [sum(index in having[row.id] for row in rows) for index in range(len(task.labels))]
    fixed = {
        label: n >= _FEWEST
        for label, n in zip(task.labels, counts, strict=True)
        if not _FEWEST <= n <= len(rows) - _FEWEST
    }
    if len(fixed) == len(counts):
        raise DataError(
            f"None of the labels can be learned from {len(rows)} training rows: each needs at least {_FEWEST} rows "
            f"that have it and {_FEWEST} that lack it."
        )
    for always, what, end in ((False, "have", "no row is given it"), (True, "lack", "every row is given it")):
        if some := [label for label, given in fixed.items() if given is always]:
            message = f"Fewer than {_FEWEST} training rows {what} {', '.join(some)}: not trained, {end}."
            warnings.warn(message, DataWarning, stacklevel=3)
    return fixed
