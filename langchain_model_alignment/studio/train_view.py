"""One training run as a page: how far it is, what it has learned, and where a person can help."""

from typing import Any

from nicegui import ui

from langchain_model_alignment.errors import AlignmentError
from langchain_model_alignment.labeling.page import duration
from langchain_model_alignment.studio.frame import Frame
from langchain_model_alignment.studio.parts import action, card, words
from langchain_model_alignment.studio.train_help import Help
from langchain_model_alignment.studio.train_parts import facts, link, tell_apart
from langchain_model_alignment.studio.train_run import TrainRun
from langchain_model_alignment.studio.train_runs import Runs
from langchain_model_alignment.studio.train_story import rulebook_list, step_list

__all__ = ["run_page"]

_LOOK = 0.4  # seconds between two looks at a run
_MORE = 2  # steps that a run which has ended is offered to go on for


async def run_page(frame: Frame, runs: Runs, name: str) -> None:
    """Show a run; it is the same in every tab, and after a reload."""
    try:
        run = runs.get(name)
        await run.load()
    except AlignmentError as error:
        frame.say(str(error), "problem")
        return
    view = _View(frame, run)
    with ui.element("div").classes("stack"):
        view.show()
    ui.timer(_LOOK, view.look)


class _View:
    """What one tab sees of a run."""

    def __init__(self, frame: Frame, run: TrainRun) -> None:
        self._frame, self._run = frame, run
        self._seen: dict[str, Any] = {}
        self._told = ""
        self._help = Help(frame, run)

    def show(self) -> None:
        """Show everything once; `look` keeps it up to date."""
        with ui.element("div").classes("stack"):
            words(self._run.asked.task or f"What is the {self._run.asked.label}?", "title", tag="h1")
            self._standing = words("", "lead", tag="p").props('role="status"')
            self._facts = ui.element("div")
        self._actions = ui.element("div").classes("row")
        with ui.element("div").classes("columns"):
            with ui.element("div").classes("stack"):
                with card("The rulebook"):
                    self._rulebook = ui.element("div").classes("stack")
                with card("Where it still errs"):
                    self._help.show()
            with card("Steps"):
                self._steps = ui.element("div").classes("stack")
        self._refresh()

    async def look(self) -> None:
        """Look whether the run has changed."""
        if self._changed("version", self._run.version) or self._run.running:
            self._refresh()
        await self._help.look()

    def _refresh(self) -> None:
        run = self._run
        self._standing.set_text(self._standing_words())
        usage, history = run.usage, run.history
        told = [
            ("Score", tell_apart(history[-1]["score"], run.asked.metric) if history else "–"),
            ("At the start", tell_apart(history[0]["score"], run.asked.metric) if history else "–"),
            ("Steps", f"{max(0, len(history) - 1)} of {run.asked.steps}"),
            ("Model calls", _of(usage.calls, run.asked.budget.get("max_calls"))),
            ("Tokens", f"{usage.tokens:,}"),
            ("Time in steps", duration(sum(step["seconds"] for step in history))),
        ]
        if usage.cost:
            told.append(("Cost", f"{usage.cost:,.4f}"))
        if n := len(run.added.corrections):
            told.append(("Your labels", f"{n:,}"))
        if self._changed("facts", told):
            self._facts.clear()
            with self._facts:
                facts(told)
        if self._changed("actions", (run.running, run.record.finished, len(history))):
            self._actions.clear()
            with self._actions:
                self._show_actions()
        book = run.rulebook()
        if self._changed("rulebook", None if book is None else (book.fingerprint(), str(book.evidence))):
            self._rulebook.clear()
            with self._rulebook:
                rulebook_list(book)
        racing = {id: c["record"] for id, c in run.state.get("candidates", {}).items()} if run.running else {}
        if self._changed("steps", (len(history), run.running, run.doing, list(racing.values()))):
            self._steps.clear()
            with self._steps:
                step_list(run.history, run.state if run.running else {}, run.asked.metric)
        trouble = " ".join([run.problem, *run.notes]).strip()
        if trouble != self._told:
            self._told = trouble
            if trouble:
                self._frame.say(trouble, "problem" if run.problem else "news")

    def _standing_words(self) -> str:
        run = self._run
        if run.running:
            step = len(run.history)
            where = f"Step {step} of {run.asked.steps}: " if step else ""
            return f"{where}{run.doing} …"
        if run.record.finished:
            return f"Training has ended: {str(run.state.get('stopped', '')).rstrip('.') or 'it is done'}."
        return "Training stands. Everything so far is kept; go on whenever you like."

    def _show_actions(self) -> None:
        run = self._run
        if run.running:
            action("Stop", self._stop, icon="pause")
        else:
            done = max(0, len(run.history) - 1)
            steps = max(run.asked.steps, done + _MORE if run.record.finished else done + 1)
            self._to = ui.number("Steps in all", value=steps, min=done + 1, max=1_000, precision=0)
            self._calls = ui.number("Model calls in all", value=run.asked.budget.get("max_calls"), min=1, precision=0)
            for box in (self._to, self._calls):
                box.props("outlined stack-label dense").classes("field short")
            action("Go on", self._go_on, kind="primary", icon="play_arrow")
        if run.rulebook() is not None:
            link("Label with it", f"/label?run={run.name}")
        if run.folder.report.exists():
            link("Report", f"/train/run/{run.name}/report", new_tab=True)

    async def _stop(self) -> None:
        self._standing.set_text("Stopping …")
        await self._run.stop()

    def _go_on(self) -> None:
        self._frame.hush()
        calls = self._calls.value
        try:
            self._run.start(steps=int(self._to.value or 1), max_calls=int(calls) if calls else None)
        except AlignmentError as error:
            self._frame.say(str(error), "problem")

    def _changed(self, what: str, now: Any) -> bool:
        """Tell whether something differs from when this was asked last."""
        before, self._seen[what] = self._seen.get(what, self), now
        return bool(before != now)


def _of(used: int, most: float | None) -> str:
    return f"{used:,}" if most is None else f"{used:,} of {int(most):,}"
