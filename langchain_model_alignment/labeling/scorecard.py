"""How good predictions are: accuracy, F1, Cohen's kappa, how far off ordered labels are, or a function of yours."""

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from langchain_model_alignment.errors import DataError
from langchain_model_alignment.labeling.task import LabelingTask

__all__ = [
    "METRICS",
    "ORDERED_METRICS",
    "Metric",
    "MetricName",
    "Scorecard",
    "distance_text",
    "make_metric",
    "make_scorecard",
]

MetricName = Literal["accuracy", "f1", "f1_binary", "balanced_accuracy", "kappa", "quadratic_kappa", "mae"]
Metric = Callable[[Sequence[int], Sequence[int]], float]
"""True and predicted label indices, -1 for an abstention, to a number that is better when it is higher."""
ORDERED_METRICS = ("quadratic_kappa", "mae")
"""For ordered labels only. `mae` is the mean absolute error times -1, since what is higher is taken for better."""
METRICS = ("accuracy", "f1", "f1_binary", "balanced_accuracy", "kappa", *ORDERED_METRICS)


class Scorecard(TypedDict):
    """How good predictions are; plain JSON. An abstention counts as wrong."""

    precision: list[float]
    """One for each label, in the order of `labels`; likewise the next three."""
    recall: list[float]
    fscore: list[float]
    support: list[int]
    labels: list[str]
    n: int
    n_empty: int
    """Abstentions, failed rows among them."""
    n_errors: int
    """Rows whose call failed."""
    accuracy: float
    accuracy_interval: list[float]
    """95% confidence, by Wilson's formula."""
    f1: float
    """Macro-averaged over the labels that occur."""
    balanced_accuracy: float
    kappa: float
    confusion: list[list[int]]
    """Rows: true labels. Columns: predicted labels, and abstentions last."""
    mean_absolute_error: NotRequired[float]
    """Only for ordered labels: in steps of their order. An abstention counts as the label farthest from the right one,
    here and in the next one."""
    quadratic_kappa: NotRequired[float]
    """Only for ordered labels: Cohen's kappa, with disagreements weighted by the square of their steps."""


def make_metric(score_fn: MetricName | str | Callable[..., float], task: LabelingTask, pos_label: Any = None) -> Metric:
    """Return the function that rulebooks are compared by.

    Args:
        score_fn: One of `METRICS`, or a function of the true and the predicted label values, "" for abstentions.
        task: What is labeled.
        pos_label: For `f1_binary`: the label whose F1 counts; the first one by default.

    Raises:
        DataError: The name is unknown, `pos_label` is no label, or the metric needs labels in order and they have none.
    """
    if callable(score_fn):
        values: list[Any] = [*task.label_values, ""]
        return lambda true, given: float(score_fn([values[i] for i in true], [values[i] for i in given]))
    if score_fn not in METRICS:
        raise DataError(f"There is no metric {score_fn!r}; take one of {', '.join(METRICS)}, or give a function.")
    if score_fn in ORDERED_METRICS and not task.ordered:
        raise DataError(f"The metric {score_fn} needs labels in order; list them in order and say ordered=True.")
    n = len(task.labels)
    if score_fn == "accuracy":
        return accuracy
    if score_fn == "mae":
        return lambda true, given: -_mean_absolute_error(true, given, n)
    if score_fn == "quadratic_kappa":
        return lambda true, given: _kappa(true, _farthest(true, given, n), range(n), "quadratic")
    labels = list(range(n))
    index = 0 if pos_label is None else task.index_of(pos_label)
    if index is None:
        raise DataError(f"pos_label is {pos_label!r}, but the labels are: {', '.join(task.labels)}.")

    def metric(true: Sequence[int], given: Sequence[int]) -> float:
        m = _sklearn()
        seen = sorted(set(true))
        if score_fn == "balanced_accuracy":
            return float(m.recall_score(true, given, labels=seen, average="macro", zero_division=0))
        if score_fn == "kappa":
            return _kappa(true, given, [*labels, -1])
        chosen = [index] if score_fn == "f1_binary" else seen
        return float(m.f1_score(true, given, labels=chosen, average="macro", zero_division=0))

    return metric


def accuracy(true: Sequence[int], given: Sequence[int]) -> float:
    """Return the share of equal pairs; 0 of none."""
    return sum(t == g for t, g in zip(true, given, strict=True)) / len(true) if true else 0.0


def make_scorecard(task: LabelingTask, true: Sequence[int], given: Sequence[int], n_errors: int = 0) -> Scorecard:
    """Score predictions.

    Args:
        task: What was labeled.
        true: Index of each row's label.
        given: Index of each prediction, -1 for an abstention.
        n_errors: How many rows failed.

    Returns:
        The scorecard.

    Example:
        >>> task = LabelingTask(input_names=["x"], label_name="y", label_values=["a", "b"])
        >>> card = make_scorecard(task, [0, 0, 1, 1], [0, 1, 1, -1])
        >>> card["accuracy"], card["confusion"], card["n_empty"]
        (0.5, [[1, 1, 0], [0, 1, 1]], 1)
    """
    m, labels = _sklearn(), list(range(len(task.labels)))
    precision, recall, fscore, support = m.precision_recall_fscore_support(
        true, given, labels=labels, average=None, zero_division=0
    )
    matrix = m.confusion_matrix(true, given, labels=[*labels, -1])[:-1]
    right = sum(t == g for t, g in zip(true, given, strict=True))
    card: Scorecard = {
        "precision": [float(value) for value in precision],
        "recall": [float(value) for value in recall],
        "fscore": [float(value) for value in fscore],
        "support": [int(value) for value in support],
        "labels": list(task.labels),
        "n": len(true),
        "n_empty": sum(g < 0 for g in given),
        "n_errors": n_errors,
        "accuracy": accuracy(true, given),
        "accuracy_interval": list(interval(right, len(true))),
        "f1": make_metric("f1", task)(true, given),
        "balanced_accuracy": make_metric("balanced_accuracy", task)(true, given),
        "kappa": make_metric("kappa", task)(true, given),
        "confusion": [[int(value) for value in row] for row in matrix],
    }
    if task.ordered:
        card["mean_absolute_error"] = _mean_absolute_error(true, given, len(labels))
        card["quadratic_kappa"] = make_metric("quadratic_kappa", task)(true, given)
    return card


def distance_text(card: Scorecard) -> str:
    """Return how far off ordered labels are, in words; nothing where they have no order.

    Example:
        >>> task = LabelingTask(input_names=["x"], label_name="y", label_values=[1, 2, 3], ordered=True)
        >>> distance_text(make_scorecard(task, [0, 1, 2, 2], [0, 1, 2, 1]))
        'mean absolute error 0.250 of 2 steps, quadratic kappa 0.800'
    """
    if "mean_absolute_error" not in card or "quadratic_kappa" not in card:
        return ""
    steps, kappa = len(card["labels"]) - 1, card["quadratic_kappa"]
    return f"mean absolute error {card['mean_absolute_error']:.3f} of {steps} steps, quadratic kappa {kappa:.3f}"


def interval(right: int, n: int) -> tuple[float, float]:
    """Return the 95% confidence interval of a share (Wilson 1927).

    Example:
        >>> [round(end, 3) for end in interval(75, 100)]
        [0.657, 0.825]
    """
    if not n:
        return 0.0, 1.0
    z, share = 1.959964, right / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def _farthest(true: Sequence[int], given: Sequence[int], n: int) -> list[int]:
    """Predictions with each abstention as the label farthest from the right one: not to answer must never pay."""
    return [g if g >= 0 else 0 if t > n - 1 - t else n - 1 for t, g in zip(true, given, strict=True)]


def _mean_absolute_error(true: Sequence[int], given: Sequence[int], n: int) -> float:
    return float(_sklearn().mean_absolute_error(true, _farthest(true, given, n))) if true else float(n - 1)


def _kappa(true: Sequence[int], given: Sequence[int], labels: Sequence[int], weights: str | None = None) -> float:
    if len({*true, *given}) < 2:  # undefined: nothing but chance can agree on one label
        return 0.0
    found = float(_sklearn().cohen_kappa_score(true, given, labels=list(labels), weights=weights))
    return 0.0 if math.isnan(found) else found


@cache
def _sklearn() -> Any:
    from sklearn import metrics

    return metrics
