"""What labeling adds to a row of a file: the same values of the same types wherever the row is labeled and written."""

from collections.abc import Sequence
from typing import Any

from langchain_model_alignment.labeling.classifier import Labeled
from langchain_model_alignment.labeling.task import LabelingTask

__all__ = ["ADDED", "cells_of", "flat", "samples_of", "written_labels"]

ADDED = ("prediction", "confidence", "principle_ids", "error")
"""The columns that labeling adds."""

_DIGITS = 6  # of a confidence


def written_labels(task: LabelingTask) -> Sequence[Any]:
    """Return the labels as files hold them: as they are, or as text where they are of several kinds.

    Example:
        >>> mixed = LabelingTask(input_names=["x"], label_name="y", label_values=[True, "unsure"])
        >>> written_labels(mixed), written_labels(mixed.model_copy(update={"label_values": (1, 0.5)}))
        (('True', 'unsure'), (1, 0.5))
    """
    kinds = {type(value) for value in task.label_values}
    return task.label_values if len(kinds) == 1 or kinds == {int, float} else task.labels


def samples_of(task: LabelingTask) -> dict[str, Sequence[Any]]:
    """Return the columns that labeling adds, each with values that tell its type."""
    return dict(zip(ADDED, (written_labels(task), [0.5], [["p1"]], [""]), strict=True))


def cells_of(labels: Sequence[Any], found: Labeled) -> dict[str, Any]:
    """Return what was found for a row as the columns that labeling adds.

    Args:
        labels: The labels as files hold them.
        found: What was found.

    Example:
        >>> cells_of(["a", "b"], Labeled(1, confidence=0.123456789))
        {'prediction': 'b', 'confidence': 0.123457, 'principle_ids': [], 'error': None}
    """
    return {
        "prediction": None if found.label is None else labels[found.label],
        "confidence": None if found.confidence is None else round(found.confidence, _DIGITS),
        "principle_ids": list(found.principle_ids),
        # A provider may send half a surrogate pair, which a .parquet file cannot hold.
        "error": found.error and found.error.encode("utf-8", "replace").decode(),
    }


def flat(principle_ids: Sequence[str]) -> str:
    """Return principles as the one cell that a .csv has for them."""
    return " ".join(principle_ids)
