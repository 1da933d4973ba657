"""The frame around every page: navigation, light and dark, and where the studio speaks to the person."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from nicegui import ui

from langchain_model_alignment.studio.parts import icon_action, words
from langchain_model_alignment.studio.shared import Studio

__all__ = ["Frame", "frame"]

_PAGES = {"/align": "Align", "/train": "Train", "/label": "Label"}
_HEAD = (
    "".join(f'<link rel="stylesheet" href="/studio/{name}.css">' for name in ("studio", "align"))
    + '<script src="/studio/studio.js"></script>'
)


class Frame:
    """What a page may do with its frame."""

    def __init__(self, place: ui.element) -> None:
        self._place = place

    def say(self, sentence: str, tone: Literal["news", "problem"] = "news") -> None:
        """Say something to the person; it stays until it is closed or `hush` is called."""
        self.hush()
        with self._place, ui.element("div").classes(f"note {tone}"):
            words(sentence, tag="p")
            icon_action("close", "Close this message", self.hush)

    def hush(self) -> None:
        """Take away what was said."""
        self._place.clear()


@contextmanager
def frame(path: str, studio: Studio) -> Iterator[Frame]:
    """Put a page into the frame; what follows is its content.

    Args:
        path: Which page it is: `/align`, `/train` or `/label`.
        studio: The studio, whose model's standing is shown.
    """
    ui.add_head_html(_HEAD)
    chosen = ui.context.client.request.cookies.get("theme")
    dark = ui.dark_mode({"dark": True, "light": False}.get(chosen or ""))

    async def turn() -> None:
        dark.set_value(await ui.run_javascript("studio.theme()"))

    with ui.element("a").props('href="#content"').classes("skip"):
        words("To the content", tag="span")
    with ui.element("header").classes("top"):
        with ui.element("a").props('href="/align"').classes("brand"):
            words("Studio", tag="span")
        with ui.element("nav").props('aria-label="Pages"').classes("nav"):
            for target, name in _PAGES.items():
                here = ' aria-current="page"' if target == path else ""
                with ui.element("a").props(f'href="{target}"{here}'):
                    words(name, tag="span")
        ui.element("div").classes("grow")
        icon_action("contrast", "Light or dark", turn)
    with ui.element("main").props('id="content" tabindex="-1"').classes("page"):
        place = ui.element("div").props('role="status" aria-live="polite"').classes("notes")
        yield Frame(place)
