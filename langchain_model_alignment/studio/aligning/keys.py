"""The keyboard: what is done often, without the mouse."""

from nicegui import ui
from nicegui.events import KeyEventArguments

from langchain_model_alignment.studio.aligning.answers import Answers
from langchain_model_alignment.studio.aligning.view import View
from langchain_model_alignment.studio.parts import action, words

__all__ = ["add_keys"]

_KEYS = {
    "1  2  3": "go to an answer",
    "c  k  r": "critique, kudos, rewrite: the answer you are at",
    "Ctrl Enter": "send what you are writing",
    "Esc": "close what you are writing",
    "z  Shift z": "undo, redo",
    "?": "this help",
}


def add_keys(view: View, answers: Answers) -> None:
    """Listen to the keyboard; single keys can be switched off, for whoever speaks to the computer."""
    with ui.dialog().props('aria-label="Keyboard"') as help_, ui.element("div").classes("card keys"):
        words("Keyboard", "card-title", tag="h2")
        with ui.element("dl"):
            for keys, told in _KEYS.items():
                words(keys, "key", tag="dt")
                words(told, tag="dd")
        single = ui.switch("Single keys", value=True)
        action("Close", help_.close)

    def press(event: KeyEventArguments) -> None:
        key = event.key.name
        if not event.action.keydown or event.modifiers.ctrl or event.modifiers.meta or event.modifiers.alt:
            return
        if key == "?":
            help_.open()
        elif not single.value:
            return
        elif key in ("1", "2", "3"):
            ui.run_javascript(f"document.getElementById('answer-{key}')?.focus()")
        elif key in ("z", "Z"):
            (view.redo if event.modifiers.shift else view.undo)()

    ui.keyboard(on_key=press, repeating=False)
