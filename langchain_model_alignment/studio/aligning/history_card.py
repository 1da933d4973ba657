"""The history as a tree: what was changed, why, when, by whom, and the way back."""

from collections.abc import Iterator
from datetime import datetime

from nicegui import ui

from langchain_model_alignment.constitution import Add, Delete, Edit, Move, Set
from langchain_model_alignment.history import History, Revision, TemplateEdit
from langchain_model_alignment.studio.aligning.view import View
from langchain_model_alignment.studio.parts import action, card, words

__all__ = ["HistoryCard", "rows_of", "title_of"]

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


def title_of(revision: Revision) -> str:
    """Tell in a few words what a revision did.

    Example:
        >>> from langchain_model_alignment.constitution import Add
        >>> title_of(History().commit([Add(text="Be brief.")]).revisions[0])
        'New: Be brief.'
    """
    if not revision.edits:
        return "Nothing had to change"
    more = f" (and {len(revision.edits) - 1} more)" if len(revision.edits) > 1 else ""
    match revision.edits[0]:
        case Add(text=text):
            told = f"New: {text}"
        case Edit(id=id, text=text):
            told = f"{id} reworded: {text}"
        case Delete(id=id):
            told = f"{id} deleted"
        case Move(id=id):
            told = f"{id} moved"
        case Set(id=id, field="enabled", value=value):
            told = f"{id} switched {'on' if value else 'off'}"
        case Set(id=id, field=name):
            told = f"{id}: another {name}"
        case TemplateEdit(woven=None):
            told = "The prompt's own words changed"
        case _:
            told = "Principles written into the prompt"
    return told + more


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
                undo = action("Undo", self._view.undo, kind="quiet", icon="undo")
                undo.set_enabled(ready and history.head is not None)
                redo = action("Redo", self._view.redo, kind="quiet", icon="redo")
                redo.set_enabled(ready and any(r.parent == history.head for r in history.revisions))
            with ui.element("ol").classes("history"):
                self._row(None, "The beginning", "", 0, history)
                for revision, depth in list(rows_of(history))[-_MOST:]:
                    who = _WHO.get(revision.author, revision.author)
                    reason = "" if revision.author == "person" else revision.reason
                    told = " · ".join(filter(None, (revision.id, who, _when(revision.time), reason)))
                    self._row(revision.id, title_of(revision), told, depth, history)

    def _row(self, id: str | None, title: str, told: str, depth: int, history: History) -> None:
        here = id == history.head
        with ui.element("li").classes("revision here" if here else "revision").style(f"--depth: {min(depth, 6)}"):
            if here:
                ui.element("span").props('aria-hidden="true"').classes("dot")
            with ui.element("div").classes("grow"):
                words(title, "strong" if here else "")
                if id is not None:
                    words(told, "muted small")
                    self._changes(id, history)
            if here:
                words("you are here", "muted small")
            elif self._view.work.review is not None:
                go = action(
                    "Go here", lambda: self._view.send({"action": "rewind", "revision": id or ""}), kind="quiet"
                )
                go.props["aria-label"] = f"Go to {id or 'the beginning'}"

    def _changes(self, id: str, history: History) -> None:
        """What a revision did, folded away."""
        with ui.element("details"):
            with ui.element("summary").classes("small muted"):
                words("Show the change", tag="span")
            lines = [line for line in history.diff(history.get(id).parent, id) if line.strip("+- ")]
            for line in lines or ["Nothing in words."]:
                kind = {"+": "added", "-": "gone"}.get(line[:1], "")
                words(line, f"small {kind}")


def _when(time: str) -> str:
    try:
        return f"{datetime.fromisoformat(time).astimezone():%d %b %H:%M}"
    except ValueError:
        return time
