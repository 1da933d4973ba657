"""The Label page: rows are given, a rulebook labels them, and a person looks at the doubtful ones."""

import csv
import io
from collections.abc import Iterator

from fastapi import Request
from fastapi.responses import PlainTextResponse, Response, StreamingResponse
from nicegui import app as pages
from nicegui import ui

from langchain_model_alignment.errors import AlignmentError
from langchain_model_alignment.labeling.task import as_text, is_missing
from langchain_model_alignment.studio.frame import Frame
from langchain_model_alignment.studio.label_job import LabelJob
from langchain_model_alignment.studio.label_jobs import Jobs, pasted_rows
from langchain_model_alignment.studio.label_view import sheet_page
from langchain_model_alignment.studio.parts import action, card, field, forget_draft, words
from langchain_model_alignment.studio.shared import Studio
from langchain_model_alignment.studio.train_parts import chip, drop, link, page
from langchain_model_alignment.studio.train_run import TrainRun
from langchain_model_alignment.studio.train_runs import Runs
from langchain_model_alignment.studio.train_story import rulebook_list
from langchain_model_alignment.studio.train_tables import Tables

__all__ = ["add_label", "as_csv"]

_DRAFT = "label-rows"
_LISTED = 12  # sheets that were given before
_PASTED = "Pasted rows"


def add_label(studio: Studio, runs: Runs, tables: Tables) -> None:
    """Add the page to the studio."""
    jobs = Jobs(studio.folder / "sheets", runs)

    @pages.post("/label/run/{run}/table")
    async def _take(request: Request, run: str, name: str) -> Response:
        try:
            table = tables.get(await tables.take(name, request.stream()))
            job = await jobs.make(runs.get(run), table.path.name, source=table.path)
            job.start(label=False)
        except AlignmentError as error:
            return PlainTextResponse(str(error), 400)
        return PlainTextResponse(f"/label/sheet/{job.id}")

    @pages.get("/label/sheet/{id}/labels.csv")
    async def _labels(id: str) -> Response:
        try:
            job = jobs.get(id)
        except AlignmentError as error:
            return PlainTextResponse(str(error), 404)
        named = {"content-disposition": 'attachment; filename="labels.csv"'}
        return StreamingResponse(as_csv(job), media_type="text/csv; charset=utf-8", headers=named)

    @ui.page("/label", title="Label · Studio")
    async def _home(run: str = "") -> None:
        with page("/label", studio) as frame:
            await _show_home(frame, runs, jobs, run)

    @ui.page("/label/sheet/{id}", title="Labels · Studio")
    async def _sheet(id: str) -> None:
        with page("/label", studio) as frame:
            try:
                job = jobs.get(id)
                await job.run.load()
            except AlignmentError as error:
                frame.say(str(error), "problem")
                return
            sheet_page(frame, job)


async def _show_home(frame: Frame, runs: Runs, jobs: Jobs, name: str) -> None:
    ready = []
    for run in runs.all():
        try:
            await run.load()
            if run.rulebook() is not None:
                ready.append(run)
        except AlignmentError as error:  # the other runs label all the same
            frame.say(str(error), "problem")
    with ui.element("div").classes("stack wide"):
        words("A rulebook labels, you have the last word", "title", tag="h1")
        words(
            "Paste some rows or give a file. Those that the model is least sure of come first; what you decide is kept "
            "and teaches the next training.",
            "lead",
            tag="p",
        )
        if not ready:
            with card("No rulebook yet"):
                words("Rows are labeled by a rulebook, and a rulebook comes from a training.", tag="p")
                with ui.element("div").classes("row"):
                    link("Train one", "/train")
            return
        by_name = {run.name: run for run in ready}
        chosen = by_name.get(name, ready[0])
        names = {run.name: f"{run.asked.task or run.asked.label} · {run.name}" for run in ready}
        with card("New rows"):
            box = ui.select(names, label="The rulebook", value=chosen.name).classes("field choice")
            box.props("outlined stack-label options-dense")
            box.on_value_change(lambda change: ui.navigate.to(f"/label?run={change.value}"))
            _give_rows(frame, jobs, chosen)
        with card("The rules that it goes by"):
            rulebook_list(chosen.rulebook())
        if found := jobs.latest(_LISTED):
            with card("Rows that you gave before"), ui.element("ul").classes("list"):
                for job in found:
                    _entry(job)


def _give_rows(frame: Frame, jobs: Jobs, run: TrainRun) -> None:
    task = run.asked.labeling_task()
    several = len(task.input_names) > 1
    kind = f"A table whose first line is: {', '.join(task.input_names)}" if several else "A row on each line"
    box = field("Rows", hint=f"{kind}.", draft=_DRAFT).classes("tall")

    async def send() -> None:
        frame.hush()
        try:
            job = await jobs.make(run, _PASTED, rows=pasted_rows(box.value or "", task))
        except AlignmentError as error:
            frame.say(str(error), "problem")
            return
        job.start()
        forget_draft(_DRAFT)
        ui.navigate.to(f"/label/sheet/{job.id}")

    with ui.element("div").classes("row"):
        action("Label these rows", send, kind="primary")
    columns = ", ".join(task.input_names)
    hint = f"It needs the column{'s' if several else ''} {columns}. You see what is in it before a model is asked."
    drop(f"/label/run/{run.name}/table", "Or choose a file, or drop it here", hint)


def _entry(job: LabelJob) -> None:
    counts = job.sheet.counts()
    with ui.element("li"), ui.element("a").classes("entry") as place:
        place.props["href"] = f"/label/sheet/{job.id}"
        with ui.element("span").classes("entry-words"):
            words(job.name, "strong", tag="span")
            words(f"{counts.rows:,} rows · {job.run.name} · {counts.given:,} looked at", "muted small", tag="span")
        chip("labeled", "good") if counts.asked == counts.rows else chip(f"{counts.asked:,} labeled")


def as_csv(job: LabelJob) -> Iterator[str]:
    """The rows with their labels, as a .csv, some at a time."""
    task = job.rulebook.task
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*task.input_names, task.label_name, "confidence", "given_by", "error"])
    for row in job.sheet:
        label = row.label if row.given is None else row.given
        by = "" if label is None else "model" if row.given is None else "person"
        writer.writerow(
            [
                *("" if is_missing(value := row.inputs.get(name)) else as_text(value) for name in task.input_names),
                "" if label is None else task.labels[label],
                "" if row.confidence is None else f"{row.confidence:.4f}",
                by,
                row.error or "",
            ]
        )
        yield text.getvalue()
        text.seek(0)
        text.truncate()
