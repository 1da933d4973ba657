"""The prompt as it is sent, with what changed in it, and its variables as fields."""

from nicegui import ui

from langchain_model_alignment.feedback.conversation import inputs_of
from langchain_model_alignment.feedback.exchanges import in_words
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.studio.aligning.view import View
from langchain_model_alignment.studio.marking import Piece, marked_changes, marked_variables
from langchain_model_alignment.studio.parts import action, card, icon_action, words

__all__ = ["PromptCard", "show_pieces"]

_TAGS = {"same": "span", "added": "ins", "gone": "del", "variable": "span"}
_MENU = 12  # earlier inputs to go back to


def show_pieces(pieces: list[Piece], classes: str = "") -> None:
    """Show text whose changes and variables are marked."""
    with ui.element("div").classes(f"words said {classes}"):
        for piece in pieces:
            words(piece.text, piece.kind, tag=_TAGS[piece.kind])


class PromptCard:
    """The prompt.

    Args:
        view: The tab.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self.draw()

    @ui.refreshable_method
    def draw(self) -> None:
        """Show the prompt as it stands."""
        view, prompt = self._view, self._view.work.prompt
        with card("Prompt", classes="prompt-card") as head:
            if prompt is None:
                return
            before = _before(prompt)
            with head:
                if before is not None and before != prompt.effective.text:
                    shown = view.showing_changes
                    toggle = action("Changes", self._toggle, kind="quiet", icon="difference")
                    toggle.props(f'aria-pressed="{str(shown).lower()}"').classes("pressed" if shown else "")
                icon_action("edit", "Edit the prompt", self._open)
                icon_action("content_copy", "Copy the prompt", lambda: ui.clipboard.write(prompt.effective.text))
            if view.rewording_prompt:
                self._reword(prompt)
                return
            names = prompt.effective.variables
            with ui.element("div").classes("prompt-text").props('tabindex=0 role="group"') as text:
                text.props["aria-label"] = "The prompt's text"
                if view.showing_changes and before is not None:
                    show_pieces(marked_changes(before, prompt.effective.text, names))
                else:
                    show_pieces(marked_variables(prompt.effective.text, names))
            self._inputs(prompt)

    def _toggle(self) -> None:
        self._view.showing_changes = not self._view.showing_changes
        self.draw.refresh()

    def _open(self) -> None:
        self._view.rewording_prompt = True
        self._view.opened = self._view.draft("prompt")
        self.draw.refresh()

    # -- by hand -------------------------------------------------------------------------------------------------

    def _reword(self, prompt: AlignedPrompt) -> None:
        """A field for the person's own words; principles are written into them anew."""
        view, ready = self._view, self._view.work.review is not None
        draft = view.draft("prompt")

        def close() -> None:
            view.rewording_prompt = False
            self.draw.refresh()

        def send() -> None:
            if view.send({"action": "edit", "text": box.value}, draft):
                view.rewording_prompt = False

        box = view.field("Your prompt", draft, prompt.document.base.instructions, lines=4)
        box.on("keydown.ctrl.enter", send).on("keydown.meta.enter", send).on("keydown.escape", close)
        with ui.element("div").classes("row"):
            action("Save", send, kind="primary").set_enabled(ready)
            action("Cancel", close, kind="quiet")

    # -- inputs --------------------------------------------------------------------------------------------------

    def _inputs(self, prompt: AlignedPrompt) -> None:
        view, work = self._view, self._view.work
        exchange = work.exchange
        given = inputs_of(prompt, exchange) if exchange is not None else {}
        boxes = {}
        with ui.element("div").classes("inputs"):
            for name in prompt.effective.variables:
                value = given.get(name, "")
                boxes[name] = view.field(name, view.draft("in", name), value if isinstance(value, str) else str(value))
        ready = work.review is not None

        def again() -> None:
            inputs = {**given, **{name: box.value or "" for name, box in boxes.items()}}
            drafts = [view.draft("in", name) for name in boxes]
            view.send({"action": "again", "inputs": inputs} if boxes else {"action": "again"}, *drafts)

        for box in boxes.values():
            box.on("keydown.ctrl.enter", again).on("keydown.meta.enter", again)
        with ui.element("div").classes("row"):
            action("Answer", again, kind="primary", icon="play_arrow").set_enabled(ready)
            if len(prompt.exchanges) > 1:
                self._earlier(prompt)

    def _earlier(self, prompt: AlignedPrompt) -> None:
        with action("Earlier answers", lambda: None, kind="quiet", icon="history"), ui.menu().props("auto-close"):
            for exchange in reversed(prompt.exchanges[-_MENU:]):
                asked = " · ".join(in_words(inputs_of(prompt, exchange))) or "no input"
                said = f"{exchange.id}  {asked}"
                ui.menu_item(
                    said if len(said) < 80 else f"{said[:80]}…",
                    lambda id=exchange.id: self._view.send({"action": "back", "exchange": id}),
                )


def _before(prompt: AlignedPrompt) -> str | None:
    """The prompt as it was before the last change of its text or principles; nothing where there was none."""
    steps = prompt.history.path(prompt.history.head)
    if not steps:
        return None
    answered = [e.revision for e in prompt.exchanges]
    heads = [step.id for step in steps]
    # What answered before the newest answers is what a person compares with.
    earlier = [r for r in answered if r != prompt.history.head and (r is None or r in heads)]
    then = earlier[-1] if earlier else None
    return prompt.with_history(prompt.history.rewind(then)).effective.text
