"""SIGKILL at seeded random moments, and the same command again, until all kills are used and the work is done.

The model is outside of the killed processes, and writes down each request when it comes and when its answer has gone.
Held against an undisturbed run: the same result byte for byte, each request made, none made again but those that were
in flight.
"""

import multiprocessing
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tests.benchmarks.faults.jobs import JOBS, Job, in_folder, prepare
from tests.benchmarks.faults.wire import Arrival, Notes, noting
from tests.benchmarks.measure import Trial

LATENCY = 0.01
ON_THE_WAY = 1.0  # seconds in which an answer that was sent may still not be on the other side's disk
PRELOADED = (
    "langchain_model_alignment.cli.label",
    "langchain_model_alignment.cli.train",
    "sklearn.metrics",
    "tests.benchmarks.faults.loop",
    "tests.benchmarks.faults.wire",
)
_PATIENCE = 600.0


@dataclass
class Killed:
    """What came of killing a command.

    Attributes:
        job: Which.
        kills: Where each kill struck: the share of the undisturbed run's calls that had come.
        runs: How often the work was done from start to end.
        allowed: Calls in flight at the kills, at most.
        repeated: Calls made again.
        late: Of those, how many although their answer had arrived.
        missing: Calls of the undisturbed run that were not made.
        other: Results that differ from the undisturbed one.
        failed: Processes that ended with an error.
    """

    job: Job
    kills: list[float] = field(default_factory=list)
    runs: int = 0
    allowed: int = 0
    repeated: int = 0
    late: int = 0
    missing: int = 0
    other: int = 0
    failed: list[str] = field(default_factory=list)

    def line(self) -> Trial:
        """Return the table's line."""
        held = not (self.late or self.missing or self.other or self.failed) and self.repeated <= self.allowed
        again = f"{self.repeated} calls made again, {self.late} of them although their answer was there"
        lost = f"{self.missing} calls lost, {self.other} results other than undisturbed"
        failed = f"; {len(self.failed)} processes failed: {self.failed[0]}" if self.failed else ""
        return Trial(
            what=f"SIGKILL of {self.job.name}, and the same command again",
            tried=f"{len(self.kills)} kills, {self.runs} runs to the end",
            result=f"{again}; {lost}{failed}",
            reach=f"again only what was in flight (≤ {self.allowed}); nothing lost; the same result",
            reached=held,
            value=float(self.repeated),
        )


def measure(kills: int, seed: int) -> list[Killed]:
    """Share the kills among the three commands."""
    found = []
    shares = [kills - 2 * (kills // 3), kills // 3, kills // 3]
    for job, count in zip(JOBS, shares, strict=True):
        with tempfile.TemporaryDirectory() as folder, noting(LATENCY) as notes:
            found.append(_kill(job, count, random.Random(f"{seed} {job.name}"), Path(folder), notes))
    return found


def _kill(job: Job, kills: int, draw: random.Random, folder: Path, notes: Notes) -> Killed:
    found, process = Killed(job), _Processes(job, notes)
    whole = _begun(folder / "whole")
    started = time.monotonic()
    process.finish(whole, found)
    seconds = time.monotonic() - started
    wanted, result = list(notes.arrivals), (whole / job.result).read_bytes()
    while len(found.kills) < kills and not found.failed:
        notes.arrivals.clear()
        run, moments = _begun(folder / f"run {found.runs}"), []
        for _ in range(min(1 + draw.randrange(6), kills - len(found.kills))):
            if (run / job.result).exists() and not job.remembers:
                break  # killed when all was done
            if (moment := process.kill(run, draw, seconds, len(wanted))) is None:
                break  # it was done before its time had come
            moments.append(moment)
            found.kills.append(min(1.0, len({a.request for a in notes.arrivals}) / len(wanted)))
        if job.remembers or not (run / job.result).exists():
            process.finish(run, found)
        found.runs += 1
        _compare(found, wanted, list(notes.arrivals), moments)
        found.other += not (run / job.result).exists() or (run / job.result).read_bytes() != result
    return found


def _begun(folder: Path) -> Path:
    folder.mkdir()
    prepare(folder)
    return folder


def _compare(found: Killed, wanted: Sequence[Arrival], made: Sequence[Arrival], moments: Sequence[float]) -> None:
    """Count what was asked again, what of it too late, and what was never asked."""
    once = Counter(arrival.request for arrival in wanted)
    often = Counter(arrival.request for arrival in made)
    found.missing += len(once.keys() - often.keys())
    found.repeated += sum((often - once).values())
    found.allowed += found.job.width * len(moments)
    for request in often - once:
        times = [arrival for arrival in made if arrival.request == request]
        found.late += sum(_was_there(before, after, moments) for before, after in pairwise(times))


def _was_there(before: Arrival, after: Arrival, moments: Sequence[float]) -> bool:
    """Tell whether an answer had arrived, kill or no kill, before it was asked for again."""
    between = [moment for moment in moments if before.begun <= moment <= after.begun]
    return before.sent is not None and all(before.sent < moment - ON_THE_WAY for moment in between)


class _Processes:
    """Starts the work, kills it, or waits for its end.

    Processes are forked off one that has imported everything, so that a kill seldom strikes an import.
    """

    def __init__(self, job: Job, notes: Notes) -> None:
        self._job = job
        self._notes = notes
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(PRELOADED))

    def kill(self, folder: Path, draw: random.Random, seconds: float, calls: int) -> float | None:
        """Start it and kill it at a moment by the clock or by its calls; None where it came to its end before that."""
        process = self._started(folder)
        before = len(self._notes.arrivals)
        by_clock = draw.random() < 0.3
        until = time.monotonic() + (draw.uniform(0, seconds) if by_clock else _PATIENCE)
        after, pause = draw.randint(1, max(1, calls // 4)), draw.uniform(0, 0.03)
        while process.is_alive() and time.monotonic() < until:
            if not by_clock and len(self._notes.arrivals) - before >= after:
                time.sleep(pause)
                break
            time.sleep(0.002)
        process.kill()  # SIGKILL
        moment = time.monotonic()
        process.join()
        time.sleep(2 * LATENCY)  # what was being answered is noted
        return moment if process.exitcode == -signal.SIGKILL else None

    def finish(self, folder: Path, found: Killed) -> None:
        """Start it and wait for its end."""
        process = self._started(folder)
        process.join(_PATIENCE)
        if process.exitcode != 0:
            process.kill()
            said = (folder / "said.txt").read_text(encoding="utf-8", errors="replace").strip()
            found.failed.append(said.rpartition("\n")[2] or f"exit code {process.exitcode}")

    def _started(self, folder: Path) -> "ForkServerProcess":
        process = self._context.Process(target=in_folder, args=(self._job, folder, self._notes.port))
        process.start()
        return process
