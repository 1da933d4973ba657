"""Pieces that the Train and Label pages share: a place to drop a file, labels, bars, and facts."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from nicegui import ui

from langchain_model_alignment.labeling.page import number
from langchain_model_alignment.labeling.tables import SUFFIXES
from langchain_model_alignment.studio.frame import Frame, frame
from langchain_model_alignment.studio.parts import words
from langchain_model_alignment.studio.shared import Studio

__all__ = ["bar", "bare", "chip", "choice", "drop", "facts", "link", "page", "table", "tell_apart"]

_HEAD = '<link rel="stylesheet" href="/studio/tables.css"><script src="/studio/tables.js" defer></script>'


@contextmanager
def page(path: str, studio: Studio) -> Iterator[Frame]:
    """Put a page with tables into the studio's frame."""
    ui.add_head_html(_HEAD)
    with frame(path, studio) as shown:
        yield shown


def drop(to: str, label: str, hint: str) -> None:
    """Show where a file can be dropped or chosen.

    Args:
        to: The address that it is sent to, which answers with the address of the page that comes next.
        label: What to do.
        hint: What may be given.
    """
    with ui.element("label").classes("drop") as place:
        place.props["data-to"] = to
        words(label, "strong", tag="span")
        words(hint, "muted small", tag="span")
        chooser = ui.element("input").props("type=file").classes("drop-input")
        chooser.props["accept"] = ",".join(SUFFIXES)
        words("", "small", tag="span").props('role="status"')


def bar(share: float, kind: str = "") -> None:
    """Draw a share from 0 to 1 as a bar; it says nothing that does not stand beside it."""
    with ui.element("span").classes(f"bar {kind}").props('aria-hidden="true"'):
        ui.element("span").style(f"width:{100 * min(1.0, max(0.0, share)):.1f}%")


def chip(text: str, kind: str = "") -> None:
    """Show a word or two on a coloured ground: `good`, `bad`, or neither."""
    words(text, f"chip {kind}", tag="span")


def link(text: str, to: str, *, classes: str = "act-link", new_tab: bool = False) -> None:
    """Show a link that looks like a button."""
    with ui.element("a").classes(classes) as place:
        place.props["href"] = to
        if new_tab:
            place.props["target"] = "_blank"
            place.props["rel"] = "noopener"
        words(text + (" ↗" if new_tab else ""), tag="span")


def facts(pairs: Sequence[tuple[str, str]]) -> None:
    """Show names and their values side by side."""
    with ui.element("dl").classes("facts"):
        for name, value in pairs:
            with ui.element("div"):
                words(name, "muted small", tag="dt")
                words(value, "strong", tag="dd")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], label: str) -> None:
    """Show some rows; long texts are cut by the page's style, and whole in their tooltip."""
    with ui.element("div").classes("table-place").props("tabindex=0 role=region") as place:
        place.props["aria-label"] = label
        with ui.element("table").classes("rows"):
            with ui.element("thead"), ui.element("tr"):
                for name in columns:
                    words(name, tag="th").props("scope=col")
            with ui.element("tbody"):
                for row in rows:
                    with ui.element("tr"):
                        for cell in row:
                            words(cell, "cell", tag="td")


def choice(label: str, options: Sequence[str], value: str | list[str] | None, *, several: bool = False) -> ui.select:
    """Make a field in which one of some names is chosen, or several of them."""
    chosen = ui.select(list(options), label=label, value=value, multiple=several).classes("field choice")
    return chosen.props("outlined stack-label options-dense" + (" use-chips" if several else ""))


def bare(text: str, inputs: Sequence[str]) -> str:
    r"""Return a row's text without the name of its column, where it has one only.

    Example:
        >>> bare("comment: Buy now", ["comment"]), bare("a: 1\nb: 2", ["a", "b"]).splitlines()
        ('Buy now', ['a: 1', 'b: 2'])
    """
    return text.removeprefix(f"{inputs[0]}: ") if len(inputs) == 1 else text


def tell_apart(score: float | None, metric: str) -> str:
    """Return a score as a person reads it."""
    return "not scored" if score is None else number(score, metric)


def size_of(path: Path) -> str:
    """Return how large a file is, in words.

    Example:
        >>> size_of(Path(__file__)).split()[1]
        'kB'
    """
    size = path.stat().st_size
    return f"{size / 1e6:,.0f} MB" if size >= 1e6 else f"{max(1, round(size / 1e3))} kB"
