"""What the training report is drawn with: markup that escapes, the style sheet, and figures by matplotlib.

Figures are drawn in stand-in colours that become CSS variables afterwards, so one SVG serves light, dark and paper.
"""

import io
import math
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_model_alignment.errors import ConfigurationError
from langchain_model_alignment.labeling.scorecard import Scorecard

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["STYLE", "Html", "Point", "bar", "confusion_matrix", "learning_curve", "most_confused", "one_line", "tag"]

INK, MUTED, LINE, ACCENT, PAPER, BAD, ON = (f"#0{n}0{n}0{n}" for n in range(1, 8))  # stand-ins, see `_themed`
_VARIABLES = {INK: "ink", MUTED: "muted", LINE: "line", ACCENT: "accent", PAPER: "paper", BAD: "bad", ON: "on"}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LONGEST = 22  # characters of a label in a figure
_SPREAD = 0.3  # of a step: how far the dots of its candidates lie apart


class Html(str):
    """Text that is markup already; any other text is escaped on its way into a tag."""

    __slots__ = ()


def tag(name: str, *inside: object, **attributes: object) -> Html:
    """Return an element; what is not `Html` is text and is escaped.

    Args:
        name: The element's name; empty for its content alone.
        inside: Text, `Html`, or lists of them; None is left out.
        attributes: Their values are escaped, None is left out; `class_` is `class`, `aria_label` is `aria-label`.

    Example:
        >>> tag("p", "1 < 2", tag("b", "!"), class_="note")
        '<p class="note">1 &lt; 2<b>!</b></p>'
    """
    content = "".join(part if isinstance(part, Html) else escape(_readable(str(part))) for part in _flat(inside))
    if not name:
        return Html(content)
    given = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items() if value is not None}
    extra = "".join(f' {key}="{escape(_readable(str(value)))}"' for key, value in given.items())
    return Html(f"<{name}{extra}>{content}</{name}>")


def bar(share: float, kind: str = "") -> Html:
    """Return a small horizontal bar, filled to a share of its width."""
    filled = 0.0 if math.isnan(share) else min(1.0, max(0.0, share))
    return tag("span", tag("i", style=f"width:{100 * filled:.1f}%"), class_=f"bar {kind}".rstrip(), aria_hidden="true")


def one_line(text: str, longest: int) -> str:
    """Return a text in one line, cut to a length.

    Example:
        >>> one_line("a  long label", 8)
        'a long…'
    """
    text = " ".join(_readable(text).split())
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


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


def _flat(parts: Iterable[object]) -> Iterator[object]:
    for part in parts:
        if isinstance(part, list | tuple):
            yield from _flat(part)
        elif part is not None:
            yield part


def _readable(text: str) -> str:
    """The text without what no page can hold: halves of characters, and control characters."""
    return _CONTROL.sub("\ufffd", text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


STYLE = Html("""
:root {
  color-scheme: light dark; --paper: #fcfbf8; --ink: #22242a; --muted: #686c75; --line: #e4e1da;
  --accent: #2f5fa8; --good: #2f7a52; --bad: #bf4a30; --mark: #eef3fb; --on: #fff;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --paper: #16181c; --ink: #e8e6e1; --muted: #9a9ea8; --line: #32363e;
    --accent: #8ab4f2; --good: #7cc79c; --bad: #f0907a; --mark: #202a3a; --on: #14161a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 3.5rem 1.5rem 5rem; max-width: 58rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  overflow-wrap: anywhere; -webkit-text-size-adjust: 100%; font-variant-numeric: tabular-nums;
}
h1, h2, h3, blockquote, .words { font-family: "Iowan Old Style", "Palatino Linotype", Georgia, "Noto Serif", serif; }
h1 { font-size: clamp(1.7rem, 5vw, 2.5rem); line-height: 1.2; margin: .3rem 0 1.6rem; text-wrap: balance; }
h2 { font-size: 1.5rem; margin: 4rem 0 .4rem; padding-top: 1.2rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.12rem; margin: 2rem 0 .5rem; }
h1, h2, h3 { font-weight: 600; }
p { margin: .4rem 0; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
small, .note { color: var(--muted); font-size: .875rem; }
.note { max-width: 44rem; }
.eyebrow { color: var(--muted); text-transform: uppercase; letter-spacing: .09em; font-size: .78rem; margin: 0; }
.rise {
  display: flex; flex-wrap: wrap; align-items: baseline; gap: .2rem 1.1rem; margin: 0 0 1rem;
  font-size: clamp(2.2rem, 8vw, 3.4rem); line-height: 1.1; font-weight: 300; color: var(--muted);
}
.rise b { font-weight: 650; color: var(--accent); }
.rise small { display: block; font-weight: 400; }
.facts {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(6.5rem, 1fr)); gap: 1rem 1.5rem;
  margin: 1.8rem 0 0; padding: 1rem 0; border-block: 1px solid var(--line);
}
.facts dt { color: var(--muted); font-size: .82rem; }
.facts dd { margin: 0; font-size: 1.15rem; font-weight: 550; }
figure { margin: 1.2rem 0; overflow-x: auto; }
svg { display: block; height: auto; max-width: 100%; }
svg * { stroke-linejoin: round; }
svg text { font-family: inherit !important; }
svg.curve-340 { display: none; }
svg.confusion { max-width: none; }
.pair { display: flex; flex-wrap: wrap; align-items: center; gap: 0 2.5rem; }
.pair figure { max-width: 100%; }
.pair table, .pair details { flex: 1 1 22rem; width: auto; }
.principle { display: grid; grid-template-columns: 3rem 1fr; padding: .9rem 0; border-top: 1px solid var(--line); }
.principle .words { font-size: 1.12rem; margin: 0; line-height: 1.45; }
.off .words { color: var(--muted); text-decoration: line-through 1px; }
.id { color: var(--muted); font-size: .85rem; padding-top: .2rem; }
.evidence { font-size: .875rem; color: var(--muted); margin: .45rem 0; }
.bar {
  display: inline-block; width: 6rem; height: .45rem; border-radius: 1rem; background: var(--line);
  overflow: hidden; margin-inline-end: .6rem; vertical-align: .08rem;
}
.bar i { display: block; height: 100%; background: var(--accent); }
.bar.right { background: color-mix(in srgb, var(--bad) 45%, transparent); }
.bar.right i { background: var(--good); }
ul.story, ul.changes, ol.mistakes { list-style: none; margin: .3rem 0 0; padding: 0; }
ul.story { font-size: .9rem; }
ul.story li { margin: .15rem 0; }
del { color: var(--muted); text-decoration: line-through 1px var(--bad); }
.chip {
  display: inline-block; border-radius: 1rem; padding: .05rem .6rem; font: 500 .78rem/1.5 system-ui, sans-serif;
  border: 1px solid currentColor; color: var(--muted); white-space: nowrap; vertical-align: .1rem;
}
h3 .chip { margin-inline-start: .5rem; }
.chip.good { color: var(--good); }
.chip.kept { color: var(--on); background: var(--accent); border-color: var(--accent); }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; font-size: .9rem; }
th, td { padding: .55rem .7rem; border-bottom: 1px solid var(--line); vertical-align: top; text-align: start; }
th { white-space: nowrap; font-weight: 500; color: var(--muted); font-size: .82rem; }
tbody th { color: var(--ink); font-size: .9rem; white-space: normal; min-width: 5rem; }
.num { text-align: end; white-space: nowrap; }
.cards td:first-child { white-space: nowrap; }
tr.chosen > td { background: var(--mark); }
ul.changes li { padding-inline-start: 1.1rem; text-indent: -1.1rem; margin-bottom: .15rem; }
ul.changes b { display: inline-block; width: 1.1rem; text-indent: 0; color: var(--muted); }
ul.changes .plus b, .good { color: var(--good); }
ul.changes .minus b, .bad { color: var(--bad); }
ol.mistakes > li { padding: .8rem 0; border-top: 1px solid var(--line); }
blockquote { margin: 0 0 .35rem; white-space: pre-line; }
summary { cursor: pointer; }
details[open] > summary { color: var(--muted); }
@media (max-width: 40rem) {
  body { padding: 2rem 1.1rem 3rem; }
  h2 { margin-top: 2.8rem; }
  svg.curve-340 { display: block; width: 100% !important; max-width: 27rem; }
  svg.curve-880 { display: none; }
  .principle { grid-template-columns: 2.2rem 1fr; }
  table:not(.cards) :is(th, td) { padding-inline: .3rem; }
  .bar { width: 3.2rem; }
  table.cards, .cards tbody, .cards tr, .cards td { display: block; }
  .cards thead { display: none; }
  .cards tr { border-top: 1px solid var(--line); padding: .6rem 0; }
  .cards tr.chosen { background: var(--mark); }
  .cards td { border: 0; padding: .12rem .6rem; white-space: normal; }
  .cards td.num { display: inline-block; }
  .cards td[data-name]::before { content: attr(data-name) " "; color: var(--muted); }
}
@media print {
  body { padding: 0; max-width: none; font-size: 10pt; }
  h2, h3 { break-after: avoid; }
  .principle, tr, figure, ol.mistakes > li { break-inside: avoid; }
  a { color: inherit; }
  * { print-color-adjust: exact; }
}
""")
