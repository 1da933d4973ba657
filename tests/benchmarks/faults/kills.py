"""SIGKILL at seeded random moments, and the same command again, until all kills are used and the work is done.

The model is a server outside of the killed processes, which writes down each request when it comes and when its answer
has gone. Held against an undisturbed run: the same result byte for byte, each request made, none made again but those
that were in flight.
"""

import random
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from tests.benchmarks.faults.jobs import Job, environment, jobs, prepare, python
from tests.benchmarks.faults.server import Arrival, Server, serving
from tests.benchmarks.faults.table import Line

LATENCY = 0.01
ON_THE_WAY = 0.5  # seconds in which an answer that was sent may still not be on the other side's disk
_PATIENCE = 300.0


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

    def line(self) -> Line:
        """Return the table's line."""
        held = not (self.late or self.missing or self.other or self.failed) and self.repeated <= self.allowed
        again = f"{self.repeated} calls made again, {self.late} of them although their answer was there"
        lost = f"{self.missing} calls lost, {self.other} results other than undisturbed"
        failed = f"; {len(self.failed)} processes failed: {self.failed[0]}" if self.failed else ""
        return Line(
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
    for job, count in zip(jobs(), shares, strict=True):
        with tempfile.TemporaryDirectory() as folder, serving(latency=LATENCY) as server:
            found.append(_kill(job, count, random.Random(f"{seed} {job.name}"), Path(folder), server))
    return found


def _kill(job: Job, kills: int, draw: random.Random, folder: Path, server: Server) -> Killed:
    found, process = Killed(job), _Processes(job, server)
    whole = _begun(folder / "whole")
    started = time.monotonic()
    process.finish(whole, found)
    seconds = time.monotonic() - started
    wanted, result = list(server.arrivals), (whole / job.result).read_bytes()
    while len(found.kills) < kills and not found.failed:
        server.arrivals.clear()
        run, moments = _begun(folder / f"run {found.runs}"), []
        for _ in range(min(1 + draw.randrange(6), kills - len(found.kills))):
            if (moment := process.kill(run, draw, seconds, len(wanted))) is None:
                break  # it was done before its time had come
            moments.append(moment)
            found.kills.append(min(1.0, len({a.request for a in server.arrivals}) / len(wanted)))
        process.finish(run, found)
        found.runs += 1
        _compare(found, wanted, list(server.arrivals), moments)
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
    """Starts the command, kills it, or waits for its end."""

    def __init__(self, job: Job, server: Server) -> None:
        self._job = job
        self._server = server

    def kill(self, folder: Path, draw: random.Random, seconds: float, calls: int) -> float | None:
        """Start it and kill it at a moment by the clock or by its calls; None where it came to its end before that."""
        process = self._started(folder)
        before = len(self._server.arrivals)
        by_clock = draw.random() < 0.3
        until = time.monotonic() + (draw.uniform(0, seconds) if by_clock else _PATIENCE)
        after, pause = draw.randint(1, max(1, calls // 4)), draw.uniform(0, 0.03)
        while process.poll() is None and time.monotonic() < until:
            if not by_clock and len(self._server.arrivals) - before >= after:
                time.sleep(pause)
                break
            time.sleep(0.002)
        process.kill()  # SIGKILL
        moment = time.monotonic()
        ended = process.wait() >= 0
        process.communicate()
        time.sleep(2 * LATENCY)  # the server notes what it was answering
        return None if ended else moment

    def finish(self, folder: Path, found: Killed) -> None:
        """Start it and wait for its end."""
        process = self._started(folder)
        said, _ = process.communicate(timeout=_PATIENCE)
        if process.returncode:
            found.failed.append(said.decode(errors="replace").strip().rpartition("\n")[2])

    def _started(self, folder: Path) -> "subprocess.Popen[bytes]":
        log = subprocess.PIPE
        return subprocess.Popen(
            python(self._job), cwd=folder, env=environment(self._server.url), stdout=log, stderr=subprocess.STDOUT
        )
