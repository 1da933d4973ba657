"""How long the same work takes us and the peers, with a model that sleeps 50 ms and is wrong on 30% of rows.

Each system does each piece of work in a process of its own, in its own environment, at 1, 8, 32 and 128 calls in
flight: label 100 and 10,000 rows; take one step of training by defaults; train until a step no longer raises the
accuracy on validation rows (GEPA and MIPROv2: their own "light" run). The floor is calls, divided by those allowed in
flight, times the latency: nothing can be faster with as many calls.
"""

import argparse
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks import toy
from tests.benchmarks.peers.environments import DSPY, MODEL_ALIGNMENT, PROMPTOLUTION, Environment, describe_peers
from tests.benchmarks.peers.jobs import JobError, ask
from tests.benchmarks.shown import as_line, describe, write_json

WIDTHS = (1, 8, 32, 128)
SHOWN = 32  # the width of the second table
MANY = 10_000
MANY_WIDTHS = (32, 128)  # one at a time, so many rows only sleep: 500 s
WAYS = {"label": "label {rows:,} rows", "step": "one step of training", "train": "training to its end"}

Taken = dict[str, Any]


@dataclass(frozen=True)
class System:
    """One of those compared.

    Attributes:
        name: How it is called in the table.
        module: What does the work.
        program: What the module calls it, where it knows several.
        environment: Where it runs; this very environment where it is None.
        ways: What it can do.
        alone: Whether it asks for one thing after the other, whatever the width.
    """

    name: str
    module: str
    environment: Environment | None = None
    program: str = ""
    ways: tuple[str, ...] = ("label", "step", "train")
    alone: bool = False

    def work(self, work: "Work") -> Taken:
        """Do a piece of work; what stops it is what it took."""
        job = {"way": work.way, "rows": work.rows, "width": work.width, "program": self.program}
        try:
            if self.environment is None:
                return ask(Path(sys.executable), self.module, job)
            self.environment.install()
            return ask(self.environment.python, self.module, job, self.environment.variables)
        except (OSError, subprocess.CalledProcessError, JobError) as error:
            return {"error": str(error)}


@dataclass(frozen=True)
class Work:
    """A piece of work."""

    way: str
    width: int
    rows: int = 100

    @property
    def title(self) -> str:
        return f"{WAYS[self.way].format(rows=self.rows)}, {self.width} in flight"


_SPEED = "tests.benchmarks.speed"
SYSTEMS = (
    System("ours", f"{_SPEED}.ours"),
    System("model-alignment 0.3", f"{_SPEED}.alignment", MODEL_ALIGNMENT, alone=True),
    System("DSPy GEPA", f"{_SPEED}.dspy_programs", DSPY, "gepa", ("label", "train")),
    System("DSPy MIPROv2", f"{_SPEED}.dspy_programs", DSPY, "mipro", ("train",)),
    System("promptolution CAPO", f"{_SPEED}.capo", PROMPTOLUTION),
)


def arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--picture", type=Path, help="also draw the times into this .png")
    add("--widths", nargs="+", type=int, default=list(WIDTHS), metavar="N", help="calls in flight")
    add("--systems", nargs="+", default=[s.name for s in SYSTEMS], choices=[s.name for s in SYSTEMS], metavar="SYSTEM")
    add("--many", action="store_true", help=f"also label {MANY:,} rows: a quarter of an hour more")


def run(options: argparse.Namespace) -> None:
    console = Console()
    systems = [system for system in SYSTEMS if system.name in options.systems]
    taken: dict[Work, dict[str, Taken]] = {}
    for work in planned(options.widths, options.many):
        with console.status(f"measuring {work.title} …"):
            taken[work] = {system.name: _taken(system, work, taken) for system in systems if work.way in system.ways}
    names, title = [system.name for system in systems], as_line({**describe(), **describe_peers()})
    console.print(times(taken, names, title))
    console.print(costs(taken, names))
    for work, found in taken.items():
        for name, one in found.items():
            if "error" in one:
                console.print(f"Failed: {name}, {work.title}: {one['error']}", markup=False, highlight=False)
    if options.picture:
        draw(taken, names, options.picture)
    if options.out:
        rows = [{"work": work.title, "systems": found} for work, found in taken.items()]
        write_json({**describe(), **describe_peers(), "latency": toy.LATENCY, "rows": rows}, options.out)


def planned(widths: list[int], many: bool) -> list[Work]:
    """Return the pieces of work in order."""
    works = [Work(way, width) for way in WAYS for width in widths]
    return [*works, *(Work("label", width, MANY) for width in widths if width in MANY_WIDTHS)] if many else works


def _taken(system: System, work: Work, taken: dict[Work, dict[str, Taken]]) -> Taken:
    """What it took; one that does one thing after the other takes the same at every width, and is timed once."""
    if system.alone:
        for done, found in taken.items():
            if (done.way, done.rows) == (work.way, work.rows) and system.name in found:
                return found[system.name]
    return system.work(work)


def floor(work: Work, taken: Taken) -> float:
    """Return the seconds below which nothing with as many calls can be."""
    return math.ceil(taken.get("calls", 0) / work.width) * toy.LATENCY


def times(taken: dict[Work, dict[str, Taken]], names: list[str], title: str) -> Table:
    """Lay out seconds, and how many times the floor that is."""
    table = Table("seconds (times the floor)", title=title, title_justify="left")
    for name in names:
        table.add_column(name, justify="right")
    for work, found in taken.items():
        table.add_row(work.title, *(_time(work, found.get(name)) for name in names))
    return table


def _time(work: Work, one: Taken | None) -> str:
    if one is None:
        return "–"
    if "error" in one:
        return "failed"
    return f"{one['seconds']:.2f} ({one['seconds'] / floor(work, one):.1f})"


def costs(taken: dict[Work, dict[str, Taken]], names: list[str]) -> Table:
    """Lay out what else it took, at one width."""
    table = Table("what it took", title=f"{SHOWN} in flight", title_justify="left")
    for name in names:
        table.add_column(name, justify="right")
    measures = {
        "calls": lambda one: f"{one['calls']:,}",
        "most in flight": lambda one: str(one["in_flight"]),
        "tokens in": lambda one: f"{one['tokens']:,}",
        "share that a prefix cache would serve": lambda one: f"{one['prefix']:.0%}",
        "processor time": lambda one: f"{one['cpu']:.2f} s",
        "memory above the imports": lambda one: f"{one['memory']:.0f} MB",
        "accuracy on validation rows": lambda one: f"{one['score']:.2f}" if "score" in one else "",
    }
    for work, found in taken.items():
        if work.width != SHOWN:
            continue
        table.add_row(f"[bold]{work.title}[/]")
        for what, shown in measures.items():
            cells = ["–" if n not in found else "" if "error" in found[n] else shown(found[n]) for n in names]
            if any(cell not in ("", "–") for cell in cells):
                table.add_row(f"  {what}", *cells)
    return table


def draw(taken: dict[Work, dict[str, Taken]], names: list[str], path: Path) -> None:
    """Draw seconds over calls in flight, a plot for each kind of work."""
    from matplotlib.figure import Figure

    kinds = list(dict.fromkeys((work.way, work.rows) for work in taken))
    figure = Figure(figsize=(4.2 * len(kinds), 3.8), layout="constrained")
    for axes, (way, rows) in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True):
        for at, name in enumerate(names):
            points = sorted(
                (work.width, found[name]["seconds"])
                for work, found in taken.items()
                if (work.way, work.rows) == (way, rows) and "seconds" in found.get(name, {})
            )
            if points:
                axes.plot(*zip(*points, strict=True), "o-", label=name, color=f"C{at}")
        axes.set(title=WAYS[way].format(rows=rows), xscale="log", yscale="log", xlabel="calls in flight")
        axes.set_ylabel("seconds")
        axes.legend(fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
