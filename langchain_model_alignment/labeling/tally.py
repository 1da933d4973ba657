"""What was found over many rows, counted as they pass."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from langchain_model_alignment.labeling.classifier import Labeled
from langchain_model_alignment.labeling.scorecard import Scorecard, make_scorecard
from langchain_model_alignment.labeling.task import LabelingTask, is_missing

__all__ = ["Tally"]

_REMEMBERED = 1_000  # values of the label column whose label is known


class Tally:
    """Counts labels, failures, and what is right where a row has its label already.

    Attributes:
        rows: Rows counted.
        labels: How many rows got each label.
        abstained: Rows that got none, because the model was not sure or not readable.
        failures: Rows whose call failed, by the kind of error.
        first_error: What went wrong first.
        unknown: Rows whose own label is none of the task's.

    Example:
        >>> tally = Tally(LabelingTask(input_names=["x"], label_name="y", label_values=["a", "b"]))
        >>> for own, found in ((" A", 0), ("b", 0), ("", 1), ("c", None)):
        ...     tally.add({"y": own}, Labeled(found))
        >>> tally.labels, tally.abstained, tally.unknown, tally.scorecard()["accuracy"]
        ({'a': 2, 'b': 1}, 1, 1, 0.5)
    """

    def __init__(self, task: LabelingTask) -> None:
        self.rows = self.abstained = self.unknown = 0
        self.failures: Counter[str] = Counter()
        self.first_error: str | None = None
        self._task = task
        self._names = task.labels
        self._found: Counter[int] = Counter()
        self._pairs: Counter[tuple[int, int]] = Counter()
        self._wrong_calls = 0
        self._known: dict[str, int | None] = {}

    def add(self, row: Mapping[str, Any], found: Labeled) -> None:
        """Count a row."""
        self.rows += 1
        if found.label is not None:
            self._found[found.label] += 1
        elif found.error is None:
            self.abstained += 1
        if found.error is not None:
            self.failures[found.kind] += 1
            self.first_error = self.first_error or found.error
        own = row.get(self._task.label_name)
        if is_missing(own):
            return
        true = self._index_of(own)
        if true is None:
            self.unknown += 1
            return
        self._pairs[true, -1 if found.label is None else found.label] += 1
        self._wrong_calls += found.error is not None

    @property
    def labels(self) -> dict[str, int]:
        """How many rows got each label, the most frequent first."""
        return {self._names[index]: n for index, n in self._found.most_common()}

    def scorecard(self) -> Scorecard | None:
        """Return how good the labels are; None where no row has its own."""
        if not self._pairs:
            return None
        import numpy as np

        counts = list(self._pairs.values())
        true, given = (np.repeat([pair[side] for pair in self._pairs], counts).tolist() for side in (0, 1))
        return make_scorecard(self._task, true, given, self._wrong_calls)

    def _index_of(self, value: Any) -> int | None:
        key = repr(value)  # a list is no key, and True is the same key as 1
        if key in self._known:
            return self._known[key]
        index = self._task.index_of(value)
        if len(self._known) < _REMEMBERED:
            self._known[key] = index
        return index
