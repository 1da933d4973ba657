"""The state of a feedback loop, and the events that it tells: plain JSON values."""

from typing import Any, Literal, NotRequired, Required

from typing_extensions import TypedDict

__all__ = ["FeedbackEvent", "FeedbackInput", "FeedbackOutput", "FeedbackState"]


class FeedbackState(TypedDict, total=False):
    """The state of a feedback loop; give `prompt` and `inputs` to begin."""

    prompt: Any
    """The prompt: a string to begin with, the JSON of an `AlignedPrompt` from then on."""
    inputs: dict[str, Any]
    """A value for each variable of the prompt."""
    turn: dict[str, str] | None
    """Of a conversation's further turn: `after`, the exchange it goes on from, and `message`, what was said."""
    exchange: str
    """The id of the exchange under review."""
    candidates: list[str]
    """The answers to review."""
    response: str
    """The answer that was chosen."""
    review: dict[str, Any]
    """The person's last turn, as JSON of a `Review`."""
    before: dict[str, Any] | None
    """The prompt before the change under way, to go back to."""
    reviewed: str
    """The id of the exchange that the person's last turn was about."""
    repaired: bool
    """Whether a principle was written anew since the person's last turn."""
    mending: bool
    """Whether a principle was written anew just now, and has to go into the prompt."""
    standards: dict[str, str]
    """Answers to earlier inputs that a person accepted with a change, by the id of the exchange."""
    conflicts: list[dict[str, Any]]
    """What the last new principle gets in the way of, with proposed edits."""
    replay: dict[str, Any] | None
    """What the change under way does to earlier inputs, as JSON of a `ReplayReport`."""


class FeedbackInput(TypedDict):
    """What begins a feedback loop."""

    prompt: Required[str | dict[str, Any]]
    """A string, or the JSON of an `AlignedPrompt`."""
    inputs: NotRequired[dict[str, Any]]
    """A value for each variable of the prompt."""


class FeedbackOutput(TypedDict):
    """What a feedback loop ends with."""

    prompt: dict[str, Any]
    """The JSON of the `AlignedPrompt`."""
    response: str
    """The answer that was accepted."""


class FeedbackEvent(TypedDict, total=False):
    """What the graph tells while it runs (`stream_mode="custom"`); `type` says which of the other keys are there."""

    type: Literal["answers", "principles", "prompt", "verdicts", "replay", "taken_back", "token"]
    candidates: list[str]
    """With `answers`: the new candidates."""
    exchange: str
    prompt: str
    inputs: dict[str, Any]
    constitution: dict[str, Any]
    """With `answers`: the exchange that they belong to, and the prompt, input and principles that they answer."""
    principles: list[dict[str, Any]]
    """With `principles`: all principles as they stand."""
    changes: list[str]
    """With `principles`: what changed, a line each."""
    written_by: str
    """With `principles`: who found the words: `model`, `repair` or `person`."""
    conflicts: list[dict[str, Any]]
    """With `principles`: what the new one gets in the way of, with proposed edits."""
    before: str
    after: str
    """With `prompt`: the text before and after the update."""
    listed: list[str]
    """With `prompt`: principles that the text itself could not be made to say, and are listed below it."""
    verdicts: list[dict[str, Any]]
    """With `verdicts`: what was said, whether the new answer does it (`kept`), why, and whether a repair follows."""
    report: dict[str, Any]
    """With `replay`: the JSON of a `ReplayReport`."""
    text: str
    candidate: int
    message: str
    """With `token`, which only `Turns` tells, where it is asked to: a piece of an answer, of which candidate, and of
    which message; a call that failed half way begins another message."""
    summary: str
    troubles: list[str]
    """With `replay`: the whole in a sentence, and what got worse, a sentence each."""
