"""The artifact: a yes-or-no rulebook for each label that a row may have."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from langchain_model_alignment.artifacts import json_of, read_as, read_json, write_text
from langchain_model_alignment.constitution import Value, digest
from langchain_model_alignment.errors import ArtifactError
from langchain_model_alignment.labeling.rulebook import Rulebook, Score
from langchain_model_alignment.labeling.several.reading import binary_task
from langchain_model_alignment.labeling.task import LabelingTask

__all__ = ["MultiLabelRulebook"]


class MultiLabelRulebook(Value):
    """A rulebook for each label that a row may have; plain JSON that goes to a file and back.

    Example:
        >>> task = LabelingTask(input_names=["post"], label_name="topics", label_values=["sport", "money"])
        >>> sport = Rulebook.of(binary_task(task, "sport"), {"yes": ["It names a team."]})
        >>> book = MultiLabelRulebook(task=task, rulebooks={"sport": sport}, fixed={"money": False})
        >>> print(book.as_text())
        ######## sport
        yes: It names a team.
        <BLANKLINE>
        ######## money
        (given to no row)
    """

    kind: Literal["multi-label"] = "multi-label"
    version: Literal[1] = 1
    task: LabelingTask
    """Its `label_values` are all labels that a row may have."""
    rulebooks: dict[str, Rulebook] = Field(default_factory=dict)
    """By label: tells whether a row has it."""
    fixed: dict[str, bool] = Field(default_factory=dict)
    """Labels that could not be learned, since hardly a training row had or lacked them: given to every row, or none."""
    score: Score | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if sorted([*self.rulebooks, *self.fixed]) != sorted(self.task.labels):
            raise ValueError("its rulebooks are not one for each label of its task")
        for label, rulebook in self.rulebooks.items():
            if rulebook.task.fingerprint() != binary_task(self.task, label).fingerprint():
                raise ValueError(f"its rulebook for {label!r} is of another task")
        return self

    def check_task(self, task: LabelingTask) -> None:
        """Refuse to be used for another task.

        Raises:
            ArtifactError: The task differs in its inputs, labels, question or truncation.
        """
        if self.task.fingerprint() != task.fingerprint():
            raise ArtifactError(
                f"The rulebook is of another task (fingerprint {self.task.fingerprint()}, this one has "
                f"{task.fingerprint()}): its question is {self.task.question!r} over "
                f"{', '.join(self.task.input_names)}, with the labels {', '.join(self.task.labels[:20])}; use that "
                "task, or train a rulebook for this one."
            )

    def fingerprint(self) -> str:
        """Return a hash of everything that a model is shown, and of the labels that are fixed."""
        books = {label: rulebook.fingerprint() for label, rulebook in sorted(self.rulebooks.items())}
        return digest([self.task.fingerprint(), books, dict(sorted(self.fixed.items()))])

    def as_text(self) -> str:
        """Return the rulebooks as a person reads them, label by label."""
        return "\n\n".join(f"######## {label}\n{self._lines(label)}" for label in self.task.labels)

    def _lines(self, label: str) -> str:
        if label in self.fixed:
            return f"(given to {'every' if self.fixed[label] else 'no'} row)"
        lines = [f"{p.label}: {p.sentence()}" for p in self.rulebooks[label].enabled()]
        return "\n".join(lines or ["(no principles)"])

    def to_json(self) -> str:
        """Return the rulebooks as JSON."""
        return json_of(self)

    def save(self, path: str | Path) -> Path:
        """Write the rulebooks to a JSON file, whole or not at all.

        Raises:
            ArtifactError: It cannot be written.
        """
        return write_text(path, self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read them from a JSON file.

        Raises:
            ArtifactError: The file is not there, or holds no multi-label rulebook.
        """
        return cls.from_dict(read_json(path), str(path))

    @classmethod
    def from_dict(cls, value: Any, where: str = "The value") -> Self:
        """Read them from plain data.

        Raises:
            ArtifactError: It is no multi-label rulebook.
        """
        return read_as(cls, value, where, "multi-label rulebook")
