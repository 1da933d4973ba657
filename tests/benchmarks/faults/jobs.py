"""What is killed: a training, a feedback loop and a labeling, each a function that goes on where it was stopped."""

import csv
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.simulated import QUESTION, book_of, rows

WIDTH = 8
ROWS = 3_000


@dataclass(frozen=True)
class Job:
    """Work for a process of its own.

    Attributes:
        name: What it does.
        work: Does it with the model at a port, in the folder that it is in.
        result: What it leaves there.
        width: How many of its calls are in flight at most.
        remembers: Whether the same command after the end begins nothing anew.
    """

    name: str
    work: Callable[[int], None]
    result: str
    width: int
    remembers: bool = True


def train(port: int) -> None:
    """Run `langchain-align train`."""
    columns = ("--input", "text", "--label", "label", "--task", QUESTION)
    _command(port, "train", "train.csv", *columns, "--validation", "validation.csv", "--steps", "2", "--out", "run")


def label(port: int) -> None:
    """Run `langchain-align label`."""
    _command(port, "label", "rows.csv", "--rulebook", "book.json", "--out", "labels.csv")


def give_feedback(port: int) -> None:
    """Run a feedback loop with its checkpoints and its answers in SQLite."""
    from tests.benchmarks.faults.loop import run
    from tests.benchmarks.faults.wire import WireChatModel

    run(Path("loop"), WireChatModel(port=port))


def _command(port: int, *arguments: str) -> None:
    from langchain_model_alignment.cli import label, main, train
    from tests.benchmarks.faults.wire import WireChatModel

    for command in (train, label):
        vars(command)["open_model"] = lambda *_: WireChatModel(port=port)
    sys.argv = ["langchain-align", *arguments, "--concurrency", str(WIDTH)]
    main()


JOBS = (
    Job("training", train, "run/rulebook.json", WIDTH),
    Job("a feedback loop", give_feedback, "loop/prompt.json", 32),
    Job(f"labeling {ROWS:,} rows", label, "labels.csv", WIDTH, remembers=False),
)


def in_folder(job: Job, folder: Path, port: int) -> None:
    """Do the work in a folder; what it says goes to a file there."""
    os.chdir(folder)
    with Path("said.txt").open("ab", buffering=0) as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        job.work(port)


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
