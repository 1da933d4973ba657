"""The history as a tree: what was changed, why, when, by whom, and the way back."""

from collections.abc import Iterator
from datetime import datetime

from nicegui import ui

from langchain_model_alignment.history import History, Revision
from langchain_model_alignment.studio.aligning.view import View
from langchain_model_alignment.studio.parts import action, card, words

__all__ = ["HistoryCard", "rows_of"]

_WHO = {"model": "the model", "person": "a person", "repair": "a repair"}
_MOST = 200  # revisions shown; the newest


def rows_of(history: History) -> Iterator[tuple[Revision, int]]:
    """Yield the revisions, newest branch last, each with how many branches it stands away from the newest one.

    Example:
        >>> from langchain_model_alignment.constitution import Add
        >>> history = History().commit([Add(text="Be brief.")]).undo().commit([Add(text="Be exact.")])
        >>> [(revision.id, depth) for revision, depth in rows_of(history)]
        [('r1', 1), ('r2', 0)]
    """
    children: dict[str | None, list[Revision]] = {}
    for revision in history.revisions:
        children.setdefault(revision.parent, []).append(revision)
    ahead = _deeper(children.get(None, []), 0)
    while ahead:
        revision, depth = ahead.pop()
        yield revision, depth
        ahead += _deeper(children.get(revision.id, []), depth)


def _deeper(children: list[Revision], depth: int) -> list[tuple[Revision, int]]:
    return [(child, depth + (child is not children[-1])) for child in reversed(children)]


class HistoryCard:
    """The history.

    Args:
        view: The tab.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self.draw()

    @ui.refreshable_method
    def draw(self) -> None:
        """Show the history as it stands."""
        work = self._view.work
        with card("History", classes="history-card") as head:
            if work.prompt is None:
                return
            history = work.prompt.history
            ready = work.review is not None
            with head:
                undo = action("Undo", lambda: self._view.step_back("undo"), kind="quiet", icon="undo")
                undo.set_enabled(ready and history.head is not None)
                redo = action("Redo", lambda: self._view.step_back("redo"), kind="quiet", icon="redo")
                redo.set_enabled(ready and any(r.parent == history.head for r in history.revisions))
            with ui.element("ol").classes("history"):
                self._row(None, "The beginning", "", 0, history)
                for revision, depth in list(rows_of(history))[-_MOST:]:
                    told = ", ".join(filter(None, (_WHO.get(revision.author, revision.author), _when(revision.time))))
                    self._row(revision.id, revision.reason or "changed", told, depth, history)

    def _row(self, id: str | None, reason: str, told: str, depth: int, history: History) -> None:
        here = id == history.head
        with ui.element("li").classes("revision here" if here else "revision").style(f"--depth: {min(depth, 6)}"):
            if here:
                ui.element("span").props('aria-hidden="true"').classes("dot")
            with ui.element("div").classes("grow"):
                words(reason, "strong" if here else "")
                words("  ".join(filter(None, (id, told))), "muted small")
                if id is not None:
                    self._changes(id, history)
            if here:
                words("you are here", "muted small")
            elif self._view.work.review is not None:
                go = action("Go here", lambda: self._view.send({"action": "rewind", "revision": id or ""}), kind="quiet")
                go.props["aria-label"] = f"Go to {id or 'the beginning'}"

    def _changes(self, id: str, history: History) -> None:
        """What a revision did, folded away."""
        with ui.element("details"):
            with ui.element("summary").classes("small muted"):
                words("what changed", tag="span")
            for line in history.diff(history.get(id).parent, id) or ["nothing in words"]:
                kind = {"+": "added", "-": "gone"}.get(line[:1], "")
                words(line, f"small {kind}")


def _when(time: str) -> str:
    try:
        return f"{datetime.fromisoformat(time).astimezone():%d %b %H:%M}"
    except ValueError:
        return time
