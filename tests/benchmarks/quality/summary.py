"""From results to a table: scores by set, means and ranks over sets, and the distance of each arm from ours."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import numpy as np
from rich.table import Table

from tests.benchmarks.quality.arms import ARMS
from tests.benchmarks.quality.record import Part
from tests.benchmarks.quality.scores import accuracy, draws, interval, macro_f1, once
from tests.benchmarks.quality.sets import LabeledSet

OURS = "ours"


@dataclass(frozen=True)
class Cell:
    """One arm on one set, the mean over its seeds."""

    f1: float
    accuracy: float
    low: float
    high: float
    calls: float
    seeds: int


class Summary:
    """What the results say.

    Args:
        results: By part; parts that failed have no predictions.
        sets: The sets that were measured.
        planned: All parts there are to be.
    """

    def __init__(
        self, results: dict[Part, dict[str, Any]], sets: Sequence[LabeledSet], planned: Sequence[Part]
    ) -> None:
        self.planned = planned
        self.names = [s.name for s in sets]
        self.missing = [part for part in planned if "predictions" not in results.get(part, {})]
        self.failed = {part: results[part]["error"] for part in self.missing if part in results}
        self._drawn: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
        self.cells: dict[tuple[str, str], Cell] = {}
        for known in sets:
            self._read(known, [r for part, r in results.items() if part[0] == known.name and "predictions" in r])

    def _read(self, known: LabeledSet, results: list[dict[str, Any]]) -> None:
        truth, n = [row["label"] for row in known.test], len(known.test)
        by_arm: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for result in results:
            by_arm[result["arm"]].append(result)
        for arm, runs in by_arm.items():
            given = [run["predictions"] for run in runs]
            drawn = np.mean([macro_f1(truth, g, known.labels, draws(n)) for g in given], axis=0)
            self._drawn[arm][known.name] = drawn
            low, high = interval(drawn)
            self.cells[arm, known.name] = Cell(
                f1=mean(float(macro_f1(truth, g, known.labels, once(n))[0]) for g in given),
                accuracy=mean(float(accuracy(truth, g, once(n))[0]) for g in given),
                low=low,
                high=high,
                calls=mean(run["train"]["calls"] for run in runs),
                seeds=len(runs),
            )

    def arms(self) -> list[str]:
        """Return the arms that have a result, in their order."""
        return [arm.name for arm in ARMS if any((arm.name, name) in self.cells for name in self.names)]

    def shared(self) -> list[str]:
        """Return the sets that every arm with a result has one on: only over these do means compare."""
        return [name for name in self.names if all((arm, name) in self.cells for arm in self.arms())]

    def mean_f1(self, arm: str, names: Sequence[str]) -> float:
        """Return the mean macro-F1 over sets."""
        return mean(self.cells[arm, name].f1 for name in names)

    def rank(self, arm: str, names: Sequence[str]) -> float:
        """Return the mean rank by macro-F1 over sets, 1 for the best; equal ones share a rank."""
        ranks = []
        for name in names:
            own = self.cells[arm, name].f1
            others = [self.cells[other, name].f1 for other in self.arms() if (other, name) in self.cells]
            ranks.append(sum(f1 > own for f1 in others) + (sum(f1 == own for f1 in others) + 1) / 2)
        return mean(ranks)

    def ahead(self, arm: str) -> tuple[float, float, float, int] | None:
        """Return how far ours is ahead of an arm in mean macro-F1, and the 95% interval, over the sets of both."""
        names = [name for name in self.names if (arm, name) in self.cells and (OURS, name) in self.cells]
        if arm == OURS or not names:
            return None
        gap = self.mean_f1(OURS, names) - self.mean_f1(arm, names)
        drawn = np.mean([self._drawn[OURS][name] - self._drawn[arm][name] for name in names], axis=0)
        return gap, *interval(drawn), len(names)

    def table(self, title: str) -> Table:
        """Lay it out: macro-F1 and accuracy by set, calls, and over sets mean, rank and distance."""
        table = Table("arm", title=title, title_justify="left")
        for name in self.names:
            table.add_column(f"{name}\nF1 · accuracy", justify="right")
        for heading in ("calls", "mean F1", "rank", "ours is ahead by\n(95% interval)"):
            table.add_column(heading, justify="right")
        shared = self.shared()
        for arm in self.arms():
            cells = [self.cells.get((arm, name)) for name in self.names]
            calls = [cell.calls for cell in cells if cell]
            over = (f"{self.mean_f1(arm, shared):.3f}", f"{self.rank(arm, shared):.1f}") if shared else ("", "")
            table.add_row(
                arm,
                *(f"{cell.f1:.3f} · {cell.accuracy:.3f}" if cell else "–" for cell in cells),
                f"{mean(calls):.0f}",
                *over,
                _distance(self.ahead(arm)),
            )
        return table

    def lacks(self) -> list[str]:
        """Say what is missing, and which parts failed and why, a line each."""
        lines = []
        if self.missing:
            by_arm: dict[str, list[str]] = defaultdict(list)
            for name, seed, arm in self.missing:
                by_arm[arm].append(f"{name} seed {seed}")
            lines.append(f"Missing: {len(self.missing)} of {len(self.planned)} parts.")
            lines += [f"  {arm}: {', '.join(parts)}" for arm, parts in by_arm.items()]
        lines += [f"Failed: {name}, seed {seed}, {arm}: {why}" for (name, seed, arm), why in self.failed.items()]
        return lines

    def as_json(self) -> dict[str, Any]:
        """Return the numbers of the table."""
        shared = self.shared()
        return {
            "shared_sets": shared,
            "arms": {
                arm: {
                    "sets": {name: vars(self.cells[arm, name]) for name in self.names if (arm, name) in self.cells},
                    "mean_f1": self.mean_f1(arm, shared) if shared else None,
                    "rank": self.rank(arm, shared) if shared else None,
                    "ours_ahead": self.ahead(arm),
                }
                for arm in self.arms()
            },
        }


def _distance(found: tuple[float, float, float, int] | None) -> str:
    if found is None:
        return ""
    gap, low, high, sets = found
    return f"{gap:+.3f} ({low:+.3f} to {high:+.3f}), {sets} set{'s' if sets > 1 else ''}"
