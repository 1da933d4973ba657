"""A sheet of rows as a page: what the model says of each, and where a person decides."""

import time
from functools import partial
from typing import Any

from nicegui import ui
from nicegui.events import KeyEventArguments

from langchain_model_alignment.errors import AlignmentError
from langchain_model_alignment.studio.frame import Frame
from langchain_model_alignment.studio.label_job import LabelJob
from langchain_model_alignment.studio.label_sheet import Counts, SheetRow
from langchain_model_alignment.studio.parts import action, card, words
from langchain_model_alignment.studio.train_parts import bar, bare, chip, facts, link

__all__ = ["sheet_page"]

_PAGE = 20  # rows shown at once
_LOOK = 0.4  # seconds between two looks at a sheet
_SETTLED = 1.0  # seconds; a key that comes sooner after the rows moved was meant for another row
_BUTTONS = 9  # labels that have a key of their own; the others are chosen from a list


def sheet_page(frame: Frame, job: LabelJob) -> None:
    """Show a sheet; it is the same in every tab, and after a reload."""
    view = _View(frame, job)
    with ui.element("div").classes("stack wide"):
        view.show()
    ui.keyboard(view.press, ignore=["input", "select", "textarea"])
    ui.timer(_LOOK, view.look)


class _View:
    """What one tab sees of a sheet."""

    def __init__(self, frame: Frame, job: LabelJob) -> None:
        self._frame, self._job = frame, job
        self._task = job.rulebook.task
        self._labels = self._task.labels
        self._start, self._at, self._doubtful = 0, 0, True
        self._rows: list[SheetRow] = []
        self._places: list[ui.element] = []
        self._seen: dict[str, Any] = {}
        self._open: set[int] = set()
        self._moved = -_SETTLED

    def show(self) -> None:
        """Show everything once; `look` keeps it up to date."""
        words(self._job.name, "title", tag="h1")
        self._standing = words("", "lead", tag="p").props('role="status"')
        self._facts = ui.element("div")
        self._actions = ui.element("div").classes("row")
        with card("Rows") as head:
            with head:
                self._order = action("", self._turn_order, kind="quiet", icon="swap_vert")
                self._older = action("Before", partial(self._turn, -_PAGE), kind="quiet")
                self._newer = action("Next", partial(self._turn, _PAGE), kind="quiet")
            give = f"1 to {len(self._labels)} give a label, " if len(self._labels) <= _BUTTONS else ""
            words(f"Keys: {give}j and k move, w tells why, n and p turn the page.", "muted small keys", tag="p")
            if self._job.rulebook.scoring == "text":
                words(
                    "This model does not tell how sure it is: rows without a label come first.", "muted small", tag="p"
                )
            self._list = ui.element("ol").classes("list sheet")
        self._fill()
        self._refresh()

    def look(self) -> None:
        """Look whether the sheet has changed; rows that a person is looking at stay where they are."""
        if not self._changed("version", self._job.version):
            return
        self._refresh()
        untouched = self._at == 0 and not self._start and not any(row.given is not None for row in self._rows)
        if untouched and (self._changed("ended", self._job.running) or not all(row.asked for row in self._rows)):
            self._fill()
            self._moved = time.monotonic()

    async def press(self, event: KeyEventArguments) -> None:
        """Do what a key stands for."""
        if not event.action.keydown or event.modifiers.ctrl or event.modifiers.meta or event.modifiers.alt:
            return
        key = event.key.name
        if event.action.repeat and not (key in ("j", "k") or key.startswith("Arrow")):
            return  # a key held down gives one label, not a page of them
        if key in ("j", "ArrowDown"):
            self._choose(self._at + 1)
        elif key in ("k", "ArrowUp"):
            self._choose(self._at - 1)
        elif key == "n":
            self._turn(_PAGE)
        elif key == "p":
            self._turn(-_PAGE)
        elif key == "w" and self._rows:
            await self._why(self._at)
        elif key.isdecimal() and 1 <= int(key) <= len(self._labels) <= _BUTTONS:
            if time.monotonic() - self._moved < _SETTLED:
                self._frame.say("The rows have moved just now; look, and press again.")
            else:
                await self._give(self._at, int(key) - 1)

    # -- above the rows ----------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        job, counts = self._job, self._job.sheet.counts()
        self._standing.set_text(_standing(job, counts))
        if self._changed("facts", counts):
            self._facts.clear()
            with self._facts:
                named = [
                    (f"“{self._labels[at]}”", f"{n:,}") for at, n in sorted(counts.labels.items(), key=lambda p: -p[1])
                ]
                facts([("Rows", f"{counts.rows:,}"), ("Looked at", f"{counts.given:,}"), *named[:6]])
        shown = (job.running, counts.rows, counts.asked == counts.rows, counts.failed, counts.given, self._newest())
        if self._changed("actions", shown):
            self._actions.clear()
            with self._actions:
                self._show_actions(counts)
        if self._changed("problem", job.problem) and job.problem:
            self._frame.say(job.problem, "problem")
        self._order.set_text("Order: least sure first" if self._doubtful else "Order: as given")
        self._older.set_enabled(self._start > 0)
        self._newer.set_enabled(self._start + _PAGE < counts.rows)

    def _show_actions(self, counts: Counts) -> None:
        job, left = self._job, counts.rows - counts.asked
        if job.running:
            action("Stop", job.stop, icon="pause")
        elif job.unread:
            action("Read the file", partial(job.start, label=False), kind="primary")
        elif left:
            action(f"Label {left:,} rows", job.start, kind="primary", icon="play_arrow")
        if counts.failed and not job.running:
            action(f"Ask again about {counts.failed:,} that failed", self._ask_again)
        if self._newest() and not job.running:
            action("Label anew by the newest rulebook", self._renew)
        if counts.asked:
            link("labels.csv", f"/label/sheet/{job.id}/labels.csv")
        if counts.given:
            link(f"Train on the {counts.given:,} you looked at", f"/train/run/{job.run.name}")

    def _newest(self) -> bool:
        """Whether the run has another rulebook by now."""
        book = self._job.run.rulebook()
        return book is not None and book.fingerprint() != self._job.rulebook.fingerprint()

    def _ask_again(self) -> None:
        self._job.sheet.ask_again(failed_only=True)
        self._job.start()

    def _renew(self) -> None:
        self._job.renew()
        self._fill()

    def _turn_order(self) -> None:
        self._doubtful, self._start = not self._doubtful, 0
        self._fill()
        self._refresh()

    def _turn(self, by: int) -> None:
        rows = self._job.sheet.counts().rows
        if 0 <= self._start + by < rows:
            self._start += by
            self._fill()
            self._refresh()

    # -- the rows ----------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        self._rows = self._job.sheet.page(self._start, _PAGE, doubtful_first=self._doubtful)
        self._at = 0
        self._open.clear()
        self._list.clear()
        with self._list:
            self._places = [ui.element("li").classes("sheet-row") for _ in self._rows]
            if not self._rows:
                with ui.element("li"):
                    words("The rows appear here as they are read.", "muted", tag="p")
        for at in range(len(self._rows)):
            self._draw(at)
        self._mark(0)

    def _draw(self, at: int) -> None:
        row, place = self._rows[at], self._places[at]
        place.clear()
        with place:
            text = bare(self._task.show(row.inputs), self._task.input_names)
            words(text or "(empty)", "said clamped", tag="p").on("click", partial(self._choose, at))
            with ui.element("div").classes("row"):
                words(f"{row.number:,}", "muted small number", tag="span")
                self._verdict(row)
                ui.element("span").classes("grow")
                self._buttons(at, row)
            if row.number in self._open:
                self._principles(row)

    def _verdict(self, row: SheetRow) -> None:
        if row.given is not None:
            chip(f"{self._labels[row.given]} · by you", "good")
            if row.label is not None and row.label != row.given:
                words(f"the model said {self._labels[row.label]}", "muted small", tag="span")
        elif row.label is not None:
            chip(self._labels[row.label])
            if row.confidence is not None:
                words(f"{100 * row.confidence:.0f}% sure", "muted small", tag="span")
                bar(row.confidence)
        elif row.error is not None:
            chip("failed", "bad")
            words(row.error, "muted small", tag="span")
        elif row.asked:
            chip("no label", "warm")
        else:
            words("not labeled yet", "muted small", tag="span")

    def _buttons(self, at: int, row: SheetRow) -> None:
        with ui.element("div").classes("labels").props("role=group") as group:
            group.props["aria-label"] = f"Label of row {row.number}"
            if len(self._labels) <= _BUTTONS:
                for index, label in enumerate(self._labels):
                    chosen = index == (row.label if row.given is None else row.given)
                    button = action(label, partial(self._give, at, index), kind="plain").classes("label-button")
                    button.props["aria-pressed"] = "true" if chosen else "false"
            else:
                now = row.label if row.given is None else row.given
                box = ui.select(dict(enumerate(self._labels)), value=now, label=f"Label of row {row.number}")
                box.props("outlined dense options-dense").classes("field short")
                box.on_value_change(lambda change: self._give(at, change.value))
        if row.label is not None:
            why = action("Why", partial(self._why, at), kind="quiet")
            why.props["aria-label"] = f"Why row {row.number} has its label"
            why.props["aria-expanded"] = "true" if row.number in self._open else "false"

    def _principles(self, row: SheetRow) -> None:
        with ui.element("div").classes("because"):
            if row.principles is None:
                words("Asking which rules decided …", "muted small", tag="p")
            elif not row.principles:
                words("No rule decided: the model went by the question.", "muted small", tag="p")
            by_id = {p.id: p for p in self._job.rulebook.constitution}
            for id in row.principles or ():
                if id in by_id:
                    words(f"{id} · {by_id[id].label}: {by_id[id].sentence()}", "small", tag="p")

    def _choose(self, at: int) -> None:
        if 0 <= at < len(self._rows):
            self._mark(at)
            ui.run_javascript(f'getHtmlElement({self._places[at].id})?.scrollIntoView({{block: "nearest"}})')

    def _mark(self, at: int) -> None:
        for place in self._places:
            place.classes(remove="chosen")
            place.props.pop("aria-current", None)
        self._at = at
        if at < len(self._places):
            self._places[at].classes("chosen")
            self._places[at].props["aria-current"] = "true"

    async def _give(self, at: int, label: int) -> None:
        if at >= len(self._rows):
            return
        number = self._rows[at].number
        try:
            await self._job.give(number, label)
            self._rows[at] = self._job.sheet.row(number)
        except AlignmentError as error:
            self._frame.say(str(error), "problem")
            return
        self._draw(at)
        self._refresh()
        self._choose(min(at + 1, len(self._rows) - 1))

    async def _why(self, at: int) -> None:
        row = self._rows[at]
        if row.label is None:
            return
        if row.number in self._open:
            self._open.discard(row.number)
            self._draw(at)
            return
        self._open.add(row.number)
        self._draw(at)
        try:
            await self._job.explain(row.number)
        except AlignmentError as error:
            self._open.discard(row.number)
            self._frame.say(str(error), "problem")
        if at < len(self._rows) and self._rows[at].number == row.number:
            self._rows[at] = self._job.sheet.row(row.number)
            self._draw(at)

    def _changed(self, what: str, now: Any) -> bool:
        """Tell whether something differs from when this was asked last."""
        before, self._seen[what] = self._seen.get(what, self), now
        return bool(before != now)


def _standing(job: LabelJob, counts: Counts) -> str:
    if job.running and job.doing != "labeling":
        return f"{job.doing[:1].upper()}{job.doing[1:]} …"
    if job.running:
        return f"{counts.asked:,} of {counts.rows:,} rows are labeled …"
    if counts.asked < counts.rows:
        return f"{counts.asked:,} of {counts.rows:,} rows are labeled."
    if counts.given:
        joined = "row you looked at joins" if counts.given == 1 else "rows you looked at join"
        return f"All rows are labeled. The {counts.given:,} {joined} the training rows when the training goes on."
    return "All rows are labeled. Look at the doubtful ones: what you decide joins the training rows."
