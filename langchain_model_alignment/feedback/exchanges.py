"""What was said: an exchange with a prompt, and what a person thought of it. All plain JSON."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import to_jsonable_python

from langchain_model_alignment.errors import FeedbackError

__all__ = [
    *("Exchange", "Feedback", "FeedbackKind", "PlainKind", "Record", "Verdict"),
    *("as_json", "in_words", "parse_feedback"),
]

FeedbackKind = Literal["critique", "kudos", "rewrite", "preference", "score"]
PlainKind = Literal["critique", "kudos", "rewrite"]

_MEDIA = ("image", "image_url", "input_image", "audio", "input_audio", "video", "file", "document", "media")
_GOOD = 0.5  # the score from which words are praise


class Record(BaseModel):
    """An immutable value that round-trips through JSON and refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Verdict(Record):
    """Whether a later answer does what feedback asked for."""

    kept: bool
    reason: str = ""
    """Why, in one sentence."""
    revision: str | None = None
    """The revision of the prompt whose answer was judged."""
    repaired: bool = False
    """Whether the principle was written anew after a first answer had lost the wish."""


class Feedback(Record):
    """What a person said about a response.

    Example:
        >>> Feedback(kind="critique", text=" Too long. ").text
        'Too long.'
        >>> Feedback(kind="score", score=0.2, text="It rambles.").plain().kind
        'critique'
    """

    kind: FeedbackKind
    text: str
    """The critique or the kudos in words; of a rewrite, the person's own version of the response; of a preference or
    a score, why, if that was said."""
    response: str = ""
    """The response it is about; of a preference, the one that was liked better."""
    rejected: str | None = None
    """Of a preference: the response that was liked less."""
    score: float | None = Field(default=None, ge=0.0, le=1.0)
    """Of a score: from 0, all wrong, to 1, all right."""
    verdict: Verdict | None = None
    """Whether a later answer kept the wish; nothing until one was judged."""

    @field_validator("text")
    @classmethod
    def _strip(cls, text: str) -> str:
        return text.strip()

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        if not self.text and self.kind != "score":
            raise ValueError("the feedback is empty; say in a few words what to change or keep")
        if (self.kind == "score") != (self.score is not None):
            raise ValueError("a score, from 0 to 1, goes with feedback of the kind score, and with no other")
        if (self.kind == "preference") != (self.rejected is not None):
            raise ValueError("a rejected response goes with feedback of the kind preference, and with no other")
        return self

    @property
    def tone(self) -> PlainKind:
        """What it amounts to: the reason of a preference is praise, that of a score is praise or a critique."""
        if self.kind == "score":
            return "kudos" if (self.score or 0.0) >= _GOOD else "critique"
        return "kudos" if self.kind == "preference" else self.kind

    def plain(self) -> "Feedback":
        """Return the same wish as a critique, kudos or a rewrite, which principles are made from."""
        return Feedback(kind=self.tone, text=self.text, response=self.response)


def as_json(values: dict[str, Any]) -> dict[str, Any]:
    """Return values in JSON; one that has no JSON form is kept as its text."""

    def plain(value: Any) -> Any:
        try:
            return to_jsonable_python(value, fallback=str)
        except ValueError:  # bytes that are no text, or a value that holds itself
            return str(value)

    return {name: plain(value) for name, value in values.items()}


def in_words(inputs: Mapping[str, Any]) -> list[str]:
    """Return inputs as text for a model to read about, a line for each; of a picture only that there is one.

    Example:
        >>> in_words({"item": "a rope", "photo": [{"type": "image", "base64": "iVBORw0KGgo="}]})
        ['item: a rope', 'photo: ["[image]"]']
    """

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            if value.get("type") in _MEDIA:
                return f"[{str(value['type']).removeprefix('input_').removesuffix('_url')}]"
            return {name: plain(part) for name, part in value.items()}
        return [plain(part) for part in value] if isinstance(value, list | tuple) else value

    said = {name: plain(value) for name, value in as_json(dict(inputs)).items()}
    return [f"{name}: {v if isinstance(v, str) else json.dumps(v, ensure_ascii=False)}" for name, v in said.items()]


class Exchange(Record):
    """One input, the candidates answered to it, the response chosen, and what was said about it.

    A conversation is a chain of exchanges: each further turn names the exchange it goes on from, so that going on from
    an earlier turn leaves the later ones as they are.
    """

    id: str
    inputs: Annotated[dict[str, Any], AfterValidator(as_json)] = {}
    """A value for each variable, in JSON; a value that has no JSON form is kept as its text."""
    candidates: tuple[str, ...] = ()
    response: str | None = None
    """The committed response; nothing until one is chosen."""
    feedback: tuple[Feedback, ...] = ()
    revision: str | None = None
    """The revision of the prompt that answered."""
    after: str | None = None
    """Of a further turn of a conversation: the exchange it goes on from."""
    message: str | None = None
    """Of a further turn: what the person said."""

    @model_validator(mode="after")
    def _a_turn_is_whole(self) -> Self:
        if (self.after is None) != (self.message is None):
            raise ValueError("a further turn needs both: the exchange it goes on from, and what was said")
        return self


def parse_feedback(
    kind: FeedbackKind, text: str, response: str, *, rejected: str | None = None, score: float | None = None
) -> Feedback:
    """Return a feedback record.

    Raises:
        FeedbackError: The text is empty, or the score is no number from 0 to 1.
    """
    if not text.strip() and kind != "score":
        raise FeedbackError("The feedback is empty; say in a few words what to change or keep.")
    try:
        return Feedback(kind=kind, text=text, response=response, rejected=rejected, score=score)
    except ValidationError as error:
        raise FeedbackError(f"The score {score!r} does not fit; give a number from 0 to 1.") from error
