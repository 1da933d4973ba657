"""A prompt, its exchanges, and what a person does to them by hand: the part of a run that needs no model."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from langchain_model_alignment.constitution import Delete, Edit, Principle, Set
from langchain_model_alignment.errors import EditError, FeedbackError
from langchain_model_alignment.feedback.conversation import exchange_of
from langchain_model_alignment.feedback.exchanges import Exchange, Feedback
from langchain_model_alignment.feedback.intent import standing_in
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.history import AnyEdit
from langchain_model_alignment.templates import Template

if TYPE_CHECKING:
    from langchain_core.prompts import ChatPromptTemplate

__all__ = ["HeldPrompt", "Inputs"]

Inputs = Mapping[str, Any] | str | None


class HeldPrompt:
    """A prompt in a person's hands.

    Example:
        >>> held = HeldPrompt()
        >>> held.set_model_description("Sum up {text}.")
        >>> held.set_input_output_pair("It rains.", "Rain.")
        >>> held.exchange.response
        'Rain.'
    """

    def __init__(self, data: AlignedPrompt | None = None) -> None:
        """Make the object.

        Args:
            data: An aligned prompt to go on from.
        """
        self._data = data or AlignedPrompt()
        self._pending: Exchange | None = None
        self._at: str | None = None  # the exchange that a person went back to

    @property
    def data(self) -> AlignedPrompt:
        """The aligned prompt as it stands: an immutable value, JSON in and out."""
        return self._data

    @property
    def exchange(self) -> Exchange | None:
        """The exchange that feedback is about: the last input and its candidates."""
        if self._pending is None and self._at is not None:
            return exchange_of(self._data, self._at)
        return self._pending or (self._data.exchanges[-1] if self._data.exchanges else None)

    @property
    def lost(self) -> list[Feedback]:
        """The feedback whose wish the last answer that was judged by it has lost."""
        known = [one.feedback for one in standing_in(self._data)]
        return [feedback for feedback in known if feedback.verdict is not None and not feedback.verdict.kept]

    def set_model_description(self, description: "str | ChatPromptTemplate | Template") -> None:
        """Set the prompt to align; principles made so far stay.

        Raises:
            PromptError: A LangChain prompt has parts that are not text.
        """
        if not self._data.history.revisions and not self._data.document.base.messages:
            fresh = AlignedPrompt.from_prompt(description)
            self._data = fresh.model_copy(update={"exchanges": self._data.exchanges})
        else:
            self._data = self._data.set_description(description)

    def get_model_description(self) -> str:
        """Return the prompt's text, without principles that are not woven in yet."""
        return self._data.description

    def get_model_description_with_principles(self) -> str:
        """Return the prompt's text as it is sent: with every principle."""
        return self._data.effective.text

    # -- exchanges ---------------------------------------------------------------------------------------------

    def go_back_to(self, exchange: str) -> None:
        """Make an earlier exchange the one that feedback is about and that `reply` goes on from.

        What came after it stays, as another branch of the conversation.

        Raises:
            FeedbackError: There is no exchange with this id.
        """
        exchange_of(self._data, exchange)
        self._pending, self._at = None, exchange

    def commit_model_response(self, response: str | int) -> None:
        """Choose the response that feedback is about.

        Args:
            response: A candidate, or its index from 0; other text is taken as the response too.

        Raises:
            FeedbackError: There is no candidate of that index, or no input was sent yet.
        """
        exchange = self.exchange
        if exchange is None:
            raise FeedbackError("There is no response to choose yet; call send_input first.")
        if isinstance(response, int):
            if not 0 <= response < len(exchange.candidates):
                raise FeedbackError(
                    f"There is no candidate {response}; give an index from 0 to {len(exchange.candidates) - 1}."
                )
            response = exchange.candidates[response]
        self._choose(response)

    def set_input_output_pair(self, inputs: Inputs, response: str) -> None:
        """Set an input and a response that came from elsewhere; feedback is then about them.

        Raises:
            PromptError: The input does not fit the prompt's variables.
        """
        values = self._data.effective.check_inputs(inputs)
        revision = self._data.history.head
        self._add(Exchange(id="new", inputs=values, candidates=(response,), response=response, revision=revision))

    def get_input_output_pair(self) -> tuple[dict[str, Any], str]:
        """Return the input and the response that feedback is about.

        Raises:
            FeedbackError: There is none yet.
        """
        exchange = self._answered()
        return dict(exchange.inputs), exchange.response or ""

    # -- by hand -----------------------------------------------------------------------------------------------

    def edit_principle(self, id: str, text: str) -> list[Principle]:
        """Give a principle other words.

        Raises:
            EditError: There is no principle with this id, or the text is empty.
        """
        if not text.strip():
            raise EditError(f"Principle {id} needs words; give it a text, or delete it with delete_principle.")
        return self.apply(Edit(id=id, text=text))

    def delete_principle(self, id: str) -> list[Principle]:
        """Take a principle out; its id is never used again.

        Raises:
            EditError: There is no principle with this id.
        """
        return self.apply(Delete(id=id))

    def enable_principle(self, id: str, enabled: bool = True) -> list[Principle]:
        """Switch a principle on or off.

        Raises:
            EditError: There is no principle with this id.
        """
        return self.apply(Set(id=id, field="enabled", value=enabled))

    def apply(self, *edits: AnyEdit, reason: str = "edited by hand", author: str = "person") -> list[Principle]:
        """Make any edits, such as `Add`, `Move`, `Set` or `TemplateEdit`, as one revision: all of them or none.

        Args:
            edits: The edits in order; a later one sees what an earlier one did.
            reason: Why, for whoever reads the history.
            author: Who made them.

        Raises:
            EditError: An edit is refused, or there is none; nothing is changed.
        """
        if not edits:
            raise EditError("There is no edit to make; give one or more, such as Add(text=...).")
        self._data = self._data.commit(edits, reason=reason, author=author)
        return self._data.principles

    def undo(self) -> list[Principle]:
        """Go back by one change of the principles or the prompt.

        Raises:
            EditError: There is nothing to undo.
        """
        self._data = self._data.with_history(self._data.history.undo())
        return self._data.principles

    def redo(self) -> list[Principle]:
        """Take back an undo.

        Raises:
            EditError: There is nothing to redo.
        """
        self._data = self._data.with_history(self._data.history.redo())
        return self._data.principles

    def rewind(self, to: str | None) -> list[Principle]:
        """Go to any revision, on any branch; without an id, to the beginning.

        Raises:
            EditError: There is no such revision.
        """
        self._data = self._data.with_history(self._data.history.rewind(to))
        return self._data.principles

    def diff(self, a: str | None, b: str | None = None) -> list[str]:
        """Return what changes from one revision to another, a line each.

        Args:
            a: The id of a revision; nothing for the beginning.
            b: The id of another; the one the prompt stands at, when absent.

        Raises:
            EditError: There is no such revision.
        """
        return self._data.history.diff(a, self._data.history.head if b is None else b)

    # -- inside ------------------------------------------------------------------------------------------------

    def _add(self, exchange: Exchange) -> None:
        # Its id is given now: other inputs may have been answered since it was sent.
        numbered = exchange.model_copy(update={"id": self._data.next_exchange_id})
        self._data = self._data.with_exchange(numbered)
        self._pending, self._at = None, None

    def _take(self, exchange: Exchange, n: int, commit: bool) -> str | list[str]:
        if n == 1 and commit:
            self._add(exchange)
        else:
            self._pending, self._at = exchange.model_copy(update={"response": None}), None
        return list(exchange.candidates) if n > 1 else exchange.candidates[0]

    def _choose(self, response: str) -> None:
        exchange = self.exchange
        if exchange is not None and exchange is self._pending:
            self._add(exchange.model_copy(update={"response": response}))
        elif exchange is not None:
            self._data = self._data.with_exchange(exchange.model_copy(update={"response": response}))

    def _candidate(self, which: str | int) -> str:
        if isinstance(which, str):
            return which
        candidates = self.exchange.candidates if self.exchange is not None else ()
        if not 0 <= which < len(candidates):
            raise FeedbackError(f"There is no candidate {which}; there are {len(candidates)}, counted from 0.")
        return candidates[which]

    def _answered(self) -> Exchange:
        exchange = self.exchange
        if exchange is None:
            raise FeedbackError("There is no response yet; call send_input before giving feedback.")
        if exchange.response is None:
            if len(exchange.candidates) > 1:
                raise FeedbackError(
                    f"There are {len(exchange.candidates)} candidates and none is chosen; "
                    "choose one with commit_model_response first."
                )
            # A response that was not committed is still the one that the person is looking at.
            self._choose(exchange.candidates[0])
            return self._answered()
        return exchange
