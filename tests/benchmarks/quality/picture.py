"""The results as a picture: for each set a bar for each arm, with its interval."""

from pathlib import Path

from tests.benchmarks.quality.arms import BY_NAME
from tests.benchmarks.quality.summary import Summary

COLOURS = {"ours": "tab:green", "ablation": "yellowgreen", "peer": "tab:blue", "baseline": "tab:grey"}


def draw(summary: Summary, path: Path) -> None:
    """Draw the macro-F1 of every arm by set."""
    from matplotlib.figure import Figure

    arms = summary.arms()
    if not arms:
        return
    names = [name for name in summary.names if any((arm, name) in summary.cells for arm in arms)]
    figure = Figure(figsize=(2.5 + 3.2 * len(names), 1.2 + 0.32 * len(arms)), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), sharey=True, squeeze=False)[0], names, strict=True):
        for at, arm in enumerate(arms):
            cell = summary.cells.get((arm, name))
            if cell is None:
                continue
            reach = [[max(0.0, cell.f1 - cell.low)], [max(0.0, cell.high - cell.f1)]]
            axes.barh(at, cell.f1, color=COLOURS[BY_NAME[arm].kind], xerr=reach, error_kw={"lw": 1, "capsize": 2})
        axes.set(title=name, xlim=(0, 1), xlabel="macro-F1 on test rows")
        axes.set_yticks(range(len(arms)), arms)
        axes.invert_yaxis()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
