"""The object a notebook uses: like `Labeler`, for rows that have several labels at once, or none."""

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs
from langgraph.types import Checkpointer

from langchain_model_alignment.cache import AnswerCache
from langchain_model_alignment.calls import Caller, ChatModelLike
from langchain_model_alignment.errors import BudgetError, DataError
from langchain_model_alignment.gathering import gather_from
from langchain_model_alignment.labeling.classifier import scoring_for
from langchain_model_alignment.labeling.labeler import Labeler
from langchain_model_alignment.labeling.proposers import Proposer
from langchain_model_alignment.labeling.records import TrainingHyperparameters, TrainingResult
from langchain_model_alignment.labeling.rulebook import Rulebook, Score
from langchain_model_alignment.labeling.running import run_training
from langchain_model_alignment.labeling.several.labeling import MultiLabelPrediction, label_several
from langchain_model_alignment.labeling.several.reading import (
    ANSWERS,
    Having,
    binary_rows,
    binary_task,
    fixed_labels,
    read_several,
    split_several,
)
from langchain_model_alignment.labeling.several.records import MultiLabelResult
from langchain_model_alignment.labeling.several.rulebook import MultiLabelRulebook
from langchain_model_alignment.labeling.several.scorecard import MultiLabelScorecard, scorecard_of
from langchain_model_alignment.labeling.splits import data_fingerprint, without_shared
from langchain_model_alignment.labeling.task import LabelValue, Row, Table
from langchain_model_alignment.labeling.training import Training
from langchain_model_alignment.loop import run_sync
from langchain_model_alignment.usage import Budget

__all__ = ["MultiLabeler"]


class MultiLabeler:
    """Trains a yes-or-no rulebook for each label that a row may have, and labels with them (binary relevance).

    The column `label_name` holds lists: a list, tuple or set, a JSON list, or text such as `"sport,money"`; an empty
    one says that no label applies. All rulebooks train side by side under one gate and one budget, and are compared on
    the same validation rows. Every row is asked about once for each label.

    Args:
        input_names: The columns that the labels are told from.
        label_name: The column that holds the lists of labels.
        label_values: All labels that a row may have.
        task_description: The question, in a sentence.
        train_model: The model that writes principles.
        eval_model: The model that labels; `train_model` by default.
        separator: What stands between labels in text.
        hparams: Settings that differ from the defaults, for each label; where labels are rare, `score_fn="f1_binary"`
            compares by the rows that have them. A `score_fn` of yours is given "yes" and "no".
        max_concurrency: How many calls run at once.
        budget: What the whole object may spend.
        cache: Where answers are kept; in memory by default.
        proposer: What turns mistakes into edits; by default what fits the model that writes.

    Raises:
        DataError: The task or a hyperparameter makes no sense.
        ConfigurationError: A model is none.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> maker = MultiLabeler(
        ...     input_names=["post"], label_name="topics", label_values=["sport", "money"],
        ...     train_model=FakeListChatModel(responses=["yes", "no"]), max_concurrency=1,
        ... )
        >>> rulebook = maker.rulebook({"sport": ["It names a team."], "money": ["It names a price."]})
        >>> [p["prediction"] for p in maker.infer_checkpoint(rulebook, [{"post": "The Reds won!"}])]
        [['sport']]
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
        separator: str = ",",
        hparams: TrainingHyperparameters | Mapping[str, Any] | None = None,
        max_concurrency: int = 32,
        budget: Budget | None = None,
        cache: AnswerCache | None = None,
        proposer: Proposer | None = None,
    ) -> None:
        if not separator:
            raise DataError("The separator is empty; give what stands between labels, such as a comma.")
        self._labeler = Labeler(
            input_names,
            label_name,
            label_values,
            task_description,
            train_model,
            eval_model,
            hparams=hparams,
            max_concurrency=max_concurrency,
            budget=budget,
            cache=cache,
            proposer=proposer,
        )
        self._proposer, self._separator = proposer, separator
        self.task, self.hparams, self.usage = self._labeler.task, self._labeler.hparams, self._labeler.usage

    @property
    def caller(self) -> Caller:
        """The model that labels, behind its gate."""
        return self._labeler.caller

    # -- training ----------------------------------------------------------------------------------------------

    def train(
        self,
        train_data: Table,
        validation_data: Table | None = None,
        *,
        steps: int = 5,
        checkpoint: MultiLabelRulebook | None = None,
        config: RunnableConfig | None = None,
        checkpointer: Checkpointer = None,
    ) -> MultiLabelResult:
        """Train the rulebooks of all labels side by side.

        A label that fewer than two training rows have, or lack, cannot be learned; it is left out with a warning, and
        given to no row, or to every one.

        Args:
            train_data: Labeled rows to learn from.
            validation_data: Labeled rows to compare on; else some of `train_data` are set apart.
            steps: How many steps at most, for each label.
            checkpoint: The rulebooks to begin with; written from examples where there are none.
            config: Callbacks, tags and metadata; the thread's id, where a checkpointer is given.
            checkpointer: Where LangGraph keeps the states, a thread for each label, so that a killed run goes on.

        Raises:
            DataError: A column is missing, a list cannot be read, or no label can be learned.
            ArtifactError: The checkpoint is of another task, or the run in the checkpointer of other data.
            AlignmentError: The model failed, or the budget does not pay a beginning for any label.
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
        checkpoint: MultiLabelRulebook | None = None,
        config: RunnableConfig | None = None,
        checkpointer: Checkpointer = None,
    ) -> MultiLabelResult:
        """Async twin of `train`."""
        if checkpoint is not None:
            checkpoint.check_task(self.task)
        learning, validation, having = self._read(train_data, validation_data)
        fixed = fixed_labels(self.task, learning, having)
        trainings = self._trainings(learning, validation, having, fixed)
        begun = {} if checkpoint is None else checkpoint.rulebooks
        thread = (config or {}).get("configurable", {}).get("thread_id", "training")

        async def train_one(label: str) -> TrainingResult | BudgetError:
            own = {"configurable": {"thread_id": f"{thread}/{label}"}, "metadata": {"label": label}}
            named = merge_configs(config, own)  # type: ignore[arg-type]
            try:
                return await run_training(trainings[label], begun.get(label), steps, named, checkpointer=checkpointer)
            except BudgetError as error:  # one label without a beginning must not cost the others theirs
                return error

        first = next(iter(trainings.values()))
        before = first.used()
        ended = dict(zip(trainings, await gather_from(trainings, train_one, len(trainings)), strict=True))
        runs = {label: run for label, run in ended.items() if isinstance(run, TrainingResult)}
        unpaid = [run for run in ended.values() if isinstance(run, BudgetError)]
        if not runs:
            raise unpaid[0]
        rulebooks = {label: runs[label].rulebook if label in runs else self._begin(label, begun) for label in ended}
        book = MultiLabelRulebook(task=self.task, rulebooks=rulebooks, fixed=fixed)
        card = await self._score(book, validation, having, config)
        if card is not None:
            data = data_fingerprint(validation)
            score = Score(metric="subset_accuracy", value=card["subset_accuracy"], rows=card["n"], data=data)
            book = book.model_copy(update={"score": score})
        usage = first.used()
        usage.add(**{field: -value for field, value in before})
        untrained = tuple(label for label in ended if label not in runs)
        return MultiLabelResult(rulebook=book, runs=runs, untrained=untrained, usage=usage, scorecard=card)

    # -- labeling ----------------------------------------------------------------------------------------------

    def infer_checkpoint(
        self,
        checkpoint: MultiLabelRulebook,
        examples: Table,
        *,
        explain: bool = False,
        threshold: float | None = None,
        config: RunnableConfig | None = None,
    ) -> list[MultiLabelPrediction]:
        """Tell the labels of rows.

        Args:
            checkpoint: The rulebooks.
            examples: Rows, with or without labels.
            explain: Also ask which principles decided.
            threshold: Leave a label undecided where the confidence is below it; only with log probabilities.
            config: Callbacks, tags and metadata for the calls.

        Returns:
            A prediction for each row, in their order.

        Raises:
            DataError: An input column is missing.
            ArtifactError: The rulebooks are of another task.
            AlignmentError: The key is wrong or the budget spent; what fails for one label of a row is in its `errors`.
        """
        return run_sync(
            self.ainfer_checkpoint(checkpoint, examples, explain=explain, threshold=threshold, config=config)
        )

    async def ainfer_checkpoint(
        self,
        checkpoint: MultiLabelRulebook,
        examples: Table,
        *,
        explain: bool = False,
        threshold: float | None = None,
        config: RunnableConfig | None = None,
    ) -> list[MultiLabelPrediction]:
        """Async twin of `infer_checkpoint`."""
        checkpoint.check_task(self.task)
        rows = self.task.read(examples, labeled=False)
        return await label_several(checkpoint, self.caller, rows, config, explain=explain, threshold=threshold)

    def get_scorecard(self, examples: Table, predictions: Sequence[MultiLabelPrediction]) -> MultiLabelScorecard:
        """Score predictions.

        Args:
            examples: The rows with their lists of labels.
            predictions: As many, in the same order.

        Raises:
            DataError: Their numbers differ, a list cannot be read, or a prediction names a label that there is not.
        """
        rows, having = read_several(self.task, examples, self._separator)
        if len(rows) != len(predictions):
            raise DataError(f"There are {len(rows)} rows and {len(predictions)} predictions; give one for each row.")
        return scorecard_of(self.task, [having[row.id] for row in rows], predictions)

    # -- rulebooks ---------------------------------------------------------------------------------------------

    def rulebook(self, principles: Mapping[Any, Sequence[str]]) -> MultiLabelRulebook:
        """Write rulebooks by hand: for a label, sentences that are true of the rows that have it.

        Raises:
            DataError: A label is not one of the task's.
        """
        given: dict[str, Sequence[str]] = {}
        for value, sentences in principles.items():
            index = self.task.index_of(value)
            if index is None:
                raise DataError(f"{value!r} is no label of this task; its labels are: {', '.join(self.task.labels)}.")
            given[self.task.labels[index]] = sentences
        books = {label: self._written(label, {ANSWERS[0]: given.get(label, ())}) for label in self.task.labels}
        return MultiLabelRulebook(task=self.task, rulebooks=books)

    # -- its parts ---------------------------------------------------------------------------------------------

    def _read(self, train_data: Table, validation_data: Table | None) -> tuple[list[Row], list[Row], Having]:
        rows, having = read_several(self.task, train_data, self._separator)
        if validation_data is None:
            learning, validation = split_several(rows, having, self.hparams.n_validation_examples, self.hparams.seed)
        else:
            learning, (others, theirs) = rows, read_several(self.task, validation_data, self._separator)
            validation = without_shared(rows, others)
            having = {**theirs, **having}
        if not validation:
            raise DataError(
                f"{len(rows)} training rows are too few to set some apart; give more, or a table to validate on."
            )
        return learning, validation, having

    def _trainings(
        self, learning: Sequence[Row], validation: Sequence[Row], having: Having, fixed: Mapping[str, bool]
    ) -> dict[str, Training]:
        trainings: dict[str, Training] = {}
        for index, label in enumerate(self.task.labels):
            if label not in fixed:
                parts = (binary_rows(rows, having, index) for rows in (learning, validation))
                trainings[label] = self._one(label).training_of(*parts)
        first = next(iter(trainings.values()))
        for training in trainings.values():
            training.take_turns_with(first)
        return trainings

    def _one(self, label: str) -> Labeler:
        """The labeler of one label, over the models of all."""
        return Labeler(
            self.task.input_names,
            self.task.label_name,
            ANSWERS,
            binary_task(self.task, label).task_description,
            self._labeler.writer,
            self._labeler.caller,
            hparams=self.hparams,
            proposer=self._proposer,
        )

    def _begin(self, label: str, begun: Mapping[str, Rulebook]) -> Rulebook:
        return begun[label] if label in begun else self._written(label, {})

    def _written(self, label: str, principles: Mapping[str, Sequence[str]]) -> Rulebook:
        task = binary_task(self.task, label)
        return Rulebook.of(task, principles, scoring=scoring_for(self.caller, task))

    async def _score(
        self, book: MultiLabelRulebook, rows: Sequence[Row], having: Having, config: RunnableConfig | None
    ) -> MultiLabelScorecard | None:
        """Score all rulebooks together; their answers are in the cache already, but for those that never began."""
        try:
            found = await label_several(book, self.caller, rows, config)
        except BudgetError:
            return None
        return scorecard_of(self.task, [having[row.id] for row in rows], found)
