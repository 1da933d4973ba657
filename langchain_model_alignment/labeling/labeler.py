"""The object a notebook uses: a task, two models, and the loop that trains a rulebook on a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.types import Checkpointer

from langchain_model_alignment.cache import AnswerCache, MemoryCache
from langchain_model_alignment.calls import Caller, ChatModelLike, as_caller
from langchain_model_alignment.errors import ConfigurationError, DataError
from langchain_model_alignment.gate import Gate
from langchain_model_alignment.labeling.classifier import Classifier, Prediction, label_rows
from langchain_model_alignment.labeling.describing import DescribingProposer
from langchain_model_alignment.labeling.graph import create_training_graph
from langchain_model_alignment.labeling.outcome import result_of
from langchain_model_alignment.labeling.proposers import Proposer
from langchain_model_alignment.labeling.records import TrainingHyperparameters, TrainingResult
from langchain_model_alignment.labeling.reflective import ReflectiveProposer
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.running import run_training
from langchain_model_alignment.labeling.scorecard import Scorecard, make_metric, make_scorecard
from langchain_model_alignment.labeling.scoring import MOST_LABELS
from langchain_model_alignment.labeling.splits import at_most, check_labels, set_apart, stratified, without_shared
from langchain_model_alignment.labeling.task import LabelingTask, LabelValue, Row, Table
from langchain_model_alignment.labeling.training import Training
from langchain_model_alignment.loop import run_sync
from langchain_model_alignment.usage import Budget, Usage

__all__ = ["Labeler", "TrainingHyperparameters", "create_labeler_graph", "print_checkpoint", "result_of"]


_FOR_CHECKS = 3  # as many calibration rows for a checklist as for a bias


class Labeler:
    """Trains classification prompts made of principles, and labels with them.

    Args:
        input_names: The columns that the label is told from.
        label_name: The column that holds the label.
        label_values: The values it may have.
        task_description: The question, in a sentence.
        train_model: The model that writes principles; a larger one than `eval_model` is worth its price.
        eval_model: The model that labels; `train_model` by default.
        ordered: Whether `label_values` stand in order; the scorecard then tells how far off labels are.
        hparams: Settings that differ from the defaults, as an object or a dict.
        max_concurrency: How many calls run at once.
        budget: What the whole object may spend. Few `max_calls` make the samples smaller that are not set by `hparams`.
        cache: Where answers are kept; in memory by default.
        proposer: What turns mistakes into edits; by default what fits the model that writes.

    Raises:
        DataError: The task or a hyperparameter makes no sense.
        ConfigurationError: A model is none.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> maker = Labeler(
        ...     input_names=["comment"], label_name="toxic", label_values=[True, False],
        ...     train_model=FakeListChatModel(responses=["True"]),
        ... )
        >>> rulebook = maker.rulebook({True: ["It insults a person."]})
        >>> [p["prediction"] for p in maker.infer_checkpoint(rulebook, [{"comment": "You fool"}])]
        [True]
    """

    def __init__(
        self,
        input_names: Sequence[str],
        label_name: str,
        label_values: Sequence[LabelValue],
        task_description: str = "",
        train_model: ChatModelLike = "local",
        eval_model: ChatModelLike | None = None,
        *,
        ordered: bool = False,
        hparams: TrainingHyperparameters | Mapping[str, Any] | None = None,
        max_concurrency: int = 32,
        budget: Budget | None = None,
        cache: AnswerCache | None = None,
        proposer: Proposer | None = None,
    ) -> None:
        self.hparams = _hyperparameters(hparams).sized_for(
            None if budget is None else budget.max_calls, len(label_values)
        )
        self.task = LabelingTask(
            input_names=tuple(input_names) if not isinstance(input_names, str) else (input_names,),
            label_name=label_name,
            label_values=tuple(label_values),
            task_description=task_description,
            truncation_length=self.hparams.truncation_length,
            ordered=ordered,
        )
        self.usage = Usage()
        shared: dict[str, Any] = {
            "cache": MemoryCache() if cache is None else cache,
            "usage": self.usage,
            "budget": budget,
        }
        self._writer = as_caller(train_model, gate=Gate(max_concurrency), **shared)
        same = eval_model is None or eval_model is train_model
        self._caller = self._writer if same else as_caller(eval_model or "", gate=Gate(max_concurrency), **shared)
        small = self._writer.traits.small
        self._proposer = proposer or (DescribingProposer(self._writer) if small else ReflectiveProposer(self._writer))
        self._metric = make_metric(self.hparams.score_fn, self.task, self.hparams.pos_label)

    @property
    def caller(self) -> Caller:
        """The model that labels, behind its gate."""
        return self._caller

    @property
    def writer(self) -> Caller:
        """The model that writes principles, behind its gate."""
        return self._writer

    # -- training ----------------------------------------------------------------------------------------------

    def initialize_checkpoint(self, train_data: Table, config: RunnableConfig | None = None) -> Rulebook:
        """Write a first rulebook: one principle for each label, bias and layout fitted, scored on rows set apart.

        Args:
            train_data: Labeled rows.
            config: Callbacks, tags and metadata for the calls.

        Raises:
            DataError: A column, a label or examples of a label are missing.
            AlignmentError: The model failed.
        """
        return run_sync(self.ainitialize_checkpoint(train_data, config))

    async def ainitialize_checkpoint(self, train_data: Table, config: RunnableConfig | None = None) -> Rulebook:
        """Async twin of `initialize_checkpoint`."""
        training = self.prepare(train_data)
        return (await run_training(training, None, 0, config, keep=1, zero_shot=False)).rulebook

    def train_step(
        self,
        checkpoint: Rulebook | None,
        train_data: Table,
        validation_data: Table | None = None,
        config: RunnableConfig | None = None,
    ) -> Rulebook:
        """Take one step: mistakes, edits, a race. What comes out is never worse on validation than what went in.

        Args:
            checkpoint: The rulebook to improve; written from examples where there is none.
            train_data: Labeled rows to learn from.
            validation_data: Labeled rows to compare on; else some of `train_data` are set apart, always the same.
            config: Callbacks, tags and metadata for the calls.

        Raises:
            DataError: A column, a label or examples of a label are missing, or the checkpoint shows a validation row.
            ArtifactError: The checkpoint is of another task.
            AlignmentError: The model failed.
        """
        return run_sync(self.atrain_step(checkpoint, train_data, validation_data, config))

    async def atrain_step(
        self,
        checkpoint: Rulebook | None,
        train_data: Table,
        validation_data: Table | None = None,
        config: RunnableConfig | None = None,
    ) -> Rulebook:
        """Async twin of `train_step`."""
        training = self.prepare(train_data, validation_data)
        return (await run_training(training, checkpoint, 1, config, keep=1, zero_shot=False)).rulebook

    def train(
        self,
        train_data: Table,
        validation_data: Table | None = None,
        *,
        steps: int = 5,
        checkpoint: Rulebook | None = None,
        config: RunnableConfig | None = None,
        checkpointer: Checkpointer = None,
    ) -> TrainingResult:
        """Train for some steps, or until nothing is gained, nothing is wrong, or a budget is spent.

        Args:
            train_data: Labeled rows to learn from.
            validation_data: Labeled rows to compare on; else some of `train_data` are set apart.
            steps: How many steps at most.
            checkpoint: The rulebook to begin with; written from examples where there is none.
            config: Callbacks, tags and metadata; the thread's id, where a checkpointer is given.
            checkpointer: Where LangGraph keeps the state, so that a run that was killed goes on.

        Raises:
            DataError: A column, a label or examples of a label are missing, or the checkpoint shows a validation row.
            ArtifactError: The checkpoint is of another task, or the run in the checkpointer of other data.
            AlignmentError: The model failed.
        """
        return run_sync(
            self.atrain(
                train_data,
                validation_data,
                steps=steps,
                checkpoint=checkpoint,
                config=config,
                checkpointer=checkpointer,
            )
        )

    async def atrain(
        self,
        train_data: Table,
        validation_data: Table | None = None,
        *,
        steps: int = 5,
        checkpoint: Rulebook | None = None,
        config: RunnableConfig | None = None,
        checkpointer: Checkpointer = None,
    ) -> TrainingResult:
        """Async twin of `train`."""
        training = self.prepare(train_data, validation_data)
        return await run_training(training, checkpoint, steps, config, checkpointer=checkpointer)

    def prepare(self, train_data: Table, validation_data: Table | None = None) -> Training:
        """Read and split the tables.

        Raises:
            DataError: A column, a label or examples of a label are missing, or too few rows are left to compare on.
        """
        rows = self.task.read(train_data)
        check_labels(self.task, rows)
        seed = self.hparams.seed
        if validation_data is None:
            learning, validation = set_apart(rows, self.hparams.n_validation_examples, seed)
        else:
            learning, validation = rows, without_shared(rows, self.task.read(validation_data))
            validation = at_most(self.hparams.max_validation_examples, validation, seed)
        if not validation:
            raise DataError(
                f"{len(rows)} training rows are too few to set some apart; give more, or a table to validate on."
            )
        return self.training_of(learning, validation)

    def training_of(self, learning: Sequence[Row], validation: Sequence[Row]) -> Training:
        """Return what a run works with, from rows that are read and split."""
        calibration: list[Row] = []
        if self._caller.traits.logprobs and len(self.task.labels) <= MOST_LABELS:
            # The many weights of a checklist need more rows. At most half, or none would be left to make a mistake on.
            wanted = self.hparams.n_calibration_examples * (_FOR_CHECKS if self._caller.traits.small else 1)
            most = min(wanted, len(learning) // 2)
            calibration = stratified(learning, self.hparams.seed, "calibration")[:most]
        apart = {row.id for row in calibration}
        return Training(
            task=self.task,
            caller=self._caller,
            writer=self._writer,
            proposer=self._proposer,
            hparams=self.hparams,
            metric=self._metric,
            training=[row for row in learning if row.id not in apart],
            calibration=calibration,
            validation=stratified(validation, self.hparams.seed, "blocks"),
        )

    # -- labeling ----------------------------------------------------------------------------------------------

    def infer_checkpoint(
        self,
        checkpoint: Rulebook,
        examples: Table,
        *,
        explain: bool = False,
        threshold: float | None = None,
        config: RunnableConfig | None = None,
    ) -> list[Prediction]:
        """Label rows by a rulebook.

        Args:
            checkpoint: The rulebook.
            examples: Rows, with or without labels.
            explain: Also ask which principles decided.
            threshold: Abstain where the confidence is below it; only with log probabilities.
            config: Callbacks, tags and metadata for the calls.

        Returns:
            A prediction for each row, in their order.

        Raises:
            DataError: An input column is missing.
            ArtifactError: The rulebook is of another task.
            AlignmentError: The key is wrong or the budget spent; what fails for one row alone is its `error`.
        """
        return run_sync(
            self.ainfer_checkpoint(checkpoint, examples, explain=explain, threshold=threshold, config=config)
        )

    async def ainfer_checkpoint(
        self,
        checkpoint: Rulebook,
        examples: Table,
        *,
        explain: bool = False,
        threshold: float | None = None,
        config: RunnableConfig | None = None,
    ) -> list[Prediction]:
        """Async twin of `infer_checkpoint`."""
        checkpoint.check_task(self.task)
        rows = self.task.read(examples, labeled=False)
        classifier = Classifier(self._caller, checkpoint, explain=explain, threshold=threshold)
        found = await label_rows(classifier, rows, config)
        return [classifier.prediction(row.text, labeled) for row, labeled in zip(rows, found, strict=True)]

    def get_scorecard(self, examples: Table, predictions: Sequence[Prediction]) -> Scorecard:
        """Score predictions.

        Args:
            examples: The rows with their labels.
            predictions: As many, in the same order.

        Raises:
            DataError: Their numbers differ, or a label is missing.
        """
        rows = self.task.read(examples)
        if len(rows) != len(predictions):
            raise DataError(f"There are {len(rows)} rows and {len(predictions)} predictions; give one for each row.")
        given = [_index(self.task, p["prediction"]) for p in predictions]
        errors = sum(p["error"] is not None for p in predictions)
        return make_scorecard(self.task, [row.label for row in rows if row.label is not None], given, errors)

    def get_score(self, examples: Table, predictions: Sequence[Prediction]) -> float:
        """Return the number that training compares rulebooks by (`score_fn`).

        Raises:
            DataError: A label is missing.
        """
        true = [row.label for row in self.task.read(examples)]
        return self._metric(
            [label for label in true if label is not None], [_index(self.task, p["prediction"]) for p in predictions]
        )

    # -- rulebooks ---------------------------------------------------------------------------------------------

    def rulebook(self, principles: Mapping[Any, Sequence[str]], **fields: Any) -> Rulebook:
        """Write a rulebook by hand: sentences for each label.

        Raises:
            DataError: A label is not one of the task's.
        """
        from langchain_model_alignment.labeling.classifier import scoring_for

        return Rulebook.of(self.task, principles, **{"scoring": scoring_for(self._caller, self.task), **fields})

    def print_checkpoint(self, checkpoint: Rulebook) -> None:
        """Print a rulebook label by label."""
        print_checkpoint(checkpoint)


def create_labeler_graph(labeler: Labeler, train_data: Table, validation_data: Table | None = None) -> Any:
    """Create the loop that trains a rulebook, for a checkpointer, a stream or a graph of your own.

    Args:
        labeler: The task, the models and the settings.
        train_data: Labeled rows to learn from.
        validation_data: Labeled rows to compare on; else some of `train_data` are set apart.

    Returns:
        The `StateGraph`, not compiled. It takes `{"steps": 5}` and tells what it does as `custom` events
        (`LabelerEvent`); what it ends with becomes a `TrainingResult` by `result_of`.

    Raises:
        DataError: A column, a label or examples of a label are missing.
    """
    return create_training_graph(labeler.prepare(train_data, validation_data))


def print_checkpoint(checkpoint: Rulebook) -> None:
    """Print a rulebook label by label.

    Example:
        >>> task = LabelingTask(input_names=["comment"], label_name="toxic", label_values=[True, False])
        >>> print_checkpoint(Rulebook.of(task, {True: ["It insults a person."]}))
        ==================== Attributes for: True ====================
        <BLANKLINE>
        p1: It insults a person.
        <BLANKLINE>
        ==================== Attributes for: False ====================
        <BLANKLINE>
        (no principles)
    """
    print(checkpoint.as_text())  # noqa: T201 (it is what it says)


def _index(task: LabelingTask, prediction: Any) -> int:
    """The index of a predicted label; -1 for an abstention, and for what is no label."""
    if prediction is None or (isinstance(prediction, str) and not prediction):
        return -1
    index = task.index_of(prediction)
    return -1 if index is None else index


def _hyperparameters(given: TrainingHyperparameters | Mapping[str, Any] | None) -> TrainingHyperparameters:
    if isinstance(given, TrainingHyperparameters):
        return given
    if given is not None and not isinstance(given, Mapping):
        raise ConfigurationError("hparams takes TrainingHyperparameters, or a dict of some of them.")
    return TrainingHyperparameters(**dict(given or {}))
