"""What the turn under way does, what the last one did, and what it asks a person to decide."""

from typing import Any

from nicegui import ui

from langchain_model_alignment.feedback.loop_state import FeedbackEvent
from langchain_model_alignment.studio.aligning.prompt_card import show_pieces
from langchain_model_alignment.studio.aligning.view import View
from langchain_model_alignment.studio.marking import marked_changes
from langchain_model_alignment.studio.parts import action, card, words

__all__ = ["TurnCard"]

_NEXT = {
    "principles": "Writing it into the prompt…",
    "prompt": "Answering again…",
    "answers": "Checking what was said…",
    "verdicts": "Looking after earlier inputs…",
    "taken_back": "Taking the change back…",
}


class TurnCard:
    """The turn.

    Args:
        view: The tab.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        with ui.element("div").props('role="status" aria-live="polite"'):
            self.draw()

    @ui.refreshable_method
    def draw(self) -> None:
        """Show how things stand."""
        work = self._view.work
        if work.busy or work.loading:
            self._working()
        elif work.stopped:
            self._stopped()
        elif work.problem:
            with ui.element("div").classes("note problem"):
                words(work.problem, tag="p")
        if work.question is not None and work.question["type"] == "replay":
            self._decide(work.question["value"])
        elif not work.busy and not work.stopped:
            self._done(work.told)

    # -- under way -----------------------------------------------------------------------------------------------

    def _working(self) -> None:
        work = self._view.work
        first = "Reading what you said…" if work.prompt is not None and work.prompt.exchanges else "Answering…"
        now = _NEXT.get(work.told[-1]["type"], first) if work.told else first
        if work.loading:
            now = "The model is being made ready; the first time it is fetched, which takes a few minutes…"
        with ui.element("div").classes("note working"):
            ui.spinner(size="18px", color=None).props('aria-hidden="true"')
            words(now, "grow", tag="p")
            if work.busy:
                action("Stop", work.stop, kind="quiet")

    def _stopped(self) -> None:
        work = self._view.work
        problem = work.problem or "The last turn ended half way."
        with ui.element("div").classes("note problem"), ui.element("div").classes("stack tight grow"):
            words(problem, "strong", tag="p")
            words("Nothing is lost: what was done so far is kept.", "small", tag="p")
            with ui.element("div").classes("row"):
                action("Go on", work.go_on, kind="primary")
                if work.exchange is not None:
                    action("Take it back", lambda: self._view.call(work.take_back()))

    # -- to decide -----------------------------------------------------------------------------------------------

    def _decide(self, asked: dict[str, Any]) -> None:
        """Earlier answers that the change makes worse, before and after, and the choice."""
        with card("This change makes something worse", classes="decide"):
            for item in asked["report"]["items"]:
                if item["worse"] or any(not wish["verdict"]["kept"] for wish in item["wishes"]):
                    _before_and_after(item)
            words("The change", "strong small")
            for line in (line for line in asked["changes"] if line.strip("+- ")):
                words(line, f"small {'added' if line.startswith('+') else 'gone' if line.startswith('-') else ''}")
            with ui.element("div").classes("row"):
                action("Take it back", lambda: self._view.send({"action": "take_back"}), kind="primary")
                action("Keep it all the same", lambda: self._view.send({"action": "accept"}))

    # -- done ----------------------------------------------------------------------------------------------------

    def _done(self, told: list[FeedbackEvent]) -> None:
        """What the last turn did, in a few lines; the rest folded away."""
        lines = [event for event in told if event["type"] in ("principles", "verdicts", "replay", "taken_back")]
        if not lines:
            return
        with card("What changed", classes="done") as head:
            if any(event.get("changes") for event in lines):
                with head:
                    action("Undo this", self._undo, kind="quiet", icon="undo")
            for event in lines:
                if event["type"] == "principles":
                    for line in event["changes"] or ["No principle had to change."]:
                        words(line, "added" if line.startswith("+") else "gone" if line.startswith("-") else "")
                elif event["type"] == "verdicts":
                    for verdict in event["verdicts"]:
                        kept = "Kept" if verdict["kept"] else "Not kept yet"
                        words(f"{kept}: “{verdict['text']}” {verdict['reason']}", "small " + kept.split()[0].lower())
                elif event["type"] == "replay":
                    self._replayed(event)
                else:
                    words("The change was taken back; it stays in the history as a branch.")

    def _undo(self) -> None:
        """Go back to where the last turn began, over all revisions that it made."""
        work = self._view.work
        answered = sum(event["type"] == "answers" for event in work.told)  # twice, where a principle was repaired
        earlier = work.prompt.exchanges[:-answered] if work.prompt is not None and answered else ()
        before = earlier[-1].revision if earlier else None
        self._view.send({"action": "rewind", "revision": before or ""})

    def _replayed(self, event: FeedbackEvent) -> None:
        with ui.element("details"):
            with ui.element("summary").classes("small"):
                words(event["summary"], tag="span")
            for item in event["report"]["items"]:
                _before_and_after(item)


def _before_and_after(item: dict[str, Any]) -> None:
    """One earlier input and what became of its answer."""
    with ui.element("div").classes("replayed"):
        words(item["asked"], "small muted")
        if item["worse"]:
            words(f"Worse: {item['reason'] or 'the model does not say why.'}", "small strong")
        for wish in item["wishes"]:
            if not wish["verdict"]["kept"]:
                words(f"Lost: “{wish['feedback']['text']}” {wish['verdict']['reason']}", "small strong")
        if item["error"]:
            words(item["error"], "small")
        elif item["after"] == item["before"]:
            words("The answer is the same.", "small")
        else:
            show_pieces(marked_changes(item["before"], item["after"]), "small")
