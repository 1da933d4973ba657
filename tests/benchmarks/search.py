"""How well training searches: 20 runs in each of four simulated worlds, beside a greedy search that sees everything."""

import argparse
import statistics

from tests.benchmarks import mixture
from tests.benchmarks.measure import Row
from tests.benchmarks.shown import run_parts
from tests.worlds import MEASURED, WORLDS, Played, played

SEEDS = 20
BEHIND, LOSING, CALLS = 0.04, 0.02, 6_210


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", type=int, default=SEEDS, help="searches in each world; half as many mixtures")


def run(options: argparse.Namespace) -> None:
    parts = [
        ("worlds", lambda: measure(options.seeds)),
        ("a mixture of experts", lambda: mixture.measure(max(1, options.seeds // 2))),
    ]
    run_parts(parts, options)


def measure(seeds: int = SEEDS) -> list[Row]:
    """Train in every world, ten steps a run, and look at the rulebooks on 1,000 fresh rows."""
    rows = []
    for name in MEASURED:
        runs = [played(WORLDS[name], seed) for seed in range(seeds)]
        rows += [_accuracy(name, runs), _losses(name, runs), _calls(name, runs)]
    return rows


def _accuracy(name: str, runs: list[Played]) -> Row:
    ours = statistics.mean(run.accuracies[-1] for run in runs)
    best = statistics.mean(run.oracle for run in runs)
    return Row(
        what=f"world {name}, {len(runs)} runs of ten steps: accuracy beside a greedy search",
        bare=f"{best:.3f}",
        ours=f"{ours:.3f}",
        result=f"{ours - best:+.3f}",
        reach=f"≥ -{BEHIND}",
        reached=ours >= best - BEHIND,
        value=ours - best,
    )


def _losses(name: str, runs: list[Played]) -> Row:
    lost, steps = sum(run.losses for run in runs), sum(run.steps for run in runs)
    return Row(
        what=f"world {name}: steps that lose more than a point",
        bare="",
        ours=f"{lost} of {steps}",
        result=f"{lost / steps:.1%}",
        reach=f"≤ {LOSING:.0%}",
        reached=lost / steps <= LOSING,
        value=lost / steps,
    )


def _calls(name: str, runs: list[Played]) -> Row:
    calls = [run.calls for run in runs]
    return Row(
        what=f"world {name}: calls of a run",
        bare="",
        ours=f"{statistics.mean(calls):,.0f}",
        result=f"at most {max(calls):,}",
        reach=f"≤ {CALLS:,}",
        reached=max(calls) <= CALLS,
        value=statistics.mean(calls),
    )
