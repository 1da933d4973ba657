"""The Align page."""

from nicegui import ui

from langchain_model_alignment.studio.frame import frame
from langchain_model_alignment.studio.shared import Studio

__all__ = ["add_align"]


def add_align(studio: Studio) -> None:
    """Add the page to the studio."""

    @ui.page("/align", title="Align · Studio")
    def _page() -> None:
        with frame("/align", studio):
            ui.label("This page is being built.").classes("muted")
