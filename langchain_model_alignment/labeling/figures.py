"""The figures of the training report, drawn by matplotlib.

Figures are drawn in stand-in colours that become CSS variables afterwards, so one SVG serves light, dark and paper.
"""

import io
import math
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_model_alignment.errors import ConfigurationError
from langchain_model_alignment.labeling.page import Html, one_line, tag
from langchain_model_alignment.labeling.scorecard import Scorecard

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Point", "Spot", "confusion_matrix", "learning_curve", "most_confused", "region_map"]

INK, MUTED, LINE, ACCENT, PAPER, BAD, ON = (f"#0{n}0{n}0{n}" for n in range(1, 8))  # stand-ins, see `_themed`
_VARIABLES = {INK: "ink", MUTED: "muted", LINE: "line", ACCENT: "accent", PAPER: "paper", BAD: "bad", ON: "on"}
_LONGEST = 22  # characters of a label in a figure
_MARKS = "os^Dvph*"  # of the regions on their map
_SPREAD = 0.3  # of a step: how far the dots of its candidates lie apart


class Point(NamedTuple):
    """One step on the learning curve."""

    step: int
    score: float
    interval: tuple[float, float] | None
    """Ends of the interval of the score; None where there is none."""
    gained: bool
    candidates: tuple[tuple[float, bool], ...]
    """Score of each candidate, and whether it was scored on all rows."""


def learning_curve(points: Sequence[Point], zero_shot: float | None, show: Callable[[float], str], width: int) -> Html:
    """Draw the score over the steps: intervals as bars, candidates as faint dots, the zero-shot as a dashed line.

    Args:
        points: The steps; scores that are not finite are left out.
        zero_shot: The score of the task and labels alone.
        show: A score as text.
        width: In pixels.

    Raises:
        ConfigurationError: Matplotlib is not installed.
    """
    name = f"curve-{width}"
    with _figure(width, 300, name) as (figure, axes):
        _draw_candidates(axes, points)
        known = [point for point in points if math.isfinite(point.score)]
        _draw_scores(axes, known)
        if zero_shot is not None and math.isfinite(zero_shot):
            axes.axhline(zero_shot, color=MUTED, linewidth=1.2, dashes=(4, 3), zorder=1)
            at = (1, zero_shot)
            style: dict[str, Any] = {
                "xytext": (0, -5),
                "textcoords": "offset points",
                "ha": "right",
                "va": "top",
                "color": MUTED,
            }
            axes.annotate(f"zero-shot {show(zero_shot)}", at, xycoords=axes.get_yaxis_transform(), **style)
        _finish_curve(axes, points, show)
        figure.subplots_adjust(left=48 / width, right=1 - 16 / width, bottom=0.16, top=0.96)
        return _svg(figure, name, f"Score by step: {', '.join(f'{p.step}: {show(p.score)}' for p in points)}")


def most_confused(card: Scorecard, most: int) -> list[int]:
    """Return the indices of the labels that take part in the most confusions, in the order of the labels."""
    matrix, n = card["confusion"], len(card["labels"])
    part = [sum(matrix[i]) + sum(row[i] for row in matrix) - 2 * matrix[i][i] for i in range(n)]
    return sorted(sorted(range(n), key=lambda i: (-part[i], -card["support"][i], i))[:most])


def confusion_matrix(card: Scorecard, chosen: Sequence[int]) -> Html:
    """Draw how often each label was given for each label: rows are right labels, columns given ones.

    Args:
        card: The scorecard.
        chosen: Indices of the labels to show; the others are summed up in one row and one column.

    Raises:
        ConfigurationError: Matplotlib is not installed.
    """
    rows, columns, counts = _shown_counts(card, chosen)
    long = 7.2 * max(map(len, columns))
    cell = min(96.0, max(58.0, long + 12)) if len(columns) <= 3 else 52.0 if len(columns) <= 8 else 34.0
    left = 16 + 7.2 * max(map(len, rows))
    slanted = long > cell * 1.15
    top = (long * 0.64 + 24) if slanted else 34
    width, height = left + cell * len(columns) + (long * 0.6 if slanted else 8), top + cell * len(rows) + 8
    with _figure(width, height, "confusion") as (figure, axes):
        axes.set_position((left / width, 8 / height, cell * len(columns) / width, cell * len(rows) / height))
        _draw_cells(axes, counts, len(card["labels"]), chosen, 13 if cell > 40 else 11)
        axes.set_xlim(0, len(columns))
        axes.set_ylim(len(rows), 0)
        axes.xaxis.tick_top()
        turn: dict[str, Any] = (
            {"rotation": 40, "ha": "left", "rotation_mode": "anchor"} if slanted else {"ha": "center"}
        )
        axes.set_xticks([i + 0.5 for i in range(len(columns))], columns, color=INK, **turn)
        axes.set_yticks([i + 0.5 for i in range(len(rows))], rows, color=INK)
        return _svg(figure, "confusion", "Confusion matrix: right labels in rows, given labels in columns")


def _shown_counts(card: Scorecard, chosen: Sequence[int]) -> tuple[list[str], list[str], list[list[int]]]:
    """Names of rows and columns and the counts between them, with sums over what is not shown."""
    matrix, n = card["confusion"], len(card["labels"])
    names = [one_line(card["labels"][i], _LONGEST) for i in chosen]
    rest = [i for i in range(n) if i not in set(chosen)]
    groups = [[i] for i in chosen] + ([rest] if rest else [])
    abstained = any(row[n] for row in matrix)
    counts = [
        [sum(matrix[i][j] for i in true for j in given) for given in [*groups, *([[n]] if abstained else [])]]
        for true in groups
    ]
    rows = [*names, *(["(others)"] if rest else [])]
    return rows, [*rows, *(["(no label)"] if abstained else [])], counts


def _draw_cells(axes: "Axes", counts: list[list[int]], n: int, chosen: Sequence[int], size: int) -> None:
    from matplotlib.patches import Rectangle

    for i, row in enumerate(counts):
        for j, count in enumerate(row):
            share = count / max(1, sum(row))
            others = i == j == len(chosen) < n  # right and wrong ones among labels that are not shown
            color = MUTED if others else ACCENT if i == j else BAD
            strong = share > 0.5  # a step between the two inks: each can be read in light and in dark
            strength = 0.7 + 0.3 * share if strong else 0.12 + 0.6 * share
            axes.add_patch(Rectangle((j, i), 1, 1, facecolor=LINE, alpha=0.35, edgecolor="none"))
            if count:
                axes.add_patch(Rectangle((j, i), 1, 1, facecolor=color, alpha=strength, edgecolor="none"))
            if count or len(counts) <= 8:
                ink = ON if strong else INK if count else MUTED
                axes.text(j + 0.5, i + 0.52, str(count), ha="center", va="center", color=ink, fontsize=size)
    for at in range(1, len(counts)):
        axes.axhline(at, color=PAPER, linewidth=2)
    for at in range(1, len(counts[0])):
        axes.axvline(at, color=PAPER, linewidth=2)


def _draw_candidates(axes: "Axes", points: Sequence[Point]) -> None:
    for point in points:
        dots = [(score, whole) for score, whole in point.candidates if math.isfinite(score)]
        for at, (score, whole) in enumerate(dots):
            x = point.step + _SPREAD * ((at + 0.5) / len(dots) - 0.5)
            fill = ACCENT if whole else "none"
            axes.plot(x, score, "o", markersize=5, markerfacecolor=fill, markeredgecolor=ACCENT, alpha=0.45, zorder=2)


def _draw_scores(axes: "Axes", known: Sequence[Point]) -> None:
    steps, scores = [point.step for point in known], [point.score for point in known]
    for point in known:
        if point.interval and all(map(math.isfinite, point.interval)):
            axes.vlines(point.step, *point.interval, color=ACCENT, linewidth=7, alpha=0.16, zorder=1)
    axes.plot(steps, scores, color=ACCENT, linewidth=2, zorder=3)
    for point in known:
        fill = ACCENT if point.gained else PAPER
        style: dict[str, Any] = {"markerfacecolor": fill, "markeredgecolor": ACCENT, "markeredgewidth": 2, "zorder": 4}
        axes.plot(point.step, point.score, "o", markersize=8, **style)


def _finish_curve(axes: "Axes", points: Sequence[Point], show: Callable[[float], str]) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    steps = [point.step for point in points] or [0]
    axes.set_xlim(min(steps) - 0.4, max(steps) + 0.4)
    axes.margins(y=0.08)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: show(value)))
    axes.grid(axis="y", color=LINE, linewidth=1)
    axes.set_xlabel("step", color=MUTED)
    for point in [p for p in points if math.isfinite(p.score)][-1:]:
        above: dict[str, Any] = {"xytext": (0, 9), "textcoords": "offset points", "ha": "center", "weight": "bold"}
        axes.annotate(show(point.score), (point.step, point.score), zorder=5, color=INK, **above)


@contextmanager
def _figure(width: float, height: float, name: str) -> Iterator[tuple["Figure", "Axes"]]:
    """A figure measured in pixels; whatever style the caller has set, it looks the same."""
    try:
        import matplotlib
        from matplotlib import style
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigurationError(
            'The report needs matplotlib: pip install "langchain-model-alignment[report]".'
        ) from error
    settings: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": name, "text.parse_math": False}
    settings |= {"font.size": 13, "font.family": ["DejaVu Sans"]}
    with style.context("default"), matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # letters that matplotlib has no shapes for; the browser has
        figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, colors=MUTED, pad=6)
        axes.set_axisbelow(True)
        yield figure, axes


def _svg(figure: "Figure", name: str, description: str) -> Html:
    """The figure as an element of a page: no header, no metadata, no ids that another figure may have."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    svg = file.getvalue()
    drawn = svg[svg.index("<g ") : svg.rindex("</svg>")]
    width, height = (72 * inches for inches in figure.get_size_inches())
    drawn = re.sub(r'<g id="[^"]*"', "<g", re.sub(r"<defs>\s*<style.*?</defs>", "", drawn, flags=re.DOTALL))
    drawn = re.sub(r"<[^>]*>", lambda found: _themed(found[0]), drawn)
    box, style = f"0 0 {width:.0f} {height:.0f}", f"width:{width:.0f}px"
    return tag("svg", Html(drawn), class_=name, role="img", aria_label=description, viewBox=box, style=style)


def _themed(markup: str) -> str:
    for color, variable in _VARIABLES.items():
        markup = markup.replace(f": {color}", f": var(--{variable})")
    return markup.replace("xlink:href", "href")


class Spot(NamedTuple):
    """A row on the map of the regions."""

    x: float
    y: float
    region: int | None
    right: bool | None
    """None for a row that was not labeled."""


def region_map(spots: Sequence[Spot], centers: Sequence[tuple[float, float, str]]) -> Html:
    """Draw rows as marks, another one for each region, the wrongly labeled ones in red, and the regions' names.

    Args:
        spots: The rows.
        centers: Where each region's middle lies, and its name.

    Raises:
        ConfigurationError: Matplotlib is not installed.
    """
    width, height = 640, 420
    with _figure(width, height, "regions") as (figure, axes):
        axes.set_axis_off()
        for index in [*range(len(centers)), None]:
            for right in (None, True, False):
                own = [spot for spot in spots if spot.region == index and spot.right is right]
                mark = "x" if index is None else _MARKS[index % len(_MARKS)]
                color = {None: MUTED, True: ACCENT, False: BAD}[right]
                style: dict[str, Any] = {"markersize": 5 if right is None else 7, "alpha": 0.35 if right is None else 1}
                axes.plot([s.x for s in own], [s.y for s in own], mark, color=color, markeredgecolor=color, **style)
        for x, y, name in centers:
            box = {"facecolor": PAPER, "edgecolor": INK, "boxstyle": "round,pad=0.3", "linewidth": 1}
            axes.annotate(one_line(name, _LONGEST), (x, y), ha="center", va="center", color=INK, zorder=5, bbox=box)
        axes.margins(0.06)
        figure.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=0.99)
        return _svg(figure, "regions", f"Map of {len(spots)} rows in {len(centers)} regions")
