"""What people add to a run while it trains: principles to try, and rows whose labels they gave or corrected."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from langchain_model_alignment.constitution import Add, Value
from langchain_model_alignment.errors import DataError
from langchain_model_alignment.labeling.proposers import Proposal
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.task import LabelingTask, LabelValue, Row, few

__all__ = ["TRIED", "Additions", "Correction", "Suggestion", "check_suggestion", "suggested"]

TRIED = "was tried already"
"""Why a principle that a person suggests is not put up."""


class Suggestion(Value):
    """A principle that a person wants to have tried; their words are what is tried.

    Example:
        >>> Suggestion(label="spam", text="It offers something for sale.").reason
        ''
    """

    label: str
    """The label that it speaks for, as text."""
    text: str
    """The principle."""
    row: str = ""
    """The id of the training row that it was said of."""
    reason: str = ""
    """Why, in the person's words."""


class Correction(Value):
    """A row with the label that a person gave it."""

    inputs: dict[str, Any]
    """The task's inputs, by column."""
    label: LabelValue


class Additions(Value):
    """Everything that people added to a run, in the order in which they did; it is only ever added to.

    Example:
        >>> task = LabelingTask(input_names=["text"], label_name="spam", label_values=["yes", "no"])
        >>> more = Additions(corrections=(Correction(inputs={"text": "Buy now"}, label="yes"),))
        >>> [(row.text, row.label) for row in more.rows(task)]
        [('text: Buy now', 0)]
    """

    version: Literal[1] = 1
    suggestions: tuple[Suggestion, ...] = ()
    corrections: tuple[Correction, ...] = ()

    def suggesting(self, suggestion: Suggestion) -> "Additions":
        """Return them with one more principle to try."""
        return self.model_copy(update={"suggestions": (*self.suggestions, suggestion)})

    def correcting(self, *corrections: Correction) -> "Additions":
        """Return them with more corrected rows."""
        return self.model_copy(update={"corrections": (*self.corrections, *corrections)})

    def rows(self, task: LabelingTask) -> list[Row]:
        """Return the corrected rows.

        Raises:
            DataError: One lacks an input, or has a label that is none of the task's.
        """
        table = [{**given.inputs, task.label_name: given.label} for given in self.corrections]
        return task.read(table) if table else []


def check_suggestion(suggestion: Suggestion, labels: Sequence[str]) -> Suggestion:
    """Return a suggestion that can be tried.

    Raises:
        DataError: It has no words, or its label is none of the task's.
    """
    if not suggestion.text.strip():
        raise DataError("The principle is empty; say in a sentence what is true of such rows.")
    if suggestion.label not in labels:
        raise DataError(f"{suggestion.label!r} is no label of this task; its labels are: {few(list(labels), 20)}.")
    return suggestion


def suggested(
    rulebook: Rulebook, suggestions: Iterable[Suggestion], known: set[str]
) -> tuple[list[tuple[Proposal, Rulebook]], list[str]]:
    """Put up the principles that people suggested, each by itself and as it was said; the race judges them.

    Args:
        rulebook: What they are added to.
        suggestions: The suggestions.
        known: Fingerprints of rulebooks that were tried already; what is put up is added.

    Returns:
        Each suggestion put up with the rulebook that it makes, and why the others were not, a line each.
    """
    kept: list[tuple[Proposal, Rulebook]] = []
    refused: list[str] = []
    for said in suggestions:
        evidence = (said.row,) if said.row else ()
        add = Add(text=said.text, label=said.label, evidence=evidence, reason=said.reason or "a person said so")
        after = rulebook.apply([add])
        if after.fingerprint() in known:
            refused.append(f"{TRIED}: {said.text}")
            continue
        known.add(after.fingerprint())
        kept.append((Proposal((add,), add.reason, evidence), after))
    return kept, refused
