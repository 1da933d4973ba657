"""The pieces that every page is put together from, so that all look and read alike.

Whatever a model, a file or a person wrote is shown through `words`, which never reads it as HTML.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

__all__ = ["action", "card", "field", "forget_draft", "icon_action", "words"]


def words(text: str, classes: str = "", *, tag: str = "div") -> TextElement:
    """Show text as it is, line breaks and all; never as HTML.

    Args:
        text: What to show.
        classes: Names from `studio.css`, such as `muted`, `small`, `strong`, `said` (somebody's words, at length).
        tag: The HTML element, such as `p`, `h1`, `ins`.
    """
    return TextElement(tag=tag, text=text).classes(f"words {classes}")


@contextmanager
def card(title: str, *, classes: str = "", level: int = 2) -> Iterator[ui.element]:
    """Put what follows onto a card with a heading; yields the row of the heading, for actions on its right.

    Example: `with card("Principles") as head:` and inside `with head: icon_action("undo", "Undo", undo)`.
    """
    with ui.element("section").classes(f"card {classes}") as section:
        section.props["aria-label"] = title
        with ui.element("div").classes("card-head") as head:
            words(title, "card-title", tag=f"h{level}")
        yield head


def action(
    text: str,
    on_click: Callable[..., Any],
    *,
    kind: Literal["primary", "plain", "quiet", "danger"] = "plain",
    icon: str | None = None,
) -> ui.button:
    """Make a button with words on it; one `primary` a card."""
    return ui.button(text, on_click=on_click, icon=icon, color=None).props("no-caps unelevated").classes(f"act {kind}")


def icon_action(icon: str, label: str, on_click: Callable[..., Any]) -> ui.button:
    """Make a button that is a picture; the label is its tooltip, and what a screen reader says."""
    with ui.button(icon=icon, on_click=on_click, color=None).props("flat round dense") as button:
        button.props["aria-label"] = label
        ui.tooltip(label)
    return button.classes("act-icon")


def field(label: str, value: str = "", *, lines: int = 1, hint: str = "", draft: str = "") -> ui.textarea:
    """Make a field to write in, which grows with what is written.

    Args:
        label: What stands above it.
        value: What is in it.
        lines: How many lines it has at least.
        hint: What stands in it while it is empty.
        draft: A name under which this browser tab keeps what was typed, over a reload and a lost connection, until
            `forget_draft`.
    """
    box = ui.textarea(label, value=value, placeholder=hint or None).props(
        f'outlined autogrow stack-label rows={lines} input-class="field-text"'
    )
    if draft:
        box.props["data-draft"] = draft
    return box.classes("field")


def forget_draft(name: str) -> None:
    """Let this browser tab forget what was typed under a name, once it is sent."""
    ui.run_javascript(f"studio.forget({json.dumps(name)})")
