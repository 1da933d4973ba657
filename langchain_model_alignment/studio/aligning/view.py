"""What one browser tab knows beyond the prompt that all tabs share: what is open, and what to draw anew."""

from collections.abc import Callable
from typing import Any

from nicegui import ui

from langchain_model_alignment.errors import AlignmentError
from langchain_model_alignment.history import History
from langchain_model_alignment.studio.aligning.turns import turn_after, turn_before
from langchain_model_alignment.studio.frame import Frame
from langchain_model_alignment.studio.parts import field, forget_draft
from langchain_model_alignment.studio.work import Work

__all__ = ["Form", "View"]

Form = tuple[int, str]
"""An answer, from 0, and what is being said about it: `critique`, `kudos` or `rewrite`."""


class View:
    """One tab that shows a prompt under work.

    Args:
        work: The prompt.
        frame: Where the studio speaks to the person.
    """

    def __init__(self, work: Work, frame: Frame) -> None:
        self.work = work
        self.frame = frame
        self.form: Form | None = None
        """What is being written about which answer."""
        self.form_question = ""
        """The question that stood on the page when that began: new answers may have come since."""
        self.editing: dict[str, str] = {}
        """The principles that are being reworded, with their words as they stood when that began."""
        self.rewording_prompt = False
        self.showing_changes = True
        self.opened = ""
        """The draft of the field that this person opened just now, which gets the cursor."""
        self._typed: dict[str, str] = {}

    def send(self, said: dict[str, Any], *drafts: str) -> bool:
        """Answer the question that is in front of the person; what is wrong with it is said, and nothing is lost.

        Args:
            said: The JSON of a `Review` or a `Decision`.
            drafts: The names of the drafts that are sent with it.
        """
        now = self.work.question["id"] if self.work.question is not None else ""
        try:
            self.work.answer(self.form_question if self.form is not None and "choice" in said else now, said)
        except AlignmentError as error:
            self.form_question = now  # who was told may send it all the same
            self.frame.say(str(error), "problem")
            return False
        self.frame.hush()
        for draft in drafts:
            self._typed.pop(draft, None)
            forget_draft(draft)
        return True

    def edit(self, *edits: dict[str, Any], draft: str = "") -> bool:
        """Change principles by hand, as one revision."""
        return self.send({"action": "edit", "edits": list(edits)}, *filter(None, [draft]))

    def draft(self, *of: object) -> str:
        """Name what is typed into a field of this prompt, so that it outlives a reload."""
        return ".".join(str(part) for part in (self.work.name, *of))

    def field(self, label: str, draft: str, value: str = "", *, lines: int = 1, hint: str = "") -> ui.textarea:
        """Make a field that keeps what is typed into it while the page around it is drawn anew."""
        box = field(label, self._typed.get(draft, value), lines=lines, hint=hint, draft=draft)
        box.on_value_change(lambda event: self._typed.__setitem__(draft, event.value or ""))
        if draft == self.opened:
            box.run_method("focus")
            self.opened = ""
        return box

    async def call(self, awaitable: Any) -> None:
        """Wait for something that may fail, and say so where it does."""
        try:
            await awaitable
        except AlignmentError as error:
            self.frame.say(str(error), "problem")

    def undo(self) -> None:
        """Take back the last turn, over all revisions that it made; where there is none, that is said."""
        self._go(turn_before, "undo")

    def redo(self) -> None:
        """Do the turn again that was taken back last; where there is none, that is said."""
        self._go(turn_after, "redo")

    def _go(self, to: Callable[[History], str | None], action: str) -> None:
        history = self.work.prompt.history if self.work.prompt is not None else History()
        there = to(history)
        self.send({"action": action} if there == history.head else {"action": "rewind", "revision": there or ""})
