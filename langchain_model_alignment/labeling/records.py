"""What a training run is told, and what it leaves behind: plain values, JSON in and out."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NotRequired, Self

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator
from typing_extensions import TypedDict

from langchain_model_alignment.artifacts import json_of, read_as, read_json, write_text
from langchain_model_alignment.constitution import Value
from langchain_model_alignment.errors import DataError
from langchain_model_alignment.labeling.calibration import FEW_LABELS
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.scorecard import METRICS, Scorecard
from langchain_model_alignment.labeling.task import as_data_error
from langchain_model_alignment.usage import Usage

__all__ = ["CandidateRecord", "Mistake", "StepRecord", "TrainingHyperparameters", "TrainingResult"]


_LEAST = 5  # rows; fewer tell nothing
_SIZES = {
    "n_calibration_examples": 9,
    "n_validation_examples": 6,
    "max_validation_examples": 6,
    "n_mining_examples": 20,
    "n_evidence_examples": 40,
}
"""Into how many parts a budget of calls is cut, for the most rows that one purpose may take."""
_SIZES_OF_MANY = {"n_calibration_examples": 14}


class TrainingHyperparameters(Value):
    """How a rulebook is trained; the names and defaults of model-alignment 0.3, and what it lacked.

    Raises:
        DataError: A number is too small, or the metric has no such name.

    Example:
        >>> TrainingHyperparameters(n_best=2).n_mutations_to_try
        2
    """

    seed: int = 0
    n_incorrect_predictions_to_sample: int = 3
    """Groups of mistakes that a step learns from."""
    n_mutations_to_try: int = 2
    """Edits to try for each group."""
    n_best: int = 3
    """Rulebooks kept from step to step by `train`; `train_step` keeps one."""
    score_fn: str | Callable[..., float] = "accuracy"
    """`accuracy`, `f1`, `f1_binary`, `balanced_accuracy`, `kappa`, or a function of the true and the given labels.

    For ordered labels also `quadratic_kappa`, and `mae`: the mean absolute error times -1, so that higher is better.
    """
    pos_label: Any = None
    """For `f1_binary`: the label whose F1 counts; the first one by default."""
    n_validation_examples: int = 100
    """Training rows set apart (at most 30%) where no validation table is given."""
    max_validation_examples: int | None = None
    """Rows of a validation table that rulebooks are compared on, at most; all, by default."""
    truncation_length: int | None = 100
    """The most words of each input."""
    max_candidates: int = 6
    """Proposals that a step tries, at most; a deletion, a crossover and a combination come on top."""
    max_principles_per_label: int = 8
    max_precedents: int = 0
    """Training rows that a rulebook may show with their labels, chosen from hard mistakes like any other edit."""
    n_mining_examples: int = 32
    """Training rows that a step labels at least, to find mistakes."""
    n_calibration_examples: int = 40
    """Training rows that each candidate's bias is learned on; only with log probabilities.

    Of a small model three times as many, where there are, for what the checks of a checklist are worth, and for three
    labels and more.
    """
    n_screening_examples: int = 15
    """Training rows that candidates are sorted by, before they are raced; only for labels read as text."""
    n_evidence_examples: int = 8
    """Training rows of a step for which the principle that decided is asked for."""
    evaluation: Literal["race", "full"] = "race"
    """`full` scores every candidate on every validation row."""
    block_size: int | None = None
    """Validation rows of a race's first block; 50 on a local model and 32 elsewhere, by default."""
    patience: int = 5
    """Steps without gain after which `train` stops."""

    if not TYPE_CHECKING:  # who checks types sees the fields

        def __init__(self, **fields: Any) -> None:
            try:
                super().__init__(**fields)
            except ValidationError as error:
                raise as_data_error(error, "The hyperparameters do not fit") from None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        for name, least in (
            *(("n_incorrect_predictions_to_sample", 1), ("n_mutations_to_try", 1), ("n_best", 1)),
            *(("n_validation_examples", 1), ("max_candidates", 1), ("max_principles_per_label", 1), ("patience", 1)),
            *(("n_mining_examples", 1), ("n_calibration_examples", 2), ("n_screening_examples", 0)),
            *(("n_evidence_examples", 0), ("block_size", 1), ("max_precedents", 0)),
            ("max_validation_examples", 1),
        ):
            if (given := getattr(self, name)) is not None and given < least:
                raise DataError(f"The hyperparameter {name} is {given}; give at least {least}.")
        if isinstance(self.score_fn, str) and self.score_fn not in METRICS:
            raise DataError(f"There is no score_fn {self.score_fn!r}; take one of {', '.join(METRICS)}, or a function.")
        return self

    def sized_for(self, max_calls: int | None, n_labels: int = 2) -> Self:
        """Return the settings with which so many calls pay for a beginning that is fitted and scored.

        A ninth of the calls is the most that a layout or a bias may cost (a small model's checklist is fitted on three
        times as many rows; with three labels and more all that it is asked is, so there it is a fourteenth), a sixth
        the most that a score may. With a small model it takes some 700 calls until a step is paid for too. What was set
        by hand stays as it is.

        Args:
            max_calls: What the run may spend; without a limit the defaults stand.
            n_labels: How many labels there are.

        Example:
            >>> TrainingHyperparameters(n_mining_examples=8).sized_for(300).n_calibration_examples
            33
        """
        sizes = {name: getattr(self, name) for name in _SIZES}
        if max_calls is not None:
            shares = _SIZES if n_labels <= FEW_LABELS else {**_SIZES, **_SIZES_OF_MANY}
            for name, share in shares.items():
                if name not in self.model_fields_set:
                    most = max(_LEAST, max_calls // share)
                    sizes[name] = most if sizes[name] is None else min(sizes[name], most)
        return self.model_copy(update=sizes)

    @field_validator("pos_label", mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return value.item() if hasattr(value, "item") else value


class CandidateRecord(TypedDict):
    """A rulebook that was tried in a step."""

    id: str
    parent: str | None
    origin: Literal["initial", "zero-shot", "proposal", "combination", "deletion", "crossover", "precedent", "person"]
    reason: str
    """Why it was proposed."""
    edits: list[dict[str, Any]]
    """What was done to the parent, as JSON of primitive edits."""
    changes: list[str]
    """The same for a reader: `+ p7: …`, `- p2: …`, `~ p1: old -> new`."""
    evidence: list[str]
    """Ids of the training rows behind it."""
    screened: float | None
    """Gain over the parent on training rows: of the share that is right, or of the likelihood."""
    score: float | None
    """On the validation rows it was raced over."""
    rows: int
    """How many those were."""
    principles: int
    left: str
    """Why it is out of the race; empty for the ones that were scored on all rows."""


class StepRecord(TypedDict):
    """One step of training; step 0 scores what training begins with."""

    step: int
    parent: str | None
    sampled: int
    """Training rows that were labeled to find mistakes."""
    wrong: int
    abstained: int
    """Of the wrong ones, those without a readable label."""
    failures: dict[str, int]
    """Calls that failed for good, by the class of the error, proposals among them."""
    refused: list[str]
    """Proposals that were not tried, and why."""
    candidates: list[CandidateRecord]
    best: str
    """Id of the best rulebook after the step."""
    score: float
    interval: list[float]
    """95% confidence of the score's accuracy over the validation rows."""
    gained: bool
    calls: int
    tokens: int
    seconds: float
    corrected: NotRequired[int]
    """Training rows that people gave or corrected; left out where there are none."""


class Mistake(TypedDict):
    """A validation row that the trained rulebook gets wrong."""

    row: str
    label: str
    prediction: str
    confidence: float | None


class TrainingResult(Value):
    """What a training run leaves behind."""

    model_config = ConfigDict(ser_json_inf_nan="constants")  # a metric of one's own may give NaN

    version: Literal[1] = 1
    rulebook: Rulebook
    """The best one on the validation rows."""
    initial: Rulebook
    """What training began with."""
    history: tuple[StepRecord, ...]
    usage: Usage
    stopped_because: str
    scorecard: Scorecard
    """The best rulebook on the validation rows."""
    zero_shot: Scorecard | None = None
    """The task and labels alone, calibrated where the model allows it, on the same rows."""
    mistakes: tuple[Mistake, ...] = ()
    """The validation rows that remain wrong; the surest mistakes first, and not more than fifty."""
    about: dict[str, Any] = Field(default_factory=dict)
    """Models, fingerprints of the data, number of rows, hyperparameters."""

    def save(self, path: str | Path) -> Path:
        """Write everything to a JSON file.

        Raises:
            ArtifactError: It cannot be written.
        """
        return write_text(path, json_of(self, indent=1))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read it from a JSON file.

        Raises:
            ArtifactError: The file is not there, or is no training result.
        """
        return read_as(cls, read_json(path), str(path), "training result")
