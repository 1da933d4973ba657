"""What experts gain where regions follow other rules, and what looking for them costs where they do not."""

import statistics

from tests.benchmarks.measure import Row
from tests.worlds import WORLDS, Mixed, mixed

SEEDS = 10
GAIN, EXTRA = 0.05, 0.05


def measure(seeds: int = SEEDS) -> list[Row]:
    """Train mixtures in a world of two regions and in one without, ten steps a rulebook; 1,000 fresh rows."""
    divided, plain = ([mixed(WORLDS[name], seed) for seed in range(seeds)] for name in ("clusters", "plain"))
    return [_gain(divided), _kept_whole(plain), _extra_calls(plain)]


def _gain(runs: list[Mixed]) -> Row:
    ours, bare = statistics.mean(run.accuracy for run in runs), statistics.mean(run.single for run in runs)
    calls = statistics.mean(run.calls for run in runs)
    return Row(
        what=f"world clusters, {len(runs)} mixtures of {calls:,.0f} calls: accuracy beside one rulebook of as many",
        bare=f"{bare:.3f}",
        ours=f"{ours:.3f}",
        result=f"{ours - bare:+.3f}",
        reach=f"≥ +{GAIN}",
        reached=ours - bare >= GAIN,
        value=ours - bare,
    )


def _kept_whole(runs: list[Mixed]) -> Row:
    ours, bare = (
        statistics.mean(values) for values in zip(*((r.accuracy, r.general_accuracy) for r in runs), strict=True)
    )
    whole = sum(not run.experts for run in runs)
    return Row(
        what=f"world plain, {len(runs)} mixtures: one rulebook stays in {whole}; accuracy",
        bare=f"{bare:.3f}",
        ours=f"{ours:.3f}",
        result=f"{ours - bare:+.3f}",
        reach="≥ 0",
        reached=ours >= bare and whole == len(runs),
        value=ours - bare,
    )


def _extra_calls(runs: list[Mixed]) -> Row:
    ours, bare = (sum(values) for values in zip(*((run.calls, run.general) for run in runs), strict=True))
    return Row(
        what="world plain: calls beside those of one rulebook",
        bare=f"{bare / len(runs):,.0f}",
        ours=f"{ours / len(runs):,.0f}",
        result=f"{ours / bare - 1:+.1%}",
        reach=f"≤ +{EXTRA:.0%}",
        reached=ours / bare - 1 <= EXTRA,
        value=ours / bare - 1,
    )
