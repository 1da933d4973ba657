"""Where a person helps a training: the mistakes it still makes, and the principles that they want tried."""

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from langchain_model_alignment.errors import AlignmentError
from langchain_model_alignment.labeling.additions import TRIED, Suggestion
from langchain_model_alignment.labeling.task import Row
from langchain_model_alignment.studio.frame import Frame
from langchain_model_alignment.studio.parts import action, field, forget_draft, words
from langchain_model_alignment.studio.train_parts import bare, chip, choice, tell_apart
from langchain_model_alignment.studio.train_run import TrainRun

__all__ = ["Help"]

_SHOWN = 8  # the others are shown when they are asked for


class Help:
    """The mistakes of a run as one tab sees them; they change only when the person wants it, or has written nothing.

    Args:
        frame: Where to say what goes wrong.
        run: The run.
    """

    def __init__(self, frame: Frame, run: TrainRun) -> None:
        self._frame, self._run = frame, run
        self._shown: Any = ""  # unlike any step, and unlike no step
        self._open: str | None = None
        self._writing: ui.element | None = None
        self._told: Any = None

    def show(self) -> None:
        """Show where mistakes and suggestions will stand."""
        self._place = ui.element("div").classes("stack")
        self._news = ui.element("div").classes("row")
        self._said = ui.element("div").classes("stack")

    async def look(self) -> None:
        """Look whether there is something new to see."""
        now = _step_of(self._run.state)
        if now != self._shown:
            if self._open is None:
                await self._fill()
            elif not self._news.default_slot.children:
                with self._news:
                    action("Show the mistakes of the step after", self._fill, kind="quiet")
        told = (len(self._run.history), len(self._run.added.suggestions), self._run.running)
        if told != self._told:
            self._told = told
            self._fill_said()

    async def _fill(self) -> None:
        self._shown, self._open, self._writing = _step_of(self._run.state), None, None
        try:
            met = await self._run.mistakes()
        except AlignmentError as error:
            met = []
            self._frame.say(str(error), "problem")
        self._news.clear()
        self._place.clear()
        with self._place:
            if not met:
                words("Mistakes on training rows appear here after the first step.", "muted", tag="p")
                return
            words(
                "Training rows that the last step labeled wrongly. Say what decides one of them: your principle is put "
                "up in the next step, beside the model's own, and the best one on the rows set apart is kept.",
                "muted small",
                tag="p",
            )
            with ui.element("ul").classes("list"):
                for row, given in met[:_SHOWN]:
                    self._mistake(row, given)
                if len(met) > _SHOWN:
                    with ui.element("li") as more:
                        action(
                            f"Show {len(met) - _SHOWN} more", lambda: self._show_more(more, met[_SHOWN:]), kind="quiet"
                        )

    def _show_more(self, place: ui.element, met: list[tuple[Row, int]]) -> None:
        with place.parent_slot or self._place:
            for row, given in met:
                self._mistake(row, given)
        place.delete()

    def _mistake(self, row: Row, given: int) -> None:
        labels = self._run.asked.labeling_task().labels
        right = labels[row.label or 0]
        with ui.element("li").classes("mistake"):
            words(bare(row.text, self._run.asked.inputs), "said clamped", tag="p")
            with ui.element("div").classes("row"):
                chip(f"right: {right}", "good")
                chip(f"given: {labels[given]}" if given >= 0 else "given: no label", "bad")
                button = action("Say why", lambda: self._ask(place, row, right), kind="quiet", icon="edit")
                button.props["aria-label"] = f"Say why it is {right}: {row.text[:80]}"
            place = ui.element("div").classes("stack")

    def _ask(self, place: ui.element, row: Row, right: str) -> None:
        if self._open == row.id:
            return
        if self._writing is not None:
            self._writing.clear()
        self._open, self._writing = row.id, place
        draft = f"why-{self._run.name}-{row.id}"
        with place:
            text = field(f"What tells that it is {right}?", hint="It offers something for sale.", draft=draft)
            label = choice("Speaks for", self._run.asked.labeling_task().labels, right)

            async def send() -> None:
                said = Suggestion(label=label.value, text=(text.value or "").strip(), row=row.id)
                try:
                    await self._run.suggest(said)
                except AlignmentError as error:
                    self._frame.say(str(error), "problem")
                    return
                forget_draft(draft)
                close()

            def close() -> None:
                place.clear()
                self._open = self._writing = None

            with ui.element("div").classes("row"):
                action("Try it in the next step", send, kind="primary")
                action("Leave it", close, kind="quiet")
        text.run_method("focus")

    def _fill_said(self) -> None:
        suggestions = self._run.added.suggestions
        self._said.clear()
        if not suggestions:
            return
        tried = _tried(self._run)
        with self._said:
            words("Your principles", "strong", tag="h3")
            with ui.element("ul").classes("list"):
                for said in reversed(suggestions):
                    with ui.element("li"):
                        words(f"{said.label}: {said.text}", "said", tag="p")
                        words(tried.get((said.label, said.text), "Waits for the next step."), "muted small", tag="p")


def _step_of(state: Mapping[str, Any]) -> Any:
    screening = state.get("screening")
    return None if screening is None else (screening["wrong"], screening.get("given"))


def _tried(run: TrainRun) -> dict[tuple[str, str], str]:
    """What became of the principles that people suggested, by label and text."""
    found: dict[tuple[str, str], str] = {}
    metric, labels, book = run.asked.metric, run.asked.labeling_task().labels, run.rulebook()
    there = {(p.label, p.text) for p in book.constitution} if book is not None else set()
    for step in run.history:
        for record in step["candidates"]:
            if record["origin"] == "person":
                label, text = record["edits"][0]["label"], record["edits"][0]["text"]
                score, best = tell_apart(record["score"], metric), tell_apart(step["score"], metric)
                fate = f"{score}, where the best rulebook had {best}"
                if (label, text) in there:
                    fate = "it is in the rulebook"
                found[label, text] = f"Tried in step {step['step']}: {fate}."
        for line in step["refused"]:
            why, _, text = line.partition(": ")
            if why == TRIED:
                found.update(
                    {(label, text): "The same words were tried before, and were not better." for label in labels}
                )
    return found
