"""How good lists of labels are."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from typing_extensions import TypedDict

from langchain_model_alignment.errors import DataError
from langchain_model_alignment.labeling.scorecard import interval
from langchain_model_alignment.labeling.several.labeling import MultiLabelPrediction
from langchain_model_alignment.labeling.task import LabelingTask

if TYPE_CHECKING:
    import numpy as np

__all__ = ["MultiLabelScorecard", "make_multi_label_scorecard", "scorecard_of"]


class MultiLabelScorecard(TypedDict):
    """How good lists of labels are; plain JSON. Where a label was left undecided, that decision counts as wrong."""

    subset_accuracy: float
    """The share of rows whose list is right as a whole."""
    subset_accuracy_interval: list[float]
    """95% confidence, by Wilson's formula."""
    micro_f1: float
    """Over all decisions together."""
    macro_f1: float
    """The mean over the labels that occur."""
    hamming_loss: float
    """The share of decisions, one for each row and label, that are wrong."""
    precision: list[float]
    """One for each label, in the order of `labels`; likewise the next three."""
    recall: list[float]
    fscore: list[float]
    support: list[int]
    """Rows that have the label."""
    labels: list[str]
    n: int
    n_undecided: int
    """Decisions that were not made, failed calls among them."""
    n_errors: int
    """Decisions whose call failed."""


def make_multi_label_scorecard(
    task: LabelingTask,
    true: Sequence[Collection[int]],
    given: Sequence[Collection[int]],
    undecided: Sequence[Collection[int]] = (),
    n_errors: int = 0,
) -> MultiLabelScorecard:
    """Score lists of labels.

    Args:
        task: What was labeled.
        true: The indices of each row's labels.
        given: The indices of the labels that it was given.
        undecided: The indices of the labels that were left undecided; none by default.
        n_errors: How many calls failed.

    Example:
        >>> task = LabelingTask(input_names=["post"], label_name="topics", label_values=["sport", "money"])
        >>> card = make_multi_label_scorecard(task, [{0}, {0, 1}, set(), {1}], [{0}, {0}, set(), {1}])
        >>> card["subset_accuracy"], card["hamming_loss"], card["recall"]
        (0.75, 0.125, [1.0, 0.5])
    """
    import numpy as np
    from sklearn import metrics

    labels = list(range(len(task.labels)))
    right = _table(true, len(labels))
    said = np.where(_table(undecided or [()] * len(true), len(labels)), ~right, _table(given, len(labels)))
    precision, recall, fscore, support = metrics.precision_recall_fscore_support(
        right, said, labels=labels, average=None, zero_division=0
    )
    whole = int((right == said).all(axis=1).sum())
    occurring = [label for label in labels if support[label]]
    return {
        "subset_accuracy": whole / len(true) if true else 0.0,
        "subset_accuracy_interval": list(interval(whole, len(true))),
        "micro_f1": float(metrics.f1_score(right, said, average="micro", zero_division=0)),
        "macro_f1": float(np.mean(fscore[occurring])) if occurring else 0.0,
        "hamming_loss": float(metrics.hamming_loss(right, said)),
        "precision": [float(value) for value in precision],
        "recall": [float(value) for value in recall],
        "fscore": [float(value) for value in fscore],
        "support": [int(value) for value in support],
        "labels": list(task.labels),
        "n": len(true),
        "n_undecided": sum(len(some) for some in undecided),
        "n_errors": n_errors,
    }


def scorecard_of(
    task: LabelingTask, true: Sequence[Collection[int]], predictions: Sequence[MultiLabelPrediction]
) -> MultiLabelScorecard:
    """Score predictions against the indices of each row's labels.

    Raises:
        DataError: A prediction names a label that there is not.
    """
    given = [_indices(task, p["prediction"]) for p in predictions]
    undecided = [_indices(task, p["undecided"]) for p in predictions]
    return make_multi_label_scorecard(task, true, given, undecided, sum(len(p["errors"]) for p in predictions))


def _indices(task: LabelingTask, values: Sequence[Any]) -> list[int]:
    indices = []
    for value in values:
        index = task.index_of(value)
        if index is None:
            raise DataError(f"A prediction holds {value!r}, but the labels are: {', '.join(task.labels)}.")
        indices.append(index)
    return indices


def _table(lists: Sequence[Collection[int]], n: int) -> "np.ndarray[Any, Any]":
    """A truth value for each row and label."""
    import numpy as np

    table = np.zeros((len(lists), n), dtype=bool)
    for at, some in enumerate(lists):
        table[at, list(some)] = True
    return table
