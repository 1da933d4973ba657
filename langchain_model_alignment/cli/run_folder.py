"""The folder of a training run: what was asked, what was answered, how far it is, and what came of it."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from langchain_model_alignment.artifacts import one_line, read_json, write_text
from langchain_model_alignment.errors import ArtifactError
from langchain_model_alignment.labeling.records import TrainingResult
from langchain_model_alignment.usage import Usage

__all__ = ["Asked", "Record", "RunFolder", "TestScores"]

_FIXED = ("ordered", "seed", "model", "train_model", "metric", "pos_label", "evaluation", "max_precedents")
"""Arguments that may not change while a run goes on."""


class Asked(BaseModel):
    """The arguments of `langchain-align train`."""

    data: str
    inputs: list[str]
    label: str
    labels: list[str | bool | int | float]
    ordered: bool = False
    task: str
    model: str
    train_model: str | None
    validation: str | None
    test: str | None
    steps: int
    seed: int
    metric: str
    pos_label: str | None
    evaluation: str
    max_precedents: int = 0
    concurrency: int
    budget: dict[str, float | None]


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
                f"{self.record_file} is no run of this version ({one_line(error)}); give --out another folder."
            ) from error
        if record.version != 1:
            raise ArtifactError(f"{self.record_file} is of version {record.version}; give --out another folder.")
        return record

    def check(self, old: Record, new: Record) -> None:
        """Refuse to mix two runs.

        Raises:
            ArtifactError: The folder holds a run of another task, of other data or with other settings.
        """
        advice = "give the same again, or --out another folder"
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

    def result(self) -> TrainingResult:
        """Return what the run left behind.

        Raises:
            ArtifactError: It has not ended yet, or training.json is not readable.
        """
        if not self.training.exists():
            raise ArtifactError(f"{self.path} holds no finished run; train with --out {self.path} first.")
        return TrainingResult.load(self.training)


def _shown(value: Any) -> str:
    return "left out" if value is None else str(value)
