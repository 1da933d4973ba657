"""A million rows, file to file, on a model that answers at once: what we cost a row, and how much memory it takes.

Each size and side runs in a process of its own, ours and the bare loop one after the other, on the same rows. Costs are
processor time: a loop that never waits is bound by it, and a busy machine lengthens everything else.
"""

import argparse
import asyncio
import csv
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from langchain_core.messages import BaseMessage

from langchain_model_alignment.calls import Caller
from langchain_model_alignment.labeling.classifier import Classifier
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.stream import alabel_file
from langchain_model_alignment.labeling.tables import read_entries
from langchain_model_alignment.labeling.task import LabelingTask
from tests.benchmarks import toy
from tests.benchmarks.labeling import ReadyChatModel
from tests.benchmarks.measure import Row
from tests.benchmarks.shown import run_parts

SIZES = (10_000, 100_000, 1_000_000)
WIDTH, AT_ONCE = 32, 1_000
OWN_COST, MEMORY = 150.0, 300.0

Taken = dict[str, float]
"""What one process took: processor µs and wall µs a row, and MB above what it began with."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--picture", type=Path, help="also draw cost and memory into this .png")


def run(options: argparse.Namespace) -> None:
    run_parts([("a million rows", lambda: measure(picture=options.picture))], options)


def measure(sizes: tuple[int, ...] = SIZES, picture: Path | None = None) -> list[Row]:
    """Label files of these sizes, and ask the bare loop the same."""
    taken: dict[int, dict[str, Taken]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            file = _written(Path(folder, f"{size}.csv"), size)
            taken[size] = {side: _in_a_process(side, file) for side in ("bare", "ours")}
            file.unlink()
    if picture:
        draw(taken, picture)
    return [row for size, sides in taken.items() for row in _rows(size, sides)]


def _rows(size: int, sides: dict[str, Taken]) -> list[Row]:
    bare, ours = sides["bare"], sides["ours"]
    above = ours["cpu"] - bare["cpu"]
    cost = Row(
        what=f"label a file of {size:,} rows of 0 ms: our own cost a row",
        bare=f"{bare['cpu']:.0f} µs (wall {bare['wall']:.0f})",
        ours=f"{ours['cpu']:.0f} µs (wall {ours['wall']:.0f})",
        result=f"{above:+.0f} µs",
        reach=f"≤ {OWN_COST:.0f} µs",
        reached=above <= OWN_COST,
        value=above,
    )
    memory = Row(
        what="  memory above the imports",
        bare=f"{bare['memory']:.0f} MB",
        ours=f"{ours['memory']:.0f} MB",
        result=f"{ours['memory']:.0f} MB",
        reach=f"≤ {MEMORY:.0f} MB",
        reached=ours["memory"] <= MEMORY,
        value=ours["memory"],
    )
    return [cost, memory]


def draw(taken: dict[int, dict[str, Taken]], path: Path) -> None:
    """Draw cost and memory over the number of rows."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    cost, memory = figure.subplots(1, 2)
    sizes = list(taken)
    cost.plot(sizes, [t["ours"]["cpu"] - t["bare"]["cpu"] for t in taken.values()], "o-", label="above the bare loop")
    cost.plot(sizes, [t["bare"]["cpu"] for t in taken.values()], "s:", color="grey", label="the bare loop")
    cost.axhline(OWN_COST, color="tab:red", linestyle="--", label="to reach")
    cost.set(title="Processor time a row", ylabel="µs")
    memory.plot(sizes, [t["ours"]["memory"] for t in taken.values()], "o-", label="ours")
    memory.axhline(MEMORY, color="tab:red", linestyle="--", label="to reach")
    memory.set(title="Memory above the imports", ylabel="MB")
    for axes in (cost, memory):
        axes.set(xscale="log", xlabel="rows of the file")
        axes.set_ylim(bottom=0)
        axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def _written(path: Path, size: int) -> Path:
    """A file of rows, each different, half of each label."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["id", "text", "label"])
        writer.writeheader()
        for begin in range(0, size, 10_000):
            table = toy.rows(min(10_000, size - begin), begin)
            writer.writerows({"id": begin + at, **row} for at, row in enumerate(table))
    return path


def _in_a_process(side: str, file: Path) -> Taken:
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.million", side, str(file)], capture_output=True, text=True, check=True
    )
    taken: Taken = json.loads(done.stdout)
    return taken


# -- in the process of a side ------------------------------------------------------------------------------------


def _rulebook() -> Rulebook:
    task = LabelingTask(
        input_names=["text"], label_name="label", label_values=list(toy.LABELS), task_description=toy.QUESTION
    )
    return Rulebook.of(task, {"yes": ["The guest calls something lovely."], "no": ["The guest calls it dreadful."]})


def _requests(file: Path, rulebook: Rulebook) -> Iterator[list[BaseMessage]]:
    classifier = Classifier(Caller(ReadyChatModel()), rulebook)
    return (classifier.messages(rulebook.task.show(entry.row or {})) for entry in read_entries(file))


async def _bare(file: Path, llm: ReadyChatModel) -> None:
    """`asyncio.gather` of gated `llm.ainvoke`, a thousand at once: a million at once would take gigabytes."""
    gate, requests = asyncio.Semaphore(WIDTH), _requests(file, _rulebook())

    async def one(messages: list[BaseMessage]) -> str:
        async with gate:
            return (await llm.ainvoke(messages)).text

    while some := list(itertools.islice(requests, AT_ONCE)):
        await asyncio.gather(*map(one, some))


async def _ours(file: Path, llm: ReadyChatModel) -> None:
    found = await alabel_file(file, _rulebook(), llm, file.with_suffix(".labeled.csv"))
    if sum(found.tally.labels.values()) != found.tally.rows:
        raise AssertionError("a row was not labeled")


def _memory(field: str) -> float:
    """What the system says of this process, in MB; `resource` would tell the peak of the process that started it."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1e3


def main(side: str, file: Path) -> None:
    """Run one side, and print what it took."""
    size, before = int(file.stem), _memory("VmRSS")
    cpu, wall = time.process_time(), time.perf_counter()
    asyncio.run((_bare if side == "bare" else _ours)(file, ReadyChatModel()))
    taken = {
        "cpu": 1e6 * (time.process_time() - cpu) / size,
        "wall": 1e6 * (time.perf_counter() - wall) / size,
        "memory": _memory("VmHWM") - before,
    }
    print(json.dumps(taken))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
