"""The principles: what they say, where each came from, and what a person does to them by hand."""

from typing import Any

from nicegui import ui

from langchain_model_alignment.constitution import Principle
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.studio.aligning.view import View
from langchain_model_alignment.studio.parts import action, card, icon_action, words

__all__ = ["PrinciplesCard", "origin_of"]

_SAID = {
    "critique": "from the critique",
    "kudos": "from the kudos",
    "rewrite": "from a rewrite",
    "preference": "from a preference",
    "score": "from a score",
}
_SHORT = 90  # characters of what was said
_PAGE = 40  # principles shown at once


def origin_of(principle: Principle, prompt: AlignedPrompt) -> str:
    """Tell where a principle came from, in a few words."""
    by_id = {f"{e.id}.f{n}": f for e in prompt.exchanges for n, f in enumerate(e.feedback, 1)}
    found = [by_id[one] for one in principle.evidence if one in by_id]
    if not found:
        return principle.reason or "written by hand"
    last = found[-1]
    said = " ".join(last.text.split())
    told = f"{_SAID.get(last.kind, 'from feedback')}"
    if last.kind != "rewrite":
        told += f" “{said if len(said) <= _SHORT else said[:_SHORT] + '…'}”"
    return told if len(found) == 1 else f"{told}, and {len(found) - 1} more"


class PrinciplesCard:
    """The principles.

    Args:
        view: The tab.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._dragged = ""
        self._start = self._count_seen = 0
        self._items: dict[str, ui.element] = {}
        self._shown: dict[str, Any] = {}
        with card("Principles", classes="principles-card") as head:
            with head:
                self._pages = ui.element("div").classes("row")
                with self._pages:
                    self._place = words("", "muted small", tag="span")
                    self._older = action("Before", lambda: self._turn(-_PAGE), kind="quiet")
                    self._newer = action("Next", lambda: self._turn(_PAGE), kind="quiet")
                self._counter = icon_action("fact_check", "Count how often each is followed", self._count)
            self._none = words("None yet. What you say about an answer becomes a principle here.", "muted")
            self._list = ui.element("ol").classes("principles")
            self._below = ui.element("div").classes("stack tight")
        self.draw()

    def draw(self) -> None:
        """Show the principles as they stand; only those that changed are drawn anew, as there may be hundreds."""
        work = self._view.work
        prompt, ready = work.prompt, work.review is not None
        principles = work.principles if prompt is not None else []
        self._none.set_visibility(not principles)
        self._list.set_visibility(bool(principles))
        self._counter.set_visibility(bool(principles) and ready)
        self._list.classes(**{"remove" if ready else "add": "waiting"})
        last = len(principles) - 1
        if last >= self._count_seen > 0:
            self._start = last  # a new one is brought into sight
        self._count_seen = last + 1
        self._start = max(0, min(self._start, last)) // _PAGE * _PAGE
        page = principles[self._start : self._start + _PAGE]
        self._show_place(len(principles), len(page))
        for id in set(self._items) - {principle.id for principle in page}:
            self._items.pop(id).delete()
            del self._shown[id]
        for at, principle in enumerate(page):
            item = self._items.get(principle.id) or self._new(principle.id)
            if self._list.default_slot.children[at] is not item:
                item.move(target_index=at)
            number = self._start + at
            self._principle(item, principle, (number == 0, number == last), prompt)
        self._below.clear()
        with self._below:
            self._conflicts()

    def _show_place(self, count: int, shown: int) -> None:
        self._pages.set_visibility(count > _PAGE)
        self._place.set_text(f"{self._start + 1} to {self._start + shown} of {count}")
        self._older.set_enabled(self._start > 0)
        self._newer.set_enabled(self._start + shown < count)

    def _turn(self, by: int) -> None:
        self._start = max(0, self._start + by)
        self.draw()
        ui.run_javascript(f"getHtmlElement({self._list.id}).scrollTop = 0")

    async def _count(self) -> None:
        self._view.frame.say("Counting how often each principle was followed…")
        await self._view.call(self._view.work.count_followed())
        self._view.frame.hush()

    def _new(self, id: str) -> ui.element:
        """A place for a principle, which can be dragged to another's; the arrows do the same without a mouse."""

        def drop() -> None:
            if self._dragged and self._dragged != id:
                self._view.edit({"op": "move", "id": self._dragged, "to": self._ids().index(id)})

        with self._list:
            item = self._items[id] = ui.element("li")
        item.on("dragstart", lambda: setattr(self, "_dragged", id))
        item.on("dragover.prevent", js_handler="() => {}")
        item.on("drop.prevent", drop)
        return item

    def _ids(self) -> list[str]:
        return [principle.id for principle in self._view.work.principles]

    def _principle(
        self, item: ui.element, principle: Principle, ends: tuple[bool, bool], prompt: AlignedPrompt | None
    ) -> None:
        view, id = self._view, principle.id
        began = view.editing.get(id)
        told = f"{id} · {origin_of(principle, prompt)}" if prompt is not None else id
        if id in view.work.followed:
            applied, followed = view.work.followed[id]
            told += f" · followed {followed} of {applied}" if applied else " · never applied"
        if not principle.enabled:
            told = f"off · {told}"
        now = (principle, ends, told, began, began is not None and view.work.review is not None)
        if self._shown.get(id) == now:
            return
        self._shown[id] = now
        item.classes(replace="principle" if principle.enabled else "principle off")
        item.props["draggable"] = "true" if began is None else "false"
        item.clear()
        with item:
            if began is not None:
                self._reword(principle)
                return
            words(principle.sentence(), "principle-text")
            words(told, "muted small")
            self._actions(principle, *ends)

    def _actions(self, principle: Principle, first: bool, last: bool) -> None:
        view, id = self._view, principle.id

        def reword() -> None:
            view.editing[id] = principle.text
            view.opened = view.draft("principle", id)
            self.draw()

        def move(by: int) -> None:
            view.edit({"op": "move", "id": id, "to": self._ids().index(id) + by})

        switch = {"op": "set", "id": id, "field": "enabled", "value": not principle.enabled}
        with ui.element("div").classes("principle-actions"):
            icon_action("edit", f"Reword {id}", reword)
            on = principle.enabled
            icon_action(
                "toggle_on" if on else "toggle_off", f"Switch {id} {'off' if on else 'on'}", lambda: view.edit(switch)
            )
            icon_action("arrow_upward", f"Move {id} up", lambda: move(-1)).set_enabled(not first)
            icon_action("arrow_downward", f"Move {id} down", lambda: move(1)).set_enabled(not last)
            icon_action("delete_outline", f"Delete {id}", lambda: view.edit({"op": "delete", "id": id}))

    def _reword(self, principle: Principle) -> None:
        """A field for other words; what somebody else wrote meanwhile is not written over unseen."""
        view, id = self._view, principle.id
        draft = view.draft("principle", id)

        def close() -> None:
            view.editing.pop(id, None)
            self.draw()

        def save() -> None:
            if view.edit({"op": "edit", "id": id, "text": box.value}, draft=draft):
                close()

        began = view.editing[id]
        if principle.text != began:
            with ui.element("div").classes("note problem"):
                words(f"Somebody else changed it meanwhile. It now says: “{principle.text}”", tag="p")
        box = view.field(f"Words of {id}", draft, began)
        box.on("keydown.ctrl.enter", save).on("keydown.meta.enter", save).on("keydown.escape", close)
        with ui.element("div").classes("row"):
            words_ = "Save" if principle.text == began else "Save mine all the same"
            action(words_, save, kind="primary").set_enabled(view.work.review is not None)
            action("Cancel", close, kind="quiet")

    def _conflicts(self) -> None:
        """Principles in each other's way, and what could be done about it."""
        review = self._view.work.review
        for found in review["conflicts"] if review is not None else []:
            with ui.element("div").classes("note"):
                with ui.element("div").classes("stack tight"):
                    words(f"{' and '.join(found['ids'])}: {found['why']}", tag="p")
                    if found["edits"]:
                        proposed = "; ".join(one.get("text") or f"{one['op']} {one['id']}" for one in found["edits"])
                        words(f"Proposed: {proposed}", "small")
                if found["edits"]:
                    action("Do it", lambda edits=found["edits"]: self._view.edit(*edits))
