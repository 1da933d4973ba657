"""Labeling on Ray: what a second worker adds, on this machine.

A model of 50 ms sleeps, so the workers need little of a processor and this tells how well their waiting overlaps, not
how much computing a second machine would add.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from langchain_model_alignment.integrations.ray import label_dataset
from langchain_model_alignment.integrations.ray_session import ray_session
from tests.benchmarks import toy
from tests.benchmarks.measure import Row
from tests.benchmarks.shown import run_parts
from tests.integration_tests.ray_cases import Call, calls_in, noting
from tests.simulated import book_of, rows

SHARE = 8  # calls in flight for each worker
LABELED = 24 * 128  # in blocks of 128 rows, so that both workers have enough to do
REACH = 1.8


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=3, help="how often each side is measured; medians are shown")


def run(options: argparse.Namespace) -> None:
    run_parts([("Ray", lambda: measure(options.rounds))], options)


def measure(rounds: int) -> list[Row]:
    """Label the same rows with one worker and with two."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    taken: dict[int, list[float]] = {1: [], 2: []}
    with ray_session() as ray:
        ray.data.DataContext.get_current().enable_progress_bars = False
        for number in range(rounds):
            for workers in (1, 2) if number % 2 else (2, 1):
                rate, seconds = _once(ray, workers)
                rates[workers].append(rate)
                taken[workers].append(seconds)
    one, two = (statistics.median(rates[workers]) for workers in (1, 2))
    found = statistics.median(b / a for a, b in zip(rates[1], rates[2], strict=True))
    slow, fast = (statistics.median(taken[workers]) for workers in (1, 2))
    ideal = SHARE / toy.LATENCY
    return [
        Row(
            what=f"Ray: rows of {toy.LATENCY * 1e3:.0f} ms, 1 worker and 2, {SHARE} in flight each, while all work",
            bare=f"{one:.0f} rows/s",
            ours=f"{two:.0f} rows/s",
            result=f"{found:.2f} ×",
            reach=f"≥ {REACH} ×",
            reached=found >= REACH,
            value=found,
        ),
        Row(
            what="  of what the sleeping model allows",
            bare=f"{one / ideal:.0%}",
            ours=f"{two / 2 / ideal:.0%}",
            result="",
        ),
        Row(
            what=f"  {LABELED:,} rows with the start and the end of the workers",
            bare=f"{slow:.1f} s",
            ours=f"{fast:.1f} s",
            result=f"{slow / fast:.2f} ×",
            value=slow / fast,
        ),
    ]


def _once(ray: Any, workers: int) -> tuple[float, float]:
    """Return rows a second while all workers work, and the seconds of the whole run."""
    given = ray.data.from_items(rows(LABELED), override_num_blocks=4)
    with tempfile.TemporaryDirectory() as folder:
        made = noting(Path(folder), latency=toy.LATENCY)
        start = time.perf_counter()
        labeled = label_dataset(given, book_of(), made, workers=workers, max_concurrency=workers * SHARE)
        if labeled.count() != LABELED:
            raise AssertionError("rows were lost")
        return _rate(calls_in(Path(folder)), workers), time.perf_counter() - start


def _rate(calls: list[Call], workers: int) -> float:
    """Return calls a second from when the last worker began until the first one was done."""
    by_worker: dict[int, list[Call]] = {}
    for call in calls:
        by_worker.setdefault(call.pid, []).append(call)
    if len(by_worker) != workers:
        raise AssertionError(f"{len(by_worker)} of {workers} workers had something to do")
    start = max(min(call.begun for call in made) for made in by_worker.values())
    end = min(max(call.ended for call in made) for made in by_worker.values())
    return sum(start <= call.ended <= end for call in calls) / (end - start)
