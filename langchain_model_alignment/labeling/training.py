"""What a training run works with: the models, the rows and the settings, closed over by every step."""

import math
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from langchain_core.runnables import RunnableConfig

from langchain_model_alignment.calls import Caller
from langchain_model_alignment.constitution import digest
from langchain_model_alignment.errors import DataError, DataWarning
from langchain_model_alignment.gate import Gate
from langchain_model_alignment.labeling.additions import Suggestion
from langchain_model_alignment.labeling.calibration import (
    FEW_LABELS,
    Calibration,
    fit_calibration,
    owners_by_rows,
)
from langchain_model_alignment.labeling.classifier import Classifier, Labeled, label_rows, scoring_for
from langchain_model_alignment.labeling.describing import DESCRIPTIONS
from langchain_model_alignment.labeling.proposers import Proposer
from langchain_model_alignment.labeling.records import TrainingHyperparameters
from langchain_model_alignment.labeling.rulebook import Layout, Rulebook
from langchain_model_alignment.labeling.scorecard import Metric
from langchain_model_alignment.labeling.splits import blocks_of, data_fingerprint, stratified
from langchain_model_alignment.labeling.task import LabelingTask, Row
from langchain_model_alignment.usage import Usage

__all__ = ["Training"]

_READABLE = 0.9  # of the calibration rows; an answer that is none counts as an abstention
# Nats that a checklist may be worse on the rows it is tried on. They are few, and it has more to fit than the question
# alone: of two labels and 33 rows it seems so much worse by chance now and then, of six labels and 21 rows often.
_WORSE = 0.15
_LAYOUTS: tuple[Layout, ...] = ("row", "question")
_LOCAL_BLOCK, _BLOCK = 50, 32  # changing rulebooks costs a local model the reading of the new one


@dataclass
class Training:
    """Everything that stays the same during a run.

    Attributes:
        task: What is labeled.
        caller: The model that labels.
        writer: The model that writes principles.
        proposer: Turns mistakes into edits.
        hparams: The settings.
        metric: What rulebooks are compared by.
        training: The rows that mistakes come from, without those that the bias is learned on.
        calibration: The rows that the bias and the worth of checks are learned on; none for labels read as text.
        validation: The rows that rulebooks are compared on, in the order in which they are raced.
        suggestions: Principles that people want to have tried; each step tries those that no step has yet.
        begun_with: The fingerprint of the rows that the run was begun with, where people have changed them since.
        corrected: How many training rows people gave or corrected since.
    """

    task: LabelingTask
    caller: Caller
    writer: Caller
    proposer: Proposer
    hparams: TrainingHyperparameters
    metric: Metric
    training: Sequence[Row]
    calibration: Sequence[Row]
    validation: Sequence[Row]
    suggestions: Sequence[Suggestion] = ()
    begun_with: str = ""
    corrected: int = 0
    _turn: Gate = field(init=False)

    def __post_init__(self) -> None:
        local = getattr(self.caller.llm, "is_local_model", False)
        # A local server has room for few prefixes: rulebooks take turns there, the rows of one run side by side.
        self._turn = Gate(1 if local else 1_000)
        self.block_ends = blocks_of(
            len(self.validation), self.hparams.block_size or (_LOCAL_BLOCK if local else _BLOCK)
        )

    @property
    def fingerprint(self) -> str:
        """A hash of the task and the rows, to tell a run of other data, or in another order, from this one.

        Corrected rows do not change it: the run stays the same one, and what it scored stays scored.
        """
        if self.begun_with:
            return self.begun_with
        rows = data_fingerprint(self.training, self.calibration, self.validation)
        return digest([self.task.fingerprint(), rows, [row.id for row in self.validation]])

    @property
    def first_rows(self) -> Sequence[Row]:
        """The calibration rows that a bias alone is learned on."""
        return self.calibration[: self.hparams.n_calibration_examples]

    @property
    def metric_name(self) -> str:
        """What the metric is called."""
        given = self.hparams.score_fn
        return given if isinstance(given, str) else getattr(given, "__name__", "score")

    def revised(self, corrected: Sequence[Row]) -> "Training":
        """Return the same run with rows that people labeled among its training rows, each in the place of its equals.

        The rows that rulebooks are compared on, and those that the bias is learned on, stay: no score is asked for
        again. A corrected row that reads like one of them is left out, which is said in a `DataWarning`.
        """
        compared = {row.text for row in (*self.calibration, *self.validation)}
        latest = {row.text: row for row in corrected}
        fit = [row for row in latest.values() if row.text not in compared]
        if n := len(latest) - len(fit):
            rows = "row reads" if n == 1 else "rows read"
            message = f"{n} corrected {rows} like rows that rulebooks are compared on; those stay as they are."
            warnings.warn(message, DataWarning, stacklevel=2)
        kept = [row for row in self.training if row.text not in latest]
        return replace(self, training=[*kept, *fit], begun_with=self.fingerprint, corrected=len(fit))

    async def label(
        self, rulebook: Rulebook, rows: Sequence[Row], config: RunnableConfig | None
    ) -> tuple[list[Labeled], Classifier]:
        """Label rows with one rulebook, none other between them on a local model.

        Raises:
            AlignmentError: The key is wrong, the budget is spent, or the model refuses every request.
        """
        classifier = Classifier(self.caller, rulebook)
        async with self._turn:
            return await label_rows(classifier, rows, config), classifier

    def used(self) -> Usage:
        """Return what both models used until now; they may share one counter."""
        total = self.caller.usage.snapshot()
        if self.writer.usage is not self.caller.usage:
            total.add(**self.writer.usage.snapshot().model_dump())
        return total

    def affordable(self, rulebook: Rulebook) -> int:
        """Return how many candidates a step from this rulebook may try, so that the calls left pay for their race."""
        left = sys.maxsize if self.caller.budget is None else self.caller.budget.calls_left(self.caller.usage)
        each = self.hparams.n_screening_examples
        if rulebook.scoring != "text":  # what is added to an empty checklist makes it one
            each = len(self.calibration if rulebook.scoring == "checks" else self.fitting_rows(rulebook))
        others = self.hparams.n_mining_examples + self.hparams.n_evidence_examples + len(self.validation)
        return (left - others) // max(1, each)

    def take_turns_with(self, other: "Training") -> None:
        """Let the rulebooks of two trainings take turns with each other on a local server, which serves both."""
        self._turn = other._turn

    def fitting_rows(self, rulebook: Rulebook) -> Sequence[Row]:
        """Return the rows that a calibration is learned on: all where it has many weights, else the first of them.

        A checklist has a weight for each principle, and three labels and more have one for each pair of them.
        """
        return self.calibration if rulebook.is_checklist or len(self.task.labels) > FEW_LABELS else self.first_rows

    async def calibrate(self, rulebook: Rulebook, config: RunnableConfig | None) -> Rulebook:
        """Return the rulebook with its bias learned on the calibration rows; as it is where labels are read as text.

        In a checklist, a principle that describes single rows comes to speak for the label whose rows it is truest of.
        """
        return await self._calibrated_on(self.fitting_rows(rulebook), rulebook, config)

    async def _calibrated_on(
        self, known_rows: Sequence[Row], rulebook: Rulebook, config: RunnableConfig | None
    ) -> Rulebook:
        rows = [row for row in known_rows if not rulebook.shows(row.text)]
        if rulebook.scoring == "text" or rulebook.calibration is not None or not rows:
            return rulebook
        found, _ = await self.label(rulebook, rows, config)
        return self._fitted(rulebook, found, rows)

    def _fitted(self, rulebook: Rulebook, found: Sequence[Labeled], rows: Sequence[Row]) -> Rulebook:
        """The rulebook with the calibration that fits what was found for rows, its descriptions at their labels."""
        pairs = zip(found, rows, strict=True)
        known = [(f.signal, row.label) for f, row in pairs if f.signal is not None and row.label is not None]
        n = len(self.task.labels)
        fitted = Calibration(bias=(0.0,) * n)
        if known:
            signals, labels = [signal for signal, _ in known], [label for _, label in known]
            free = [at for at, p in enumerate(rulebook.checked()) if rulebook.is_checklist and p.reason in DESCRIPTIONS]
            rulebook = rulebook.speaking_for(owners_by_rows(signals, labels, rulebook.owners(), free))
            fitted = fit_calibration(signals, labels, rulebook.owners(), free)
        # Of a row that told nothing every label is as likely; it must not drop out of the comparison.
        silent = (len(found) - len(known)) / len(found)
        loss = round((1 - silent) * fitted.loss + silent * math.log(n), 6)
        fitted = fitted.model_copy(update={"loss": loss, "of": rulebook.fingerprint()})
        return rulebook.model_copy(update={"calibration": fitted})

    async def begin(self, config: RunnableConfig | None) -> Rulebook:
        """Return the empty rulebook, scored in the way and laid out in the form that fit this task and model.

        Where the row stands in the request is decided once, by what the first calibration rows are likeliest under.
        """
        empty = Rulebook(task=self.task, scoring=scoring_for(self.caller, self.task))
        if empty.scoring == "text":
            return empty
        laid_out = [empty.model_copy(update={"layout": way}) for way in _LAYOUTS]
        ways = [await self._calibrated_on(self.first_rows, way, config) for way in laid_out]
        return min(ways, key=lambda way: way.calibration.loss if way.calibration else 0.0)

    async def settle(self, rulebook: Rulebook, empty: Rulebook, config: RunnableConfig | None) -> Rulebook:
        """Return a rulebook that was not trained yet, to be read in the way that fits this model and task.

        A small model checks each principle by itself, if it can: a tiny one does not keep to the form of a checklist,
        and the labels of some tasks it tells worse with one than by the question alone. A large model weighs principles
        better than a regression on a few rows does.

        Args:
            rulebook: The principles.
            empty: The rulebook without principles, as training begins.
            config: For the calls.
        """
        scoring = scoring_for(self.caller, self.task)
        if scoring == "logprob" and self.caller.traits.small:
            checked = rulebook.model_copy(update={"scoring": "checks", "calibration": None})
            rows = [row for row in self.first_rows if not rulebook.shows(row.text)]
            found, _ = await self.label(checked, rows, config)
            whole = [f for f in found if f.signal is not None and all(f.signal.checks)]  # a line that is missing is 0
            if len(whole) >= _READABLE * len(found):
                as_checks = self._fitted(checked, found, rows).calibration if found else None
                alone = empty.calibration
                if as_checks is None or alone is None or as_checks.loss <= alone.loss + _WORSE:
                    return checked
        return rulebook.model_copy(update={"scoring": scoring, "calibration": None})

    def sample(self, step: int) -> list[Row]:
        """Return the training rows in the order in which a step looks through them for mistakes, another each step."""
        return stratified(self.training, self.hparams.seed, f"step {step}")

    def unshown(self, rulebook: Rulebook) -> list[Row]:
        """Return the training rows that are no precedents of a rulebook."""
        return [row for row in self.training if not rulebook.shows(row.text)]

    @cached_property
    def citable(self) -> Mapping[str, Row]:
        """The training rows that may be precedents, by id: none reads like a row that rulebooks are compared on."""
        compared = {row.text for row in (*self.calibration, *self.validation)}
        return {row.id: row for row in self.training if row.text not in compared}

    def check_precedents(self, rulebook: Rulebook) -> None:
        """Refuse a rulebook that shows validation rows with their answers.

        Raises:
            DataError: A precedent is among the validation rows.
        """
        texts = {row.text for row in self.validation}
        if seen := [p.row for p in rulebook.precedents if p.text in texts]:
            raise DataError(
                f"The rulebook's precedent {seen[0]} is a validation row, whose answer it would be shown; give other "
                f"rows to validate on, or apply DropPrecedent(row={seen[0]!r}) to the rulebook."
            )

    def score(self, predictions: Sequence[int]) -> float:
        """Return the metric over the first validation rows, as many as there are predictions."""
        true = [row.label for row in self.validation[: len(predictions)]]
        return self.metric([label for label in true if label is not None], predictions)

    def right(self, predictions: Sequence[int]) -> list[bool]:
        """Tell which of the first validation rows are right."""
        return [row.label == given for row, given in zip(self.validation, predictions, strict=False)]
