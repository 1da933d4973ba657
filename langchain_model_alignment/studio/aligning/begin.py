"""The empty page: what the studio is for, a prompt to begin with, and the prompts that are kept."""

import re
from collections.abc import Collection

from nicegui import ui

from langchain_model_alignment.errors import AlignmentError
from langchain_model_alignment.literals import variables_in
from langchain_model_alignment.studio.frame import Frame
from langchain_model_alignment.studio.parts import action, card, field, forget_draft, words
from langchain_model_alignment.studio.shared import Studio

__all__ = ["begin_page", "name_for"]

_EXAMPLES = {
    "Reply to a customer": (
        "Write a reply to this customer: {message}",
        {"message": "Where is my parcel? It should have been here on Monday."},
    ),
    "Explain simply": ("Explain {topic} to a ten-year-old.", {"topic": "why the sky is blue"}),
    "Uses for a thing": ("Give three uses for the following item: {item}", {"item": "scissors"}),
}
_WAYS = {
    "critique": ("rule", "Critique", "Say what is wrong with an answer. It becomes a principle that answers follow."),
    "kudos": ("favorite_border", "Kudos", "Say what is good about it, so that it stays when other things change."),
    "rewrite": ("edit_note", "Rewrite", "Write the answer as it should be. What you changed becomes a principle."),
}


def name_for(prompt: str, taken: Collection[str]) -> str:
    """Return a name that can stand in an address: the first words of a prompt, and a number where they are taken.

    Example:
        >>> name_for("Write a reply to: {message}", ["write-a-reply-to-message"])
        'write-a-reply-to-message-2'
    """
    found = re.findall(r"[a-z0-9]+", prompt.lower())[:6]
    name, number = "-".join(found)[:48] or "prompt", 2
    while (numbered := name if number == 2 else f"{name}-{number - 1}") in taken:
        number += 1
    return numbered


def begin_page(studio: Studio, place: Frame, names: Collection[str]) -> None:
    """Show it.

    Args:
        studio: The studio.
        place: Where it speaks to the person.
        names: The prompts that are kept.
    """
    with ui.element("div").classes("begin"):
        words("Make a prompt do what you mean", "title", tag="h1")
        words(
            "Read three answers, say in your own words what you think of one, and the prompt learns a principle "
            "from it. You can read, edit and undo every one.",
            "lead",
            tag="p",
        )
        _Beginning(studio, place)
        with ui.element("div").classes("three ways-told"):
            for way, (icon, name, told) in _WAYS.items():
                with ui.element("div").classes(f"way-told {way}"):
                    ui.icon(icon).props('aria-hidden="true"')
                    words(name, "strong", tag="h2")
                    words(told, "muted", tag="p")
        if names:
            with card("Your prompts"), ui.element("ul").classes("prompts"):
                for name in names:
                    with ui.element("li"), ui.element("a").props(f'href="/align/{name}"'):
                        words(name.replace("-", " "), tag="span")


class _Beginning:
    """The prompt to begin with, and a field for each of its variables as they are typed."""

    def __init__(self, studio: Studio, place: Frame) -> None:
        self._studio, self._place = studio, place
        self._boxes: dict[str, ui.textarea] = {}
        with ui.element("section").classes("card").props('aria-label="Your prompt"'):
            self._prompt = field(
                "Your prompt",
                lines=3,
                hint="Write a reply to this customer: {message}",
                draft="begin",
            )
            self._prompt.on_value_change(self._fields)
            words("A word in braces, such as {message}, is a variable: it gets a field of its own.", "muted small")
            self._inputs = ui.element("div").classes("inputs")
            with ui.element("div").classes("row"):
                action("Show three answers", self._begin, kind="primary", icon="play_arrow")
                words("or try", "muted small")
                for name, (prompt, inputs) in _EXAMPLES.items():
                    action(name, lambda prompt=prompt, inputs=inputs: self._take(prompt, inputs)).classes("idea")
        self._prompt.on("keydown.ctrl.enter", self._begin).on("keydown.meta.enter", self._begin)

    def _fields(self) -> None:
        """Keep a field for each variable, and what is in those that stay."""
        wanted = variables_in(self._prompt.value or "")
        for name in [name for name in self._boxes if name not in wanted]:
            self._boxes.pop(name).delete()
        with self._inputs:
            for name in wanted:
                if name not in self._boxes:
                    box = field(name, draft=f"begin.{name}")
                    box.on("keydown.ctrl.enter", self._begin).on("keydown.meta.enter", self._begin)
                    self._boxes[name] = box

    def _take(self, prompt: str, inputs: dict[str, str]) -> None:
        self._prompt.set_value(prompt)
        for name, value in inputs.items():
            self._boxes[name].set_value(value)

    async def _begin(self) -> None:
        text = (self._prompt.value or "").strip()
        if not text:
            self._place.say("Write a prompt first, or take one of the examples.", "problem")
            return
        inputs = {name: box.value or "" for name, box in self._boxes.items()}
        name = name_for(text, await self._studio.works.names())
        try:
            self._studio.works.get(name).begin(text, inputs)
        except AlignmentError as error:
            self._place.say(str(error), "problem")
            return
        for draft in ("begin", *(f"begin.{name}" for name in inputs)):
            forget_draft(draft)
        ui.navigate.to(f"/align/{name}")
