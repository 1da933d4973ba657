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
        self.draw()

    @ui.refreshable_method
    def draw(self) -> None:
        """Show the principles as they stand."""
        work = self._view.work
        principles, prompt = work.principles, work.prompt
        with card("Principles", classes="principles-card") as head:
            if principles and work.review is not None:
                with head:
                    icon_action("fact_check", "Count how often each is followed", self._count)
            if not principles or prompt is None:
                words("None yet. What you say about an answer becomes a principle here.", "muted")
                return
            with ui.element("ol").classes("principles"):
                for at, principle in enumerate(principles):
                    self._principle(at, principle, len(principles), prompt)
            self._conflicts()

    async def _count(self) -> None:
        self._view.frame.say("Counting how often each principle was followed…")
        await self._view.call(self._view.work.count_followed())
        self._view.frame.hush()

    def _principle(self, at: int, principle: Principle, count: int, prompt: AlignedPrompt) -> None:
        view = self._view
        with ui.element("li").classes("principle" + ("" if principle.enabled else " off")) as item:
            if principle.id in view.editing:
                self._reword(principle)
                return
            words(principle.sentence(), "principle-text")
            told = f"{principle.id} · {origin_of(principle, prompt)}"
            if principle.id in view.work.followed:
                applied, followed = view.work.followed[principle.id]
                told += f" · followed {followed} of {applied}" if applied else " · never applied"
            if not principle.enabled:
                told = f"off · {told}"
            words(told, "muted small")
            if view.work.review is not None:
                self._actions(at, principle, count)
                self._drag(item, at, principle)

    def _actions(self, at: int, principle: Principle, count: int) -> None:
        view, id = self._view, principle.id

        def reword() -> None:
            view.editing[id] = principle.text
            view.opened = view.draft("principle", id)
            self.draw.refresh()

        def move(to: int) -> Any:
            return lambda: view.edit({"op": "move", "id": id, "to": to})

        switch = {"op": "set", "id": id, "field": "enabled", "value": not principle.enabled}
        with ui.element("div").classes("principle-actions"):
            icon_action("edit", f"Reword {id}", reword)
            on = principle.enabled
            icon_action(
                "toggle_on" if on else "toggle_off", f"Switch {id} {'off' if on else 'on'}", lambda: view.edit(switch)
            )
            icon_action("arrow_upward", f"Move {id} up", move(at - 1)).set_enabled(at > 0)
            icon_action("arrow_downward", f"Move {id} down", move(at + 1)).set_enabled(at < count - 1)
            icon_action("delete_outline", f"Delete {id}", lambda: view.edit({"op": "delete", "id": id}))

    def _drag(self, item: ui.element, at: int, principle: Principle) -> None:
        """Let a principle be dragged to another's place; the arrows do the same without a mouse."""

        def drop() -> None:
            if self._dragged and self._dragged != principle.id:
                self._view.edit({"op": "move", "id": self._dragged, "to": at})

        item.props("draggable=true")
        item.on("dragstart", lambda: setattr(self, "_dragged", principle.id))
        item.on("dragover.prevent", js_handler="() => {}")
        item.on("drop.prevent", drop)

    def _reword(self, principle: Principle) -> None:
        """A field for other words; what somebody else wrote meanwhile is not written over unseen."""
        view, id = self._view, principle.id
        draft = view.draft("principle", id)

        def close() -> None:
            view.editing.pop(id, None)
            self.draw.refresh()

        def save() -> None:
            if view.edit({"op": "edit", "id": id, "text": box.value}, draft=draft):
                view.editing.pop(id, None)

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
