"""The answers, side by side, and what a person says about them."""

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from langchain_model_alignment.errors import AlignmentError
from langchain_model_alignment.studio.aligning.view import View
from langchain_model_alignment.studio.parts import action, icon_action, words
from langchain_model_alignment.studio.work import Kind

__all__ = ["Answers"]

_WAYS = {
    "critique": ("rule", "Critique", "What should change?"),
    "kudos": ("favorite_border", "Kudos", "What should stay?"),
    "rewrite": ("edit_note", "Rewrite", "The answer as it should have been"),
}


class Answers:
    """The answers under review, or as far as they are written.

    Args:
        view: The tab.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._texts: list[TextElement] = []
        self.draw()

    @ui.refreshable_method
    def draw(self) -> None:
        """Show the answers as they stand."""
        work = self._view.work
        self._texts = []
        review, exchange = work.review, work.exchange
        shown = review["candidates"] if review is not None else work.streams
        if not shown and exchange is not None and not work.busy:
            shown = list(exchange.candidates)
        count = len(shown) or (3 if work.busy else 0)
        with ui.element("div").classes("three"):
            for at in range(count):
                self._answer(at, shown[at] if at < len(shown) else "")

    def follow(self) -> None:
        """Show what was written since, without drawing anything anew."""
        streams = self._view.work.streams
        if len(self._texts) < len(streams):
            self.draw.refresh()
            return
        for label, text in zip(self._texts, streams, strict=False):
            label.set_text(text)
            label.classes(remove="waiting") if text else None

    def _answer(self, at: int, text: str) -> None:
        view = self._view
        article = ui.element("article").classes("card answer").props(f'tabindex="0" id="answer-{at + 1}"')
        article.props["aria-label"] = f"Answer {at + 1}"
        for key, way in (("c", "critique"), ("k", "kudos"), ("r", "rewrite")):
            article.on(f"keydown.{key}.self", lambda way=way: self._open(at, way))
        with article:
            with ui.element("div").classes("card-head"):
                words(f"Answer {at + 1}", "card-title muted", tag="h3")
                icon_action("content_copy", f"Copy answer {at + 1}", lambda: ui.clipboard.write(text))
            if view.form == (at, "rewrite") and view.work.review is not None:
                self._rewrite(at, text)
                return
            self._texts.append(words(text, "said" if text else "said waiting"))
            if view.work.review is None:
                return
            if view.form is not None and view.form[0] == at:
                self._say(at, view.form[1])
                return
            with ui.element("div").classes("ways"):
                for way, (icon, name, _) in _WAYS.items():
                    button = action(name, lambda way=way: self._open(at, way), kind="quiet", icon=icon)
                    button.classes(f"way {way}").props["aria-label"] = f"{name} answer {at + 1}"

    def _open(self, at: int, way: str) -> None:
        if self._view.work.review is None:
            return
        self._view.form = (at, way)
        self._view.form_question = self._view.work.question["id"] if self._view.work.question is not None else ""
        self._view.opened = self._view.draft(way, at)
        self.draw.refresh()

    def _close(self) -> None:
        self._view.form = None
        self.draw.refresh()

    # -- what is said --------------------------------------------------------------------------------------------

    def _say(self, at: int, way: str) -> None:
        """Critique or kudos: words of one's own, or one of three suggestions."""
        _, name, asks = _WAYS[way]
        draft = self._view.draft(way, at)

        def send(text: str) -> None:
            if not text.strip():
                box.props('error error-message="Say it in a few words, or take one below."')
                return
            if self._view.send({"action": way, "text": text, "choice": at}, draft):
                self._view.form = None

        with ui.element("div").classes(f"form {way}"):
            box = self._view.field(asks, draft, hint="In your own words")
            box.on("keydown.ctrl.enter", lambda: send(box.value)).on("keydown.meta.enter", lambda: send(box.value))
            box.on("keydown.escape", self._close)
            with ui.element("div").classes("row"):
                action(f"Send {name.lower()}", lambda: send(box.value), kind="primary")
                action("Cancel", self._close, kind="quiet")
            ideas = ui.element("div").classes("ideas")
            with ideas:
                words("Thinking of suggestions…", "muted small")
        ui.timer(0, lambda: self._suggest(at, "critique" if way == "critique" else "kudos", ideas, send), once=True)

    async def _suggest(self, at: int, way: Kind, place: ui.element, send: object) -> None:
        try:
            found = await self._view.work.suggest(at, way)
        except AlignmentError as error:
            found, why = [], str(error)
        else:
            why = "No suggestions this time."
        if place.is_deleted:
            return
        place.clear()
        with place:
            words("Or take one of these" if found else why, "muted small")
            for text in found:
                action(text, lambda text=text: send(text)).classes("idea")  # type: ignore[operator]

    def _rewrite(self, at: int, text: str) -> None:
        draft = self._view.draft("rewrite", at)

        def send() -> None:
            if self._view.send({"action": "rewrite", "text": box.value, "choice": at}, draft):
                self._view.form = None

        with ui.element("div").classes("form rewrite"):
            box = self._view.field(_WAYS["rewrite"][2], draft, text, lines=6)
            box.on("keydown.ctrl.enter", send).on("keydown.meta.enter", send).on("keydown.escape", self._close)
            with ui.element("div").classes("row"):
                action("Send rewrite", send, kind="primary")
                action("Cancel", self._close, kind="quiet")
