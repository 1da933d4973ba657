"""The Train page."""

from nicegui import ui

from langchain_model_alignment.studio.frame import frame
from langchain_model_alignment.studio.shared import Studio

__all__ = ["add_train"]


def add_train(studio: Studio) -> None:
    """Add the page to the studio."""

    @ui.page("/train", title="Train · Studio")
    def _page() -> None:
        with frame("/train", studio):
            ui.label("This page is being built.").classes("muted")
