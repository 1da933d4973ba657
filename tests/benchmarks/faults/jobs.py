"""The three commands that are killed: a training, a feedback loop, a labeling."""

import csv
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.simulated import QUESTION, book_of, rows

MODEL = "openai:rule"
WIDTH = 8
ROWS = 3_000
_ROOT = str(Path(__file__).parents[3])


@dataclass(frozen=True)
class Job:
    """A command that goes on where it was stopped.

    Attributes:
        name: What it does.
        command: The arguments of Python; run again in the same folder it goes on.
        result: What it leaves there.
        width: How many of its calls are in flight at most.
    """

    name: str
    command: tuple[str, ...]
    result: str
    width: int


def jobs() -> list[Job]:
    """Return the three."""
    program = ("-c", "from langchain_model_alignment.cli import main; main()")
    train = (
        "--input",
        "text",
        "--label",
        "label",
        "--task",
        QUESTION,
        "--validation",
        "validation.csv",
        "--steps",
        "2",
    )
    model = ("--model", MODEL, "--concurrency", str(WIDTH))
    return [
        Job("training", (*program, "train", "train.csv", *train, *model, "--out", "run"), "run/rulebook.json", WIDTH),
        Job("a feedback loop", ("-m", "tests.benchmarks.faults.loop", "loop", MODEL), "loop/prompt.json", 32),
        Job(
            f"labeling {ROWS:,} rows",
            (*program, "label", "rows.csv", "--rulebook", "book.json", *model, "--out", "labels.csv"),
            "labels.csv",
            WIDTH,
        ),
    ]


def prepare(folder: Path) -> None:
    """Write what the commands read."""
    for name, count, seed in (("train", 90, 1), ("validation", 40, 2), ("rows", ROWS, 3)):
        write_csv(folder / f"{name}.csv", rows(count, seed))
    book_of({"yes": ["The text speaks of a newt."]}).save(folder / "book.json")


def write_csv(path: Path, table: Sequence[Mapping[str, Any]]) -> None:
    """Write rows."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)


def environment(url: str) -> dict[str, str]:
    """Return what the commands find around them: no key, no tracing, the server."""
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    return {**kept, "PYTHONPATH": _ROOT, "OPENAI_BASE_URL": url, "LANGSMITH_TRACING": "false", "COLUMNS": "120"}


def python(job: Job) -> list[str]:
    """Return the whole command."""
    return [sys.executable, *job.command]
