"""The shares as a picture: for each arm two bars, at once and after three more wishes, with their intervals."""

from pathlib import Path
from typing import get_args

from tests.benchmarks.wishes.summary import Field, Summary

TOLD = {"after": "next answers pass", "still": "still pass after three more wishes"}
COLOURS = {"after": "tab:green", "still": "tab:blue"}
_HEIGHT = 0.38


def draw(summary: Summary, path: Path) -> None:
    """Draw both shares of every arm."""
    from matplotlib.figure import Figure

    names = [arm.name for arm in summary.arms()]
    if not names:
        return
    figure = Figure(figsize=(7.5, 1.6 + 0.55 * len(names)), layout="constrained")
    axes = figure.subplots()
    for at, field in enumerate(get_args(Field)):
        found = [summary.share(name, field) for name in names]
        reach = [[max(0.0, s - low) for s, low, _ in found], [max(0.0, high - s) for s, _, high in found]]
        places = [place + (at - 0.5) * _HEIGHT for place in range(len(names))]
        axes.barh(
            places, [share for share, _, _ in found], _HEIGHT, color=COLOURS[field], label=TOLD[field],
            xerr=reach, error_kw={"lw": 1, "capsize": 2},
        )  # fmt: skip
    axes.set(xlim=(0, 1), xlabel="share of answers to new inputs")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
