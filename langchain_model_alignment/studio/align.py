"""The Align page: begin with a prompt, and work on it."""

from fastapi.responses import RedirectResponse
from nicegui import ui

from langchain_model_alignment.errors import AlignmentError, NotFoundError
from langchain_model_alignment.studio.aligning.answers import Answers
from langchain_model_alignment.studio.aligning.begin import begin_page
from langchain_model_alignment.studio.aligning.history_card import HistoryCard
from langchain_model_alignment.studio.aligning.keys import add_keys
from langchain_model_alignment.studio.aligning.principles_card import PrinciplesCard
from langchain_model_alignment.studio.aligning.prompt_card import PromptCard
from langchain_model_alignment.studio.aligning.turn_card import TurnCard
from langchain_model_alignment.studio.aligning.view import View
from langchain_model_alignment.studio.frame import Frame, frame
from langchain_model_alignment.studio.parts import icon_action, words
from langchain_model_alignment.studio.shared import Studio
from langchain_model_alignment.studio.work import Change, Work

__all__ = ["add_align"]


def add_align(studio: Studio) -> None:
    """Add the page to the studio."""

    @ui.page("/align", title="Align · Studio")
    async def _begin() -> None:
        names = await studio.works.names()
        with frame("/align", studio) as place:
            begin_page(studio, place, names)

    @ui.page("/align/{name}", title="Align · Studio")
    async def _work(name: str) -> RedirectResponse | None:
        work = studio.works.get(name)
        if work.loading:
            work.open()
        elif not work.busy:
            try:
                await work.read()
            except NotFoundError:
                return RedirectResponse("/align")
            except AlignmentError as error:
                work.problem = str(error)
        with frame("/align", studio) as place:
            _show(work, place)
        return None


def _show(work: Work, place: Frame) -> None:
    """Lay out the cards, and draw anew what changes."""
    view = View(work, place)
    with ui.element("div").classes("page-head"):
        with ui.element("a").props('href="/align"').classes("back"):
            words("All prompts", tag="span")
        words(work.name.replace("-", " "), "page-title", tag="h1")
        icon_action("download", "Download the aligned prompt", lambda: _download(work))
    turn = TurnCard(view)
    with ui.element("div").classes("work"):
        prompt = PromptCard(view)
        with ui.element("section").classes("answers-card").props('aria-label="Answers"'):
            answers = Answers(view)
        principles = PrinciplesCard(view)
        history = HistoryCard(view)
    add_keys(view, answers)
    client = ui.context.client

    def look(change: Change) -> None:
        with client:
            if change == "token":
                answers.follow()
                return
            turn.draw.refresh()
            principles.draw()
            if change == "whole":
                for one in (prompt, answers, history):
                    one.draw.refresh()
            elif work.told and work.told[-1]["type"] == "answers":
                answers.draw.refresh()

    client.on_delete(work.watch(look))


def _download(work: Work) -> None:
    if work.prompt is not None:
        ui.download.content(work.prompt.to_json(), f"{work.name}.aligned.json", "application/json")
