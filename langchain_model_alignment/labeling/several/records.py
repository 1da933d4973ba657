"""What training rulebooks for several labels leaves behind."""

from pathlib import Path
from typing import Literal, Self

from pydantic import ConfigDict

from langchain_model_alignment.artifacts import json_of, read_as, read_json, write_text
from langchain_model_alignment.constitution import Value
from langchain_model_alignment.labeling.records import TrainingResult
from langchain_model_alignment.labeling.several.rulebook import MultiLabelRulebook
from langchain_model_alignment.labeling.several.scorecard import MultiLabelScorecard
from langchain_model_alignment.usage import Usage

__all__ = ["MultiLabelResult"]


class MultiLabelResult(Value):
    """What training leaves behind."""

    model_config = ConfigDict(ser_json_inf_nan="constants")  # a metric of one's own may give NaN

    kind: Literal["multi-label"] = "multi-label"
    version: Literal[1] = 1
    rulebook: MultiLabelRulebook
    runs: dict[str, TrainingResult]
    """By label, how its rulebook was trained; labels train side by side, so the calls of its steps hold others' too."""
    untrained: tuple[str, ...] = ()
    """Labels that the budget did not pay a beginning for: they have the rulebook that was given, or an empty one."""
    usage: Usage
    """Of everything."""
    scorecard: MultiLabelScorecard | None
    """All rulebooks together on the validation rows; None where the budget did not pay for it."""

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
            ArtifactError: The file is not there, or is no result of training several labels.
        """
        return read_as(cls, read_json(path), str(path), "result of training several labels")
