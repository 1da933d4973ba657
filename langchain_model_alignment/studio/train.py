"""The Train page: labeled rows become a rulebook; what was trained here, and how a training begins."""

from fastapi import Request
from fastapi.responses import FileResponse, PlainTextResponse, Response
from nicegui import app as pages
from nicegui import ui

from langchain_model_alignment.errors import AlignmentError, ArtifactError, NotFoundError
from langchain_model_alignment.studio.parts import card, words
from langchain_model_alignment.studio.shared import Studio
from langchain_model_alignment.studio.train_begin import begin_page
from langchain_model_alignment.studio.train_parts import chip, drop, page, tell_apart
from langchain_model_alignment.studio.train_run import TrainRun
from langchain_model_alignment.studio.train_runs import Runs
from langchain_model_alignment.studio.train_tables import Tables
from langchain_model_alignment.studio.train_view import run_page

__all__ = ["add_train"]

_HINT = "A .csv whose first line names its columns, in UTF-8; or .jsonl, .json, .parquet. Of any size."


def add_train(studio: Studio, runs: Runs, tables: Tables) -> None:
    """Add the page to the studio."""

    @pages.post("/train/table")
    async def _take(request: Request, name: str) -> Response:
        try:
            id = await tables.take(name, request.stream())
        except AlignmentError as error:
            return PlainTextResponse(str(error), 400)
        return PlainTextResponse(f"/train/table/{id}")

    @pages.get("/train/run/{name}/report")
    async def _report(name: str) -> Response:
        try:
            report = runs.get(name).folder.report
        except (NotFoundError, ArtifactError) as error:
            return PlainTextResponse(str(error), 404)
        if not report.exists():
            return PlainTextResponse("There is no report yet; it is written when training ends or is stopped.", 404)
        return FileResponse(report, media_type="text/html")

    @ui.page("/train", title="Train · Studio")
    def _home() -> None:
        with page("/train", studio):
            _show_home(runs)

    @ui.page("/train/table/{id}", title="Begin a training · Studio")
    async def _begin(id: str) -> None:
        with page("/train", studio) as frame:
            await begin_page(frame, runs, tables, id)

    @ui.page("/train/run/{name}", title="Training · Studio")
    async def _run(name: str) -> None:
        with page("/train", studio) as frame:
            await run_page(frame, runs, name)


def _show_home(runs: Runs) -> None:
    with ui.element("div").classes("stack wide"):
        words("Labels become rules that you can read", "title", tag="h1")
        words(
            "Give a table in which people have already decided: a message and where it went, a comment and whether it "
            "stayed. The model looks for the rules behind their decisions, tries each on rows set apart, and keeps "
            "what makes it better. Then it labels the rest.",
            "lead",
            tag="p",
        )
        with card("A new training"):
            drop("/train/table", "Choose a file of labeled rows, or drop it here", _HINT)
        if found := runs.all():
            with card("Trainings"), ui.element("ul").classes("list"):
                for run in found:
                    _entry(run)


def _entry(run: TrainRun) -> None:
    with ui.element("li"), ui.element("a").classes("entry") as place:
        place.props["href"] = f"/train/run/{run.name}"
        with ui.element("span").classes("entry-words"):
            words(run.asked.task or f"What is the {run.asked.label}?", "strong", tag="span")
            words(f"{run.name} · {', '.join(map(str, run.asked.labels[:6]))}", "muted small", tag="span")
        if run.running:
            chip("training")
        elif run.record.finished:
            score = run.folder.result().rulebook.score
            chip(tell_apart(score.value if score else None, run.asked.metric), "good")
        else:
            chip("stopped")
