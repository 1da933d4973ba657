"""From answers to a table: whose answers do what was asked, at once and after three more wishes."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import mean
from typing import Any, Literal

import numpy as np
from rich.table import Table

from tests.benchmarks.quality.arms import Arm
from tests.benchmarks.quality.scores import draws, interval
from tests.benchmarks.wishes.tasks import BY_NAME, Task

Part = tuple[str, str]
"""Task and arm."""
FIELDS = ("task", "arm")
OURS = "ours"
Field = Literal["after", "still"]


@dataclass(frozen=True)
class Score:
    """One arm on one task.

    Attributes:
        after: Share of new inputs whose answer does what was said.
        still: The same, after three more wishes.
        further: Share of the three more wishes that are kept, over the new inputs.
        lost: Whether a prompt of it could not be filled, or had lost an input.
        calls: How many calls it learned with.
        troubles: How often its learning failed.
    """

    after: float
    still: float
    further: float
    lost: bool
    calls: int
    troubles: int


def score(task: Task, found: dict[str, Any]) -> Score:
    """Check the answers of an arm; no answer passes whose prompt had lost the input, and an empty one neither."""
    passes: dict[tuple[str, str], float] = {}
    heard: list[bool] = []
    for stage in ("after", "still"):
        answered = list(zip(task.new, found[stage]["answers"], strict=True))
        there = [bool(one["asked"]) and all(v in one["asked"] for v in given.values()) for given, one in answered]
        heard += there
        for wish in (task, *(BY_NAME[name] for name in task.further)):
            passes[stage, wish.name] = mean(
                in_it and bool(one["answer"].strip()) and wish.check(one["answer"], given)
                for in_it, (given, one) in zip(there, answered, strict=True)
            )
    return Score(
        after=passes["after", task.name],
        still=passes["still", task.name],
        further=mean(passes["still", name] for name in task.further),
        lost=not all(heard),
        calls=found["learn"]["calls"],
        troubles=len(found["troubles"]),
    )


class Summary:
    """What the results say.

    Args:
        results: By part; those that failed have an error and no answers.
        tasks: The tasks that are measured.
        arms: The arms that are measured.
    """

    def __init__(self, results: dict[Part, dict[str, Any]], tasks: Sequence[Task], arms: Sequence[Arm]) -> None:
        self._arms = arms
        self._planned = planned = [(task.name, arm.name) for task in tasks for arm in arms]
        self.missing = [part for part in planned if "after" not in results.get(part, {})]
        self.failed = {part: results[part]["error"] for part in self.missing if part in results}
        self.scores: dict[str, dict[str, Score]] = defaultdict(dict)
        for part in planned:
            if part not in self.missing:
                name, arm = part
                self.scores[arm][name] = score(BY_NAME[name], results[part])

    def arms(self) -> list[Arm]:
        """Return the arms that have a result, in their order."""
        return [arm for arm in self._arms if arm.name in self.scores]

    def share(self, arm: str, field: Field) -> tuple[float, float, float]:
        """Return the mean share over the tasks of an arm, and its 95% interval."""
        return _mean([getattr(found, field) for found in self.scores[arm].values()])

    def ahead(self, arm: str, field: Field) -> tuple[float, float, float, int] | None:
        """Return how far ours is ahead of an arm, the 95% interval, and over how many tasks, which both have done."""
        own, theirs = self.scores.get(OURS, {}), self.scores[arm]
        both = [name for name in own if name in theirs]
        if arm == OURS or not both:
            return None
        return *_mean([getattr(own[name], field) - getattr(theirs[name], field) for name in both]), len(both)

    def table(self, title: str) -> Table:
        """Lay out the shares and what they cost."""
        table = Table("arm", title=title, title_justify="left")
        wished = ("next\nanswers", "after three\nmore wishes", "the three\nmore")
        for heading in ("tasks", *wished, "calls to\nlearn", "lost an\ninput"):
            table.add_column(heading, justify="right")
        for arm in self.arms():
            scores = list(self.scores[arm.name].values())
            table.add_row(
                arm.name,
                f"{len(scores)}",
                f"{self.share(arm.name, 'after')[0]:.2f}",
                f"{self.share(arm.name, 'still')[0]:.2f}",
                f"{mean(one.further for one in scores):.2f}",
                f"{mean(one.calls for one in scores):.1f}",
                f"{sum(one.lost for one in scores)}",
            )
        return table

    def distances(self) -> Table:
        """Lay out how far ours is ahead of the others."""
        table = Table("ours is ahead of", title="with the 95% interval over tasks", title_justify="left")
        for heading in ("next answers", "after three\nmore wishes"):
            table.add_column(heading, justify="right", no_wrap=True)
        for arm in self.arms():
            after, still = self.ahead(arm.name, "after"), self.ahead(arm.name, "still")
            if after and still:
                table.add_row(arm.name, _distance(after), _distance(still))
        return table

    def kinds(self) -> Table:
        """Lay out both shares by the kind of the wish."""
        kinds = list(dict.fromkeys(BY_NAME[name].kind for name, _ in self._planned))
        table = Table("arm", title="next answers · after three more wishes", title_justify="left")
        for kind in kinds:
            table.add_column(kind, justify="right")
        for arm in self.arms():
            table.add_row(arm.name, *(self._of_kind(arm.name, kind) for kind in kinds))
        return table

    def _of_kind(self, arm: str, kind: str) -> str:
        scores = [found for name, found in self.scores[arm].items() if BY_NAME[name].kind == kind]
        return f"{mean(s.after for s in scores):.2f} · {mean(s.still for s in scores):.2f}" if scores else "–"

    def lacks(self) -> list[str]:
        """Say what is missing, what failed and why, and how often learning failed, a line each."""
        lines = [f"Missing: {len(self.missing)} of {len(self._planned)} parts."] if self.missing else []
        lines += [f"Failed: {name}, {arm}: {why[-500:]}" for (name, arm), why in self.failed.items()]
        for arm, scores in self.scores.items():
            if troubles := sum(one.troubles for one in scores.values()):
                lines.append(f"{arm}: {troubles} steps of learning failed, and left the prompt as it was.")
        return lines

    def as_json(self) -> dict[str, Any]:
        """Return the numbers."""
        return {
            arm.name: {
                "after": self.share(arm.name, "after"),
                "still": self.share(arm.name, "still"),
                "ours_ahead_after": self.ahead(arm.name, "after"),
                "ours_ahead_still": self.ahead(arm.name, "still"),
                "tasks": {name: asdict(one) for name, one in self.scores[arm.name].items()},
            }
            for arm in self.arms()
        }


def _mean(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean, and its 95% interval by a bootstrap over tasks, whose draws are the same for every arm."""
    drawn = draws(len(values)) @ np.asarray(values) / len(values)
    return mean(values), *interval(drawn)


def _distance(found: tuple[float, float, float, int]) -> str:
    gap, low, high, _ = found
    return f"{gap:+.2f} ({low:+.2f} to {high:+.2f})"
