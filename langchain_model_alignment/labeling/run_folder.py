"""The folder of a training run: what was asked, what was answered, how far it is, and what came of it."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from langchain_model_alignment.artifacts import json_of, one_line, read_as, read_json, write_text
from langchain_model_alignment.cache import AnswerCache
from langchain_model_alignment.calls import ChatModelLike
from langchain_model_alignment.errors import ArtifactError, ConfigurationError
from langchain_model_alignment.labeling.additions import Additions
from langchain_model_alignment.labeling.labeler import Labeler
from langchain_model_alignment.labeling.records import TrainingHyperparameters, TrainingResult
from langchain_model_alignment.labeling.report import write_report
from langchain_model_alignment.labeling.task import LabelingTask
from langchain_model_alignment.usage import Budget, Usage

__all__ = ["Asked", "Record", "RunFolder", "TestScores"]

_FIXED = ("ordered", "seed", "model", "train_model", "metric", "pos_label", "evaluation", "max_precedents")
"""Arguments that may not change while a run goes on."""


class Asked(BaseModel):
    """The arguments of `langchain-align train`, which a run that was begun elsewhere has too."""

    data: str
    inputs: list[str]
    label: str
    labels: list[str | bool | int | float]
    ordered: bool = False
    task: str
    model: str
    train_model: str | None = None
    validation: str | None = None
    test: str | None = None
    steps: int
    seed: int = 0
    metric: str = "accuracy"
    pos_label: str | None = None
    evaluation: Literal["race", "full"] = "race"
    max_precedents: int = 0
    concurrency: int = 32
    budget: dict[str, float | None]
    sized_for: int | None = None
    """The calls that the run was begun with: by them its samples were sized, which stay when the budget is raised."""

    def hyperparameters(self) -> TrainingHyperparameters:
        """Return the settings that are asked for.

        Raises:
            DataError: One makes no sense.
        """
        return TrainingHyperparameters(
            seed=self.seed,
            score_fn=self.metric,
            pos_label=self.pos_label,
            evaluation=self.evaluation,
            max_precedents=self.max_precedents,
        ).sized_for(self.sized_for, len(self.labels))

    def labeling_task(self) -> LabelingTask:
        """Return the task that is asked about.

        Raises:
            DataError: It makes no sense.
        """
        return LabelingTask(
            input_names=tuple(self.inputs),
            label_name=self.label,
            label_values=tuple(self.labels),
            task_description=self.task,
            truncation_length=self.hyperparameters().truncation_length,
            ordered=self.ordered,
        )

    def labeler(self, writer: ChatModelLike, answerer: ChatModelLike, cache: AnswerCache) -> Labeler:
        """Return the labeler that is asked for.

        Args:
            writer: The model that writes principles.
            answerer: The model that labels.
            cache: Where answers are kept.

        Raises:
            DataError: The task or a setting makes no sense.
            BudgetError: The budget makes no sense.
        """
        return Labeler(
            self.inputs,
            self.label,
            self.labels,
            self.task,
            writer,
            answerer,
            ordered=self.ordered,
            hparams=self.hyperparameters(),
            max_concurrency=self.concurrency,
            budget=Budget.model_validate(self.budget),
            cache=cache,
        )


class TestScores(BaseModel):
    """What rulebooks reached on rows that training never saw."""

    data: str
    """Fingerprint of the rows."""
    rows: int
    trained: float
    interval: tuple[float, float]
    """Of the accuracy."""
    zero_shot: float | None


class Record(BaseModel):
    """What is in run.json."""

    version: int = 1
    task_fingerprint: str
    data_fingerprint: str
    arguments: Asked
    finished: bool = False
    out_of_budget: bool = False
    test: TestScores | None = None


class _Spent(BaseModel):
    usage: Usage = Usage()
    seconds: float = 0.0


class RunFolder:
    """Where a run is kept, so that the same command goes on with it.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record_file = path / "run.json"
        self.usage_file = path / "usage.json"
        self.additions_file = path / "additions.json"
        self.answers = path / "answers.sqlite"
        self.checkpoints = path / "checkpoints.sqlite"
        self.rulebook = path / "rulebook.json"
        self.training = path / "training.json"
        self.report = path / "report.html"

    def record(self) -> Record | None:
        """Return what is known of the run; None where none was begun.

        Raises:
            ArtifactError: run.json is none.
        """
        if not self.record_file.exists():
            return None
        try:
            record = Record.model_validate(read_json(self.record_file))
        except ValidationError as error:
            raise ArtifactError(
                f"{self.record_file} is no run of this version ({one_line(error)}); give another folder."
            ) from error
        if record.version != 1:
            raise ArtifactError(f"{self.record_file} is of version {record.version}; give another folder.")
        return record

    def check(self, old: Record, new: Record) -> None:
        """Refuse to mix two runs.

        Raises:
            ArtifactError: The folder holds a run of another task, of other data or with other settings.
        """
        advice = "give the same again, or another folder"
        for what, before, now in (
            ("of another task", old.task_fingerprint, new.task_fingerprint),
            ("of other data", old.data_fingerprint, new.data_fingerprint),
        ):
            if before != now:
                raise ArtifactError(
                    f"{self.path} holds a run {what} (fingerprint {before}, the one given has {now}): {advice}."
                )
        for name in _FIXED:
            before, now = getattr(old.arguments, name), getattr(new.arguments, name)
            if before != now:
                option = f"--{name.replace('_', '-')}"
                raise ArtifactError(
                    f"{self.path} holds a run with {option} {_shown(before)}, not {_shown(now)}: {advice}."
                )

    def write(self, record: Record) -> None:
        """Keep what is known of the run.

        Raises:
            ArtifactError: It cannot be written.
        """
        write_text(self.record_file, record.model_dump_json(indent=1) + "\n")

    def spent(self) -> tuple[Usage, float]:
        """Return what earlier processes used for this run, and for how many seconds they ran.

        Raises:
            ArtifactError: usage.json is not readable.
        """
        if not self.usage_file.exists():
            return Usage(), 0.0
        try:
            spent = _Spent.model_validate(read_json(self.usage_file))
        except ValidationError as error:
            raise ArtifactError(f"{self.usage_file} cannot be read ({one_line(error)}); remove it.") from error
        return spent.usage, spent.seconds

    def write_spent(self, usage: Usage) -> None:
        """Keep what this run used so far, with the time since its first call.

        Raises:
            ArtifactError: It cannot be written.
        """
        write_text(self.usage_file, _Spent(usage=usage, seconds=usage.elapsed()).model_dump_json() + "\n")

    def additions(self) -> Additions:
        """Return what people added to the run.

        Raises:
            ArtifactError: additions.json is not readable.
        """
        if not self.additions_file.exists():
            return Additions()
        return read_as(Additions, read_json(self.additions_file), str(self.additions_file), "list of additions")

    def write_additions(self, additions: Additions) -> None:
        """Keep what people added to the run.

        Raises:
            ArtifactError: It cannot be written.
        """
        write_text(self.additions_file, json_of(additions, indent=1))

    def keep(self, result: TrainingResult) -> str:
        """Write the rulebook, the result and the report, and return why there is no report; empty where there is one.

        Raises:
            ArtifactError: One of them cannot be written.
        """
        result.rulebook.save(self.rulebook)
        result.save(self.training)
        try:
            write_report(result, self.report)
        except ConfigurationError as error:
            if isinstance(error, ArtifactError):
                raise
            return f"No report was written: {error}"
        return ""

    def result(self) -> TrainingResult:
        """Return what the run left behind.

        Raises:
            ArtifactError: It has not ended yet, or training.json is not readable.
        """
        if not self.training.exists():
            raise ArtifactError(f"{self.path} holds no finished run; train one there first.")
        return TrainingResult.load(self.training)


def _shown(value: Any) -> str:
    return "left out" if value is None else str(value)
