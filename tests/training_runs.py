"""Training runs of the studio for its tests: tables, a server's runs, and one run that has ended, made once."""

import asyncio
import csv
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from langchain_model_alignment.integrations.serving.loading import LoadingModel
from langchain_model_alignment.labeling.run_folder import Asked
from langchain_model_alignment.studio.train_run import TrainRun
from langchain_model_alignment.studio.train_runs import Runs
from langchain_model_alignment.usage import Budget
from tests.fakes import ScriptedChatModel
from tests.simulated import QUESTION, SimulatedWorld, rows

_SECONDS = 300  # a machine that is busy takes its time


def write(path: Path, table: list[dict[str, Any]]) -> Path:
    """Write a table to a .csv."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    return path


def runs_of(folder: Path, model: Any = None) -> Runs:
    """The runs of a server that has just been started."""
    loading = LoadingModel(ScriptedChatModel(SimulatedWorld()) if model is None else model)
    loading.start()
    return Runs(folder / "runs", loading, loading)


def asked(path: Path, **more: Any) -> Asked:
    """What is asked about a table of animals."""
    fields = {"inputs": ["text"], "label": "label", "labels": ["no", "yes"], "task": QUESTION, "steps": 2}
    return Asked(data=str(path), model="scripted", budget=Budget().model_dump(), **{**fields, **more})


async def trained(folder: Path, table: Path, model: Any = None, steps: int = 1) -> TrainRun:
    """A run that has been trained."""
    run = await runs_of(folder, model).begin(table, asked(table, steps=steps))
    run.start(steps=steps, max_calls=None)
    await ended(run)
    return run


@cache
def _once() -> tuple[tempfile.TemporaryDirectory[str], Path]:
    kept = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    folder = Path(kept.name)
    work = trained(folder, write(folder / "animals.csv", rows(60)))
    with ThreadPoolExecutor(1) as elsewhere:  # the test's own loop is running already
        elsewhere.submit(asyncio.run, work).result()
    return kept, folder


def with_an_ended_run(folder: Path, model: Any = None) -> tuple[Runs, TrainRun]:
    """A server's runs, among them one that was trained for a step, as another server left it."""
    source = _once()[1]
    if not (folder / "runs").exists():
        shutil.copytree(source / "runs", folder / "runs")
    runs = runs_of(folder, model)
    return runs, runs.get("animals")


async def ended(work: Any) -> None:
    """Wait until nothing is done any more."""
    await until(lambda: not work.running)


async def until(met: Callable[[], bool]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(_SECONDS):
        while not met():  # noqa: ASYNC110  # what is waited for tells nobody
            await asyncio.sleep(0.005)
