"""What training a mixture leaves behind: the divisions that were tried, and the result that a person keeps."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field

from langchain_model_alignment.artifacts import json_of, read_as, read_json, write_text
from langchain_model_alignment.constitution import Value
from langchain_model_alignment.labeling.experts.mixture import Mixture
from langchain_model_alignment.labeling.records import Mistake, StepRecord, TrainingResult
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.scorecard import Scorecard
from langchain_model_alignment.usage import Usage

__all__ = ["Half", "MixtureResult", "Place", "Trial"]


class Half(Value):
    """One side of a division that was tried, and the expert that was trained for it."""

    name: str
    """What the expert is called."""
    training_rows: int
    validation_rows: int
    decided_on: int = 0
    """Training rows kept from the expert, on which it was compared with the rulebook that it began from."""
    before: int = 0
    """How many of those that one labels rightly."""
    after: int = 0
    """How many the expert does."""
    kept: bool = False
    run: TrainingResult | None = None
    """How the expert was trained; experts train side by side, so the calls of its steps hold those of others too."""


class Trial(Value):
    """A region, and what came of dividing it."""

    region: str
    """The name of the rulebook that labeled it before."""
    verdict: str
    """What was decided, and why, in a sentence."""
    divided: bool = False
    halves: tuple[Half, ...] = ()


class Place(Value):
    """A row in the picture of the regions."""

    x: float
    y: float
    region: int | None
    """Index of its region; None where it lies in none."""
    right: bool | None = None
    """Whether it is labeled rightly; None for a training row."""


class MixtureResult(Value):
    """What training a mixture leaves behind; it can be used wherever a `TrainingResult` is read."""

    model_config = ConfigDict(ser_json_inf_nan="constants")  # a metric of one's own may give NaN

    kind: Literal["mixture"] = "mixture"
    version: Literal[1] = 1
    rulebook: Mixture
    """The mixture; without experts where one rulebook is as good."""
    general: TrainingResult
    """How the rulebook was trained that all experts began from."""
    trials: tuple[Trial, ...] = ()
    changes: tuple[str, ...] = ()
    """What was merged, dropped and moved after training, a sentence each."""
    usage: Usage
    """Of everything, the experts' training included."""
    stopped_because: str
    scorecard: Scorecard
    """The mixture on the validation rows."""
    region_scores: tuple[tuple[int, int], ...] = ()
    """For each region its validation rows, and how many of them are labeled rightly."""
    mistakes: tuple[Mistake, ...] = ()
    """The validation rows that remain wrong; the surest mistakes first, and not more than fifty."""
    places: tuple[Place, ...] = ()
    """Rows on the plane on which they differ most."""
    centers: tuple[tuple[float, float], ...] = ()
    """Where the regions' centroids lie on it."""
    about: dict[str, Any] = Field(default_factory=dict)

    @property
    def initial(self) -> Rulebook:
        """What training began with."""
        return self.general.initial

    @property
    def history(self) -> tuple[StepRecord, ...]:
        """The steps of the general rulebook; the experts' own are in `trials`."""
        return self.general.history

    @property
    def zero_shot(self) -> Scorecard | None:
        """The task and labels alone on the same rows."""
        return self.general.zero_shot

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
            ArtifactError: The file is not there, or is no result of training a mixture.
        """
        return read_as(cls, read_json(path), str(path), "result of training a mixture")
