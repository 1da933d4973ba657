"""How a training begins: what is in the table, what its columns mean, and how much it may take."""

from collections.abc import Sequence

from nicegui import ui

from langchain_model_alignment.errors import AlignmentError
from langchain_model_alignment.labeling.run_folder import Asked
from langchain_model_alignment.labeling.tables import Scan
from langchain_model_alignment.labeling.task import LabelValue, as_text, is_missing
from langchain_model_alignment.studio.frame import Frame
from langchain_model_alignment.studio.parts import action, card, field, words
from langchain_model_alignment.studio.train_parts import bar, choice, size_of, table
from langchain_model_alignment.studio.train_runs import Runs
from langchain_model_alignment.studio.train_tables import Table, Tables
from langchain_model_alignment.usage import Budget

__all__ = ["begin_page"]

_ROWS = 6  # of the table, at once
_STEPS, _CALLS = 5, 3_000


async def begin_page(frame: Frame, runs: Runs, tables: Tables, id: str) -> None:
    """Show a table and what to ask about it."""
    try:
        file = tables.get(id)
        waiting = words(f"Looking through {file.path.name} ({size_of(file.path)}) …", "muted", tag="p")
        await ui.context.client.connected()
        found = await file.look()
        first = await file.rows(0, _ROWS)
    except AlignmentError as error:
        frame.say(str(error), "problem")
        words("Give the file again on the page before.", "muted", tag="p")
        return
    waiting.delete()
    if found.first_broken is not None:
        place = found.first_broken._replace(file=found.first_broken.file.relative_to(file.path.parent)).place
        frame.say(f"{place} {found.first_broken.error}; correct it and give the file again.", "problem")
    with ui.element("div").classes("stack wide"):
        words("What do the columns mean?", "title", tag="h1")
        _Begin(frame, runs, file, found).show(first)


class _Begin:
    """The form of one tab.

    Args:
        frame: Where to say what goes wrong.
        runs: Where the run is made.
        file: The labeled rows.
        found: What is in them.
    """

    def __init__(self, frame: Frame, runs: Runs, file: Table, found: Scan) -> None:
        self._frame, self._runs, self._file, self._found = frame, runs, file, found
        self._at = 0
        self._labels: Sequence[LabelValue] = ()

    def show(self, first: Sequence[dict[str, object]]) -> None:
        """Show the form, beginning with some rows of the table."""
        columns = self._found.columns
        with card(f"{self._file.path.name} · {self._found.rows:,} rows") as head:
            with head:
                self._older = action("Before", lambda: self._turn(-_ROWS), kind="quiet")
                self._newer = action("Next rows", lambda: self._turn(_ROWS), kind="quiet")
            self._preview = ui.element("div")
            self._fill(first)
        with ui.element("div").classes("columns"):
            with card("What is asked"):
                self._inputs = choice("Columns to read", columns, columns[:1], several=True)
                self._label = choice("Column with the right answer", columns, columns[-1] if len(columns) > 1 else None)
                self._label.on_value_change(self._weigh)
                self._task = field(
                    "The question, in a sentence", hint="Should the comment be kept or removed?", draft="train-task"
                )
                with ui.element("div").classes("row"):
                    self._steps = ui.number("Steps", value=_STEPS, min=1, max=100, precision=0).classes("field short")
                    self._calls = ui.number("Model calls at most", value=_CALLS, min=1, precision=0)
                    self._calls.classes("field short")
                    for box in (self._steps, self._calls):
                        box.props("outlined stack-label")
                words(
                    f"The model {self._runs.model.name} labels, and no more calls are made than you allow. Stop when "
                    "you like; it goes on from there.",
                    "muted small",
                    tag="p",
                )
                with ui.element("div").classes("row"):
                    self._go = action("Start training", self._start, kind="primary", icon="play_arrow")
            with card("The answers"):
                self._balance = ui.element("div").classes("stack")
        ui.timer(0, self._weigh, once=True)

    def _fill(self, rows: Sequence[dict[str, object]]) -> None:
        columns = self._found.columns
        self._preview.clear()
        with self._preview:
            shown = [["" if is_missing(row.get(name)) else as_text(row[name]) for name in columns] for row in rows]
            table(columns, shown, f"Rows {self._at + 1} to {self._at + len(rows)}")
        self._older.set_enabled(self._at > 0)
        self._newer.set_enabled(self._at + _ROWS < self._found.rows)

    async def _turn(self, by: int) -> None:
        self._at = max(0, self._at + by)
        self._fill(await self._file.rows(self._at, _ROWS))

    async def _weigh(self) -> None:
        """Show how many rows each label has."""
        self._labels = ()
        column = self._label.value
        self._balance.clear()
        if not column:
            with self._balance:
                words("Choose the column with the right answer.", "muted", tag="p")
            return
        with self._balance:
            words("Counting …", "muted", tag="p")
        try:
            counted = await self._file.balance(column)
        except AlignmentError as error:
            self._balance.clear()
            with self._balance:
                words(str(error), "trouble", tag="p")
            return
        if column != self._label.value:
            return
        self._labels = [label for label, _ in counted]
        total = sum(n for _, n in counted)
        self._balance.clear()
        with self._balance, ui.element("ul").classes("balance"):
            for label, n in sorted(counted, key=lambda pair: -pair[1]):
                with ui.element("li"):
                    words(as_text(label), "strong", tag="span")
                    words(f"{n:,} · {100 * n / total:.0f}%", "muted small", tag="span")
                    bar(n / total)
        if missing := self._found.rows - total:
            with self._balance:
                words(f"{missing:,} rows have no answer; label them or leave them out.", "trouble", tag="p")

    async def _start(self) -> None:
        self._frame.hush()
        if not self._labels:
            self._frame.say("Choose the column with the right answer; it must hold two labels at least.", "problem")
            return
        self._go.disable()
        calls = int(self._calls.value) if self._calls.value else None
        try:
            asked = Asked(
                data=str(self._file.path),
                inputs=list(self._inputs.value or []),
                label=self._label.value,
                labels=list(self._labels),
                task=(self._task.value or "").strip(),
                model=self._runs.model.name,
                train_model=None if self._runs.writer is self._runs.model else self._runs.writer.name,
                steps=int(self._steps.value or _STEPS),
                budget=Budget(max_calls=calls).model_dump(),
                sized_for=calls,
            )
            run = await self._runs.begin(self._file.path, asked)
            run.start(steps=asked.steps, max_calls=calls)
        except AlignmentError as error:
            self._frame.say(str(error), "problem")
            self._go.enable()
            return
        ui.navigate.to(f"/train/run/{run.name}")
