"""The Label page."""

from nicegui import ui

from langchain_model_alignment.studio.frame import frame
from langchain_model_alignment.studio.shared import Studio

__all__ = ["add_label"]


def add_label(studio: Studio) -> None:
    """Add the page to the studio."""

    @ui.page("/label", title="Label · Studio")
    def _page() -> None:
        with frame("/label", studio):
            ui.label("This page is being built.").classes("muted")
