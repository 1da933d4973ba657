"""What goes into a batch of feedback, and what comes out of it. All plain JSON."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator

from langchain_model_alignment.constitution import digest
from langchain_model_alignment.feedback.exchanges import Exchange, Feedback, Record, as_json
from langchain_model_alignment.feedback.records import AlignedPrompt

__all__ = ["BatchResult", "FeedbackRecord", "PrincipleGroup", "UnusedRecord", "evidence_of", "numbered_exchanges"]

_KNOWN = "It is there already, among the prompt's exchanges or earlier in the batch."
_WORDLESS = "It is a score without words, so there is no wish in it."


class FeedbackRecord(Record):
    """One piece of feedback from elsewhere, with the response that it is about.

    Example:
        >>> FeedbackRecord(id="1", response="Cut paper.", feedback=Feedback(kind="critique", text="Too short")).id
        '1'
    """

    id: str
    """Unique within a batch: the row's number, the feedback's id."""
    inputs: Annotated[dict[str, Any], AfterValidator(as_json)] = Field(default_factory=dict)
    """A value for each variable of the prompt, as far as they are known."""
    response: str
    feedback: Feedback

    @field_validator("response")
    @classmethod
    def _is_about_something(cls, response: str) -> str:
        if not response.strip():
            raise ValueError("the response is empty; give the answer that the feedback is about")
        return response

    def as_exchange(self) -> Exchange:
        """Return it as an exchange of a prompt."""
        feedback = self.feedback
        if not feedback.response:
            feedback = feedback.model_copy(update={"response": self.response})
        return Exchange(
            id=self.id,
            inputs=self.inputs,
            candidates=(self.response,),
            response=self.response,
            feedback=(feedback,),
        )


class PrincipleGroup(Record):
    """A principle and the records that ask for it."""

    text: str
    records: tuple[str, ...]
    """The ids of the records behind it, in their order."""
    id: str | None = None
    """The principle's id; nothing where it was left out."""


class UnusedRecord(Record):
    """A record that no principle came from, and why."""

    id: str
    reason: str


class BatchResult(Record):
    """What became of a batch of feedback."""

    prompt: AlignedPrompt
    """The prompt after one revision of its principles and one of its text."""
    groups: tuple[PrincipleGroup, ...] = ()
    """The principles that the batch added or supports, those that most records ask for first."""
    left_out: tuple[PrincipleGroup, ...] = ()
    """Those with the least support, where there were more than `max_principles`."""
    conflicts: tuple[str, ...] = ()
    """A sentence for each contradiction that was resolved."""
    skipped: tuple[UnusedRecord, ...] = ()
    """Records that the prompt knew already, or that ask for nothing."""
    failed: tuple[UnusedRecord, ...] = ()
    """Records whose model call failed; the same batch on the new prompt tries these again."""
    calls: int = 0
    """Model calls sent through the caller meanwhile; answers out of a cache are not among them."""


def numbered_exchanges(prompt: AlignedPrompt, records: Iterable[FeedbackRecord]) -> Iterator[tuple[int, Exchange, str]]:
    """Yield records as numbered exchanges under ids of their own, with the reason to skip them, where there is one."""
    known = {exchange.id: _said(exchange) for exchange in prompt.exchanges}
    for number, record in enumerate(records):
        exchange = record.as_exchange()
        said = _said(exchange)
        ids = itertools.chain([record.id], (f"{record.id}-{n}" for n in itertools.count(2)))
        id = next(id for id in ids if known.get(id, said) == said)
        reason = _KNOWN if id in known else "" if record.feedback.text else _WORDLESS
        known[id] = said
        yield number, exchange.model_copy(update={"id": id}), reason


def _said(exchange: Exchange) -> str:
    said = [[f.kind, f.text, f.rejected, f.score] for f in exchange.feedback]
    return digest([exchange.inputs, exchange.response, said])


def evidence_of(id: str) -> str:
    """Return the name of the first piece of feedback about an exchange, as everywhere."""
    return f"{id}.f1"
