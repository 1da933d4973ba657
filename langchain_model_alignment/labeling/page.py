"""What the pages of reports are made of: markup that escapes, numbers as a reader writes them, and the style sheet."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

__all__ = [
    "STYLE",
    "Html",
    "bar",
    "count",
    "duration",
    "lines_of",
    "metric_name",
    "number",
    "one_line",
    "section",
    "table",
    "tag",
]

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NUMBERS = {"Screened", "Score", "Rows", "Precision", "Recall", "F1", "Tokens"}  # columns that are aligned as such
_NAMES = {
    "f1": "macro F1",
    "f1_binary": "F1",
    "balanced_accuracy": "balanced accuracy",
    "kappa": "Cohen's kappa",
    "quadratic_kappa": "quadratic kappa",
    "mae": "negative mean absolute error",
}
_SHARES = {"accuracy", "f1", "f1_binary", "balanced_accuracy"}


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


def section(title: str, *inside: object) -> Html:
    """Return a part of a page, under its heading."""
    return tag("section", tag("h2", title), *inside)


def table(names: Sequence[str], rows: Sequence[Html], class_: str | None = None) -> Html:
    """Return a table; without a head where the columns have no names."""
    head = tag("tr", [tag("th", name, class_="num" if name in _NUMBERS else None) for name in names])
    return tag("table", tag("thead", head) if any(names) else None, tag("tbody", *rows), class_=class_)


def metric_name(metric: str) -> str:
    """Return what a reader calls a metric."""
    return _NAMES.get(metric, metric)


def number(value: float | None, metric: str) -> str:
    """Return a score as text: in per cent where the metric is a share, a dash where there is none.

    Example:
        >>> number(0.75, "accuracy"), number(0.5, "kappa")
        ('75%', '0.500')
    """
    if value is None or not math.isfinite(value):
        return "–"
    return f"{100 * value:.1f}".removesuffix(".0") + "%" if metric in _SHARES else f"{value:.3f}"


def duration(seconds: float) -> str:
    """Return a time as text.

    Example:
        >>> duration(83.2)
        '1 min 23 s'
    """
    if not math.isfinite(seconds):
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def count(n: int, what: str) -> str:
    """Return how many there are, in words.

    Example:
        >>> count(1200, "row")
        '1,200 rows'
    """
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def lines_of(value: Any, name: str = "") -> list[tuple[str, str]]:
    """Return a nested value as lines of name and text."""
    if isinstance(value, Mapping) and value:
        return [
            line for key, inner in value.items() for line in lines_of(inner, f"{name} · {key}" if name else str(key))
        ]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return [(name, text)] if name else []


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
