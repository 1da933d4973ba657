"""Which rows are set apart, and in which order: stratified, by a hash of the seed and the row, never by position."""

import hashlib
import warnings
from collections import Counter
from collections.abc import Sequence

from langchain_model_alignment.constitution import digest
from langchain_model_alignment.errors import DataError, DataWarning
from langchain_model_alignment.labeling.task import LabelingTask, Row

__all__ = ["at_most", "blocks_of", "data_fingerprint", "set_apart", "stratified", "without_shared"]

_MOST_SHARE = 0.3


def stratified(rows: Sequence[Row], seed: int, purpose: str) -> list[Row]:
    """Return the rows in an order in which every beginning has the labels in about the same shares.

    Args:
        rows: Labeled rows.
        seed: Another seed gives another order.
        purpose: Another purpose does too, so that two samples of one table are independent.

    Example:
        >>> rows = [Row(str(i), "", i % 2) for i in range(100)]
        >>> sum(row.label for row in stratified(rows, 0, "blocks")[:10])
        5
    """
    by_label: dict[int | None, list[tuple[str, Row]]] = {}
    for row in rows:
        key = hashlib.sha256(f"{seed}\0{purpose}\0{row.id}".encode()).hexdigest()
        by_label.setdefault(row.label, []).append((key, row))
    placed = []
    for members in by_label.values():
        members.sort()
        placed += [((at + 0.5) / len(members), key, row) for at, (key, row) in enumerate(members)]
    return [row for _, _, row in sorted(placed, key=lambda item: item[:2])]


def set_apart(rows: Sequence[Row], n: int, seed: int) -> tuple[list[Row], list[Row]]:
    """Split rows into those to train on and at most `n` (and at most 30%) to validate on.

    Every label keeps a row to train on. Equal rows stay together, so that none is on both sides.

    Returns:
        The rows to train on, in the order given, and the rows to validate on.
    """
    n = min(n, int(len(rows) * _MOST_SHARE))
    left = Counter(row.label for row in rows)
    twins: dict[str, list[Row]] = {}
    for row in rows:
        twins.setdefault(row.text, []).append(row)
    chosen: set[str] = set()
    taken = 0
    for row in stratified(rows, seed, "validation"):
        leaving = Counter(twin.label for twin in twins[row.text])
        if row.text in chosen or taken + leaving.total() > n or any(left[label] <= leaving[label] for label in leaving):
            continue
        chosen.add(row.text)
        taken += leaving.total()
        left -= leaving
    return [row for row in rows if row.text not in chosen], [row for row in rows if row.text in chosen]


def without_shared(training: Sequence[Row], validation: Sequence[Row]) -> list[Row]:
    """Return the validation rows that are not among the training rows, saying so once where some are.

    Raises:
        DataError: All of them are.
    """
    known = {row.text for row in training}
    kept = [row for row in validation if row.text not in known]
    if len(kept) < len(validation):
        n = len(validation) - len(kept)
        if not kept:
            raise DataError(f"All {n} validation rows are among the training rows; give other ones to validate on.")
        message = f"{n} validation rows are among the training rows and were left out of validation."
        warnings.warn(message, DataWarning, stacklevel=4)
    return kept


def at_most(n: int | None, validation: Sequence[Row], seed: int) -> list[Row]:
    """Return so many of the validation rows, the labels in their shares, saying so once where some are left out."""
    if n is None or n >= len(validation):
        return list(validation)
    message = f"Rulebooks are compared on {n} of the {len(validation)} validation rows; a larger budget pays for more."
    warnings.warn(message, DataWarning, stacklevel=4)
    return stratified(validation, seed, "blocks")[:n]


def check_labels(task: LabelingTask, rows: Sequence[Row]) -> None:
    """Refuse training rows that lack a label altogether.

    Raises:
        DataError: A label of the task has no row.
    """
    there = {row.label for row in rows}
    missing = [label for index, label in enumerate(task.labels) if index not in there]
    if missing:
        raise DataError(
            f"The training rows hold no example of {', '.join(missing)}; add some, or take it out of label_values."
        )


def blocks_of(n: int, size: int) -> list[int]:
    """Return the ends of the blocks that `n` validation rows are raced over: each as large as all before it.

    Example:
        >>> blocks_of(200, 50), blocks_of(90, 25)
        ([50, 100, 200], [25, 50, 90])
    """
    ends: list[int] = []
    end = min(size, n)
    while end < n:
        ends.append(end)
        end = min(2 * end, n)
    if ends and n - ends[-1] < size // 2:  # a small rest belongs to the block before it
        ends.pop()
    return [*ends, n]


def data_fingerprint(*tables: Sequence[Row]) -> str:
    """Return a hash of the rows of some tables, whatever their order."""
    return digest([sorted(row.id for row in rows) for rows in tables])
