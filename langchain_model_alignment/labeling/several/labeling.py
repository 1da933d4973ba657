"""The rulebooks of several labels at work: each row is asked about once for every label."""

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from typing_extensions import TypedDict

from langchain_model_alignment.calls import Caller
from langchain_model_alignment.gathering import gather_from
from langchain_model_alignment.labeling.classifier import Classifier, Labeled, check_some_taken
from langchain_model_alignment.labeling.several.rulebook import MultiLabelRulebook
from langchain_model_alignment.labeling.task import Row

__all__ = ["MultiLabelPrediction", "label_several"]

_YES = 0  # the index of "yes" among the answers


class MultiLabelPrediction(TypedDict):
    """What the rulebooks say of one row."""

    prediction: list[Any]
    """Its labels, the very values from `label_values`, in their order."""
    confidences: dict[str, float | None]
    """For each label the probability that the row has it, from 0 to 1; None where no log probabilities tell it."""
    undecided: list[Any]
    """Labels of which the model said nothing readable or nothing sure enough, or whose call failed."""
    principle_ids: dict[str, list[str]]
    """For each label the principles of its rulebook that decided, where they were asked for."""
    raw_predictions: dict[str, str]
    """For each label what the model answered."""
    errors: dict[str, str]
    """For each label whose call failed, what went wrong."""


async def label_several(
    book: MultiLabelRulebook,
    caller: Caller,
    rows: Sequence[Row],
    config: RunnableConfig | None = None,
    *,
    explain: bool = False,
    threshold: float | None = None,
) -> list[MultiLabelPrediction]:
    """Tell the labels of rows; the calls for one label's rulebook run together.

    Raises:
        AlignmentError: The key is wrong, the budget is spent, or the model refused every single request as it stands.
    """
    classifiers = {
        label: Classifier(caller, book.rulebooks[label], explain=explain, threshold=threshold)
        for label in book.task.labels
        if label in book.rulebooks
    }
    asked = [(label, at) for label in classifiers for at in range(len(rows))]
    found = await gather_from(
        asked, lambda pair: classifiers[pair[0]].label(rows[pair[1]].text, config), caller.gate.max_concurrency
    )
    check_some_taken(found)
    said: list[dict[str, Labeled]] = [{} for _ in rows]
    for (label, at), labeled in zip(asked, found, strict=True):
        said[at][label] = labeled
    return [_prediction(book, classifiers, answers) for answers in said]


def _prediction(
    book: MultiLabelRulebook, classifiers: Mapping[str, Classifier], said: dict[str, Labeled]
) -> MultiLabelPrediction:
    values = dict(zip(book.task.labels, book.task.label_values, strict=True))
    return {
        "prediction": [
            value
            for label, value in values.items()
            if (said[label].label == _YES if label in said else book.fixed[label])
        ],
        "confidences": {label: _share(classifiers.get(label), said.get(label)) for label in values},
        "undecided": [values[label] for label, labeled in said.items() if labeled.label is None],
        "principle_ids": {label: list(labeled.principle_ids) for label, labeled in said.items()},
        "raw_predictions": {label: labeled.raw for label, labeled in said.items()},
        "errors": {label: labeled.error for label, labeled in said.items() if labeled.error is not None},
    }


def _share(classifier: Classifier | None, labeled: Labeled | None) -> float | None:
    shares = None if classifier is None or labeled is None else classifier.shares(labeled)
    return None if shares is None else shares[_YES]
