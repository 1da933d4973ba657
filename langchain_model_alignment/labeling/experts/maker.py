"""The object a notebook uses: like `Labeler`, but with an expert for each region of the data that needs one."""

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.embeddings import Embeddings
from langchain_core.runnables import RunnableConfig
from langgraph.types import Checkpointer

from langchain_model_alignment.cache import AnswerCache
from langchain_model_alignment.calls import ChatModelLike
from langchain_model_alignment.embeddings import WordLlamaEmbeddings, embeddings_name
from langchain_model_alignment.errors import ConfigurationError, DataError
from langchain_model_alignment.labeling.classifier import Prediction
from langchain_model_alignment.labeling.experts.assembling import assemble, result_of_search, step_experts
from langchain_model_alignment.labeling.experts.dividing import Search
from langchain_model_alignment.labeling.experts.mixture import Mixture
from langchain_model_alignment.labeling.experts.records import MixtureResult
from langchain_model_alignment.labeling.experts.vectors import embed_rows
from langchain_model_alignment.labeling.experts.voting import ExpertPrediction, label_by_routes, prediction_of
from langchain_model_alignment.labeling.labeler import Labeler
from langchain_model_alignment.labeling.proposers import Proposer
from langchain_model_alignment.labeling.records import TrainingHyperparameters
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.running import run_training
from langchain_model_alignment.labeling.scorecard import Scorecard
from langchain_model_alignment.labeling.task import LabelValue, Table
from langchain_model_alignment.loop import run_sync
from langchain_model_alignment.usage import Budget

__all__ = ["MixtureOfExperts"]


class MixtureOfExperts:
    """Trains a rulebook for the whole and experts for the regions that need other principles; labels with them.

    The interface is that of `Labeler`, and a `Mixture` takes the place of a `Rulebook`. Rows are embedded and a region
    is halved; an expert is trained for each half, from the rulebook of the whole; the halves stay if the experts win
    on rows that they never met by more than luck, and are halved again. Where nothing wins, one rulebook stays. All
    experts train side by side under one gate and one budget (ConstitutionalExperts, ACL 2024, which fixes k).

    Args:
        input_names: The columns that the label is told from.
        label_name: The column that holds the label.
        label_values: The values it may have.
        task_description: The question, in a sentence.
        train_model: The model that writes principles.
        eval_model: The model that labels; `train_model` by default.
        embeddings: What tells how near rows are; by default static ones that need no network (`wordllama`).
        max_experts: The most regions; with 1 there is one rulebook, as with `Labeler`.
        min_rows: The fewest training rows of a region.
        votes: How many of the nearest regions vote on a row, weighted by similarity.
        ordered: Whether `label_values` stand in order; the scorecard then tells how far off labels are.
        hparams: Settings that differ from the defaults, as an object or a dict.
        max_concurrency: How many calls run at once.
        budget: What the whole object may spend.
        cache: Where answers are kept; in memory by default.
        proposer: What turns mistakes into edits; by default what fits the model that writes.

    Raises:
        DataError: The task or a number makes no sense.
        ConfigurationError: A model is none, or the embeddings are none.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> maker = MixtureOfExperts(
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
        embeddings: Embeddings | None = None,
        max_experts: int = 4,
        min_rows: int = 30,
        votes: int = 1,
        ordered: bool = False,
        hparams: TrainingHyperparameters | Mapping[str, Any] | None = None,
        max_concurrency: int = 32,
        budget: Budget | None = None,
        cache: AnswerCache | None = None,
        proposer: Proposer | None = None,
    ) -> None:
        for name, value, least in (("max_experts", max_experts, 1), ("min_rows", min_rows, 2), ("votes", votes, 1)):
            if value < least:
                raise DataError(f"{name} is {value}; give at least {least}.")
        if embeddings is not None and not isinstance(embeddings, Embeddings):
            kind = type(embeddings).__name__
            raise ConfigurationError(f"A {kind} is no LangChain Embeddings; give one, or leave it out.")
        self._labeler = Labeler(
            input_names,
            label_name,
            label_values,
            task_description,
            train_model,
            eval_model,
            ordered=ordered,
            hparams=hparams,
            max_concurrency=max_concurrency,
            budget=budget,
            cache=cache,
            proposer=proposer,
        )
        self._embeddings = WordLlamaEmbeddings() if embeddings is None else embeddings
        self._max_experts, self._min_rows, self._votes = max_experts, min_rows, votes
        self.task, self.hparams, self.usage = self._labeler.task, self._labeler.hparams, self._labeler.usage

    # -- training ----------------------------------------------------------------------------------------------

    def initialize_checkpoint(self, train_data: Table, config: RunnableConfig | None = None) -> Mixture:
        """Write a first rulebook, which labels everything until `train` finds regions.

        Args:
            train_data: Labeled rows.
            config: Callbacks, tags and metadata for the calls.

        Raises:
            DataError: A column, a label or examples of a label are missing.
            AlignmentError: The model failed.
        """
        return run_sync(self.ainitialize_checkpoint(train_data, config))

    async def ainitialize_checkpoint(self, train_data: Table, config: RunnableConfig | None = None) -> Mixture:
        """Async twin of `initialize_checkpoint`."""
        return self._alone(await self._labeler.ainitialize_checkpoint(train_data, config))

    def train_step(
        self,
        checkpoint: Mixture | Rulebook | None,
        train_data: Table,
        validation_data: Table | None = None,
        config: RunnableConfig | None = None,
    ) -> Mixture:
        """Take one step with the general rulebook, or where there are experts with each of them on its own rows.

        Regions stay as they are; only `train` makes some. No expert is worse on the validation rows of its region than
        it went in.

        Args:
            checkpoint: What to improve; a rulebook is written from examples where there is none.
            train_data: Labeled rows to learn from.
            validation_data: Labeled rows to compare on; else some of `train_data` are set apart, always the same.
            config: Callbacks, tags and metadata for the calls.

        Raises:
            DataError: A column, a label or examples of a label are missing.
            ArtifactError: The checkpoint is of another task or other embeddings.
            AlignmentError: The model failed.
        """
        return run_sync(self.atrain_step(checkpoint, train_data, validation_data, config))

    async def atrain_step(
        self,
        checkpoint: Mixture | Rulebook | None,
        train_data: Table,
        validation_data: Table | None = None,
        config: RunnableConfig | None = None,
    ) -> Mixture:
        """Async twin of `train_step`."""
        mixture = checkpoint if isinstance(checkpoint, Mixture) else None
        if mixture is None or not mixture.experts:
            given = _rulebook_in(checkpoint)
            return self._alone(await self._labeler.atrain_step(given, train_data, validation_data, config))
        self._check(mixture)
        run = self._labeler.prepare(train_data, validation_data)
        points = await embed_rows(self._embeddings, [*run.training, *run.calibration, *run.validation])
        return await step_experts(run, mixture, points, config)

    def train(
        self,
        train_data: Table,
        validation_data: Table | None = None,
        *,
        steps: int = 5,
        checkpoint: Mixture | Rulebook | None = None,
        config: RunnableConfig | None = None,
        checkpointer: Checkpointer = None,
    ) -> MixtureResult:
        """Train the rulebook of the whole, then look for regions whose experts do better.

        Args:
            train_data: Labeled rows to learn from.
            validation_data: Labeled rows to compare on; else some of `train_data` are set apart.
            steps: How many steps at most, for the whole and for each expert.
            checkpoint: What to begin with, of a mixture its general rulebook; written from examples where it is absent.
            config: Callbacks, tags and metadata; the thread's id, where a checkpointer is given.
            checkpointer: Where LangGraph keeps the states, so that a run that was killed goes on.

        Raises:
            DataError: A column, a label or examples of a label are missing, or the embeddings are no numbers.
            ConfigurationError: The package of the default embeddings is missing.
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
        checkpoint: Mixture | Rulebook | None = None,
        config: RunnableConfig | None = None,
        checkpointer: Checkpointer = None,
    ) -> MixtureResult:
        """Async twin of `train`."""
        run = self._labeler.prepare(train_data, validation_data)
        points = await embed_rows(self._embeddings, [*run.training, *run.calibration, *run.validation])
        general = await run_training(run, _rulebook_in(checkpoint), steps, config, checkpointer=checkpointer)
        before, usage = run.used(), general.usage.model_copy()
        search = Search(run, points, general.initial, steps, self._max_experts, self._min_rows, config, checkpointer)
        leaves = await search.divide(general.rulebook)
        name = embeddings_name(self._embeddings)
        mixture, voted, told = await assemble(search, general, leaves, name, self._votes)
        usage.add(**{field: value - getattr(before, field) for field, value in run.used()})
        return result_of_search(search, general, mixture, voted, told, usage)

    # -- labeling ----------------------------------------------------------------------------------------------

    def infer_checkpoint(
        self,
        checkpoint: Mixture | Rulebook,
        examples: Table,
        *,
        explain: bool = False,
        threshold: float | None = None,
        config: RunnableConfig | None = None,
    ) -> list[ExpertPrediction]:
        """Label rows by a mixture, each by the expert of its region, or by one rulebook.

        Args:
            checkpoint: The mixture, or a rulebook.
            examples: Rows, with or without labels.
            explain: Also ask which principles decided.
            threshold: Abstain where the confidence is below it; only with log probabilities.
            config: Callbacks, tags and metadata for the calls.

        Returns:
            A prediction for each row, in their order, with the names of the experts behind it.

        Raises:
            DataError: An input column is missing, or the embeddings are no numbers.
            ArtifactError: The mixture is of another task or other embeddings.
            AlignmentError: The key is wrong or the budget spent; what fails for one row alone is its `error`.
        """
        return run_sync(
            self.ainfer_checkpoint(checkpoint, examples, explain=explain, threshold=threshold, config=config)
        )

    async def ainfer_checkpoint(
        self,
        checkpoint: Mixture | Rulebook,
        examples: Table,
        *,
        explain: bool = False,
        threshold: float | None = None,
        config: RunnableConfig | None = None,
    ) -> list[ExpertPrediction]:
        """Async twin of `infer_checkpoint`."""
        mixture = checkpoint if isinstance(checkpoint, Mixture) else self._alone(checkpoint)
        self._check(mixture)
        rows = self.task.read(examples, labeled=False)
        points = await embed_rows(self._embeddings, rows) if mixture.regions else {}
        routes = mixture.routes([points.get(row.id) for row in rows])
        voted = await label_by_routes(
            mixture, self._labeler.caller, rows, routes, config, explain=explain, threshold=threshold
        )
        return [prediction_of(mixture, vote) for vote in voted]

    def get_scorecard(self, examples: Table, predictions: Sequence[Prediction]) -> Scorecard:
        """Score predictions.

        Args:
            examples: The rows with their labels.
            predictions: As many, in the same order.

        Raises:
            DataError: Their numbers differ, or a label is missing.
        """
        return self._labeler.get_scorecard(examples, predictions)

    def get_score(self, examples: Table, predictions: Sequence[Prediction]) -> float:
        """Return the number that training compares by (`score_fn`).

        Raises:
            DataError: A label is missing.
        """
        return self._labeler.get_score(examples, predictions)

    # -- rulebooks ---------------------------------------------------------------------------------------------

    def rulebook(self, principles: Mapping[Any, Sequence[str]], **fields: Any) -> Mixture:
        """Write a mixture of one rulebook by hand: sentences for each label.

        Raises:
            DataError: A label is not one of the task's.
        """
        return self._alone(self._labeler.rulebook(principles, **fields))

    def print_checkpoint(self, checkpoint: Mixture | Rulebook) -> None:
        """Print a mixture rulebook by rulebook, label by label."""
        print(checkpoint.as_text())  # noqa: T201 (it is what it says)

    def _alone(self, rulebook: Rulebook) -> Mixture:
        name = embeddings_name(self._embeddings)
        return Mixture(general=rulebook, embeddings=name, votes=self._votes, score=rulebook.score)

    def _check(self, mixture: Mixture) -> None:
        mixture.check_task(self.task)
        mixture.check_embeddings(embeddings_name(self._embeddings))


def _rulebook_in(checkpoint: Mixture | Rulebook | None) -> Rulebook | None:
    return checkpoint.general if isinstance(checkpoint, Mixture) else checkpoint
