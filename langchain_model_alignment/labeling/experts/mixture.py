"""The artifact: a general rulebook, the experts, and the regions that tell which of them labels a row."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from langchain_model_alignment.artifacts import json_of, read_as, read_json, write_text
from langchain_model_alignment.constitution import Principle, Value, digest
from langchain_model_alignment.errors import ArtifactError
from langchain_model_alignment.labeling.rulebook import Rulebook, Score
from langchain_model_alignment.labeling.task import LabelingTask

if TYPE_CHECKING:
    import numpy as np

    Vector = np.ndarray[Any, Any]

__all__ = ["GENERAL", "Mixture", "Region", "Route"]

GENERAL = "general"
"""What the rulebook is called that labels whatever lies in no expert's region."""

Route = tuple[tuple[str, float], ...]
"""Who labels a row: names of rulebooks with their weights, the nearest first."""


class Region(Value):
    """A part of the data, by the direction of its rows' embeddings."""

    centroid: tuple[float, ...]
    """Of length 1."""
    reach: float
    """The least cosine similarity to the centroid of a row that belongs here, from -1 to 1."""
    rulebook: str
    """The name of the expert that labels its rows, or `general`."""
    rows: int = 0
    """Training rows that it was made of."""
    words: tuple[str, ...] = ()
    """Words that set its rows apart, for a reader."""


class Mixture(Value):
    """A general rulebook and experts for regions of the data; plain JSON that goes to a file and back.

    Without regions it is the general rulebook alone.

    Example:
        >>> task = LabelingTask(input_names=["comment"], label_name="toxic", label_values=["yes", "no"])
        >>> general = Rulebook.of(task, {"yes": ["It insults a person."]})
        >>> expert = Rulebook.of(task, {"yes": ["It insults a team."]})
        >>> mixture = Mixture(
        ...     general=general, experts={"e1": expert}, embeddings="Toy",
        ...     regions=(Region(centroid=(1, 0), reach=0.5, rulebook="e1"),),
        ... )
        >>> mixture.routes([[0.8, 0.6], [0.0, 1.0], None])
        [(('e1', 0.8),), (('general', 1.0),), (('general', 1.0),)]
    """

    kind: Literal["mixture"] = "mixture"
    version: Literal[1] = 1
    general: Rulebook
    experts: dict[str, Rulebook] = Field(default_factory=dict)
    """By name."""
    regions: tuple[Region, ...] = ()
    embeddings: str = ""
    """The name of the embeddings that the centroids come from."""
    votes: int = Field(default=1, ge=1)
    """How many of the nearest regions vote on a row."""
    score: Score | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        tasks = {rulebook.task.fingerprint() for rulebook in self.rulebooks.values()}
        if len(tasks) > 1:
            raise ValueError("its rulebooks are of different tasks")
        if GENERAL in self.experts:
            raise ValueError(f"an expert is called {GENERAL!r}, which names the rulebook for the rest")
        if unknown := sorted({region.rulebook for region in self.regions} - set(self.rulebooks)):
            raise ValueError(f"a region belongs to {unknown[0]!r}, and there is no such expert")
        if len({len(region.centroid) for region in self.regions}) > 1:
            raise ValueError("its centroids differ in length")
        return self

    @property
    def task(self) -> LabelingTask:
        """What is labeled."""
        return self.general.task

    @property
    def steps(self) -> int:
        """Training steps behind it, those of the most trained rulebook."""
        return max(rulebook.steps for rulebook in self.rulebooks.values())

    @property
    def rulebooks(self) -> dict[str, Rulebook]:
        """All rulebooks by name, the general one first."""
        return {GENERAL: self.general, **self.experts}

    def routes(self, points: Sequence["Sequence[float] | Vector | None"]) -> list[Route]:
        """Tell who labels each row.

        A row goes to the nearest region that it is within reach of, with `votes` above 1 to as many of the nearest,
        weighted by similarity. One that is far from all of them goes to the general rulebook.

        Args:
            points: The direction of each row's embedding, of length 1; None for a row without one.

        Raises:
            ArtifactError: The vectors are longer or shorter than the centroids.
        """
        import numpy as np

        rest: Route = ((GENERAL, 1.0),)
        known = [at for at, point in enumerate(points) if point is not None]
        if not self.regions or not known:
            return [rest] * len(points)
        table = np.asarray([points[at] for at in known], dtype=float)
        if table.shape[1] != len(self.regions[0].centroid):
            raise ArtifactError(
                f"The embeddings give vectors of {table.shape[1]} numbers, and this mixture was trained on "
                f"{len(self.regions[0].centroid)}: use {self.embeddings}."
            )
        routes = [rest] * len(points)
        for at, similar in zip(known, table @ np.asarray([region.centroid for region in self.regions]).T, strict=True):
            routes[at] = self._route(similar.tolist()) or rest
        return routes

    def region_of(self, point: "Vector | None") -> int | None:
        """Return the index of the region that a row lies in; None where it is far from all of them."""
        if point is None:
            return None
        return next(iter(self._within([float(point @ region.centroid) for region in self.regions])), None)

    def _within(self, similar: Sequence[float]) -> list[int]:
        """The regions that a row lies within reach of, the nearest first."""
        within = [i for i, region in enumerate(self.regions) if similar[i] >= region.reach]
        return sorted(within, key=lambda i: (-similar[i], i))

    def _route(self, similar: Sequence[float]) -> Route:
        weights: dict[str, float] = {}
        for at in self._within(similar)[: self.votes]:
            name = self.regions[at].rulebook
            weights[name] = weights.get(name, 0.0) + max(similar[at], 0.0)
        return tuple(weights.items())

    def shared(self) -> list[Principle]:
        """Return the general rulebook's principles that every expert shows too."""
        experts = [{(p.label, p.sentence()) for p in expert.enabled()} for expert in self.experts.values()]
        return [p for p in self.general.enabled() if all((p.label, p.sentence()) in shown for shown in experts)]

    def check_task(self, task: LabelingTask) -> None:
        """Refuse to be used for another task.

        Raises:
            ArtifactError: The task differs in its inputs, labels, question or truncation.
        """
        self.general.check_task(task)

    def check_embeddings(self, name: str) -> None:
        """Refuse other embeddings than the ones it was trained with.

        Raises:
            ArtifactError: They are others.
        """
        if self.regions and name != self.embeddings:
            raise ArtifactError(
                f"This mixture was trained with the embeddings {self.embeddings}, and these are {name}: its regions "
                "mean nothing there; give the same ones, or train anew."
            )

    def fingerprint(self) -> str:
        """Return a hash of everything that decides a label."""
        regions = [[region.centroid, region.reach, region.rulebook] for region in self.regions]
        books = {name: rulebook.fingerprint() for name, rulebook in self.rulebooks.items()}
        return digest([books, regions, self.embeddings, self.votes])

    def as_text(self) -> str:
        """Return the mixture as a person reads it: rulebook by rulebook, with the words of their regions."""
        if not self.experts:
            return self.general.as_text()
        return "\n\n".join(f"{self._title(name)}\n\n{book.as_text()}" for name, book in self.rulebooks.items())

    def _title(self, name: str) -> str:
        regions = [region for region in self.regions if region.rulebook == name]
        rows = sum(region.rows for region in regions)
        about = "; ".join(", ".join(region.words) for region in regions if region.words)
        return f"######## {name}" + (f": {rows} training rows" if regions else "") + (f" ({about})" if about else "")

    def to_json(self) -> str:
        """Return the mixture as JSON."""
        return json_of(self)

    def save(self, path: str | Path) -> Path:
        """Write the mixture to a JSON file, whole or not at all.

        Raises:
            ArtifactError: It cannot be written.
        """
        return write_text(path, self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a mixture from a JSON file.

        Raises:
            ArtifactError: The file is not there, or is no mixture.
        """
        return cls.from_dict(read_json(path), str(path))

    @classmethod
    def from_dict(cls, value: Any, where: str = "The value") -> Self:
        """Read a mixture from plain data; a rulebook is a mixture without experts.

        Raises:
            ArtifactError: It is neither.
        """
        if isinstance(value, Mapping) and "constitution" in value:
            return cls(general=Rulebook.from_dict(value, where))
        return read_as(cls, value, where, "mixture")
