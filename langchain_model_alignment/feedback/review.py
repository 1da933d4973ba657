"""A person's turn: what is shown to them, and what they may answer."""

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from langchain_model_alignment.constitution import PrincipleEdit
from langchain_model_alignment.feedback.conversation import turns_of
from langchain_model_alignment.feedback.exchanges import Exchange, Feedback, FeedbackKind, parse_feedback
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.feedback.replay import ReplayReport

_NEEDS_TEXT = ("critique", "kudos", "rewrite", "reply")


class Review(BaseModel):
    """What a person says to the answers in front of them.

    Answers in the form of LangChain's Agent Inbox are understood too: a response is a critique, an edited response is a
    rewrite, accepting and ignoring accept.

    Example:
        >>> Review(action="critique", text="Too long.").action
        'critique'
        >>> Review.model_validate([{"type": "response", "args": "Too long."}]).text
        'Too long.'
    """

    model_config = ConfigDict(extra="forbid")

    action: Literal[
        "critique",
        "kudos",
        "rewrite",
        "prefer",
        "score",
        "edit",
        "undo",
        "redo",
        "rewind",
        "again",
        "reply",
        "back",
        "accept",
    ]
    """`prefer` likes one candidate better than another and `score` gives a number; `edit` changes principles or the
    prompt by hand, `undo`, `redo` and `rewind` go back and forth in its history; `again` asks for new answers, `reply`
    goes on with the conversation, `back` goes to an earlier exchange; `accept` ends the loop."""
    text: str = ""
    """The critique, the kudos or the rewritten answer; with `prefer` and `score`, why; with `reply`, what is said
    next; with `edit`, new instructions for the prompt, if wanted."""
    choice: int = Field(default=0, ge=0)
    """Which candidate it is about, from 0; with `prefer`, the better one."""
    over: int | None = Field(default=None, ge=0)
    """With `prefer`: the candidate that is liked less."""
    score: float | None = Field(default=None, ge=0, le=1)
    """With `score`: from 0, all wrong, to 1, all right."""
    revision: str = ""
    """With `rewind`: the id of the revision to stand at; the beginning, when empty."""
    exchange: str = ""
    """With `back`: the id of the exchange to go to."""
    edits: tuple[PrincipleEdit, ...] = ()
    """With `edit`: the changes to the principles."""
    inputs: dict[str, Any] | None = None
    """Other inputs to answer next, where they should change."""

    def feedback(self, candidates: Sequence[str]) -> Feedback:
        """Return the feedback that this amounts to, where the action gives any.

        Raises:
            FeedbackError: A preference has no reason.
        """
        response = candidates[self.choice]
        if self.action == "prefer":
            return parse_feedback("preference", self.text, response, rejected=candidates[self.over or 0])
        kinds: dict[str, FeedbackKind] = {
            "critique": "critique",
            "kudos": "kudos",
            "rewrite": "rewrite",
            "score": "score",
        }
        return parse_feedback(kinds[self.action], self.text, response, score=self.score)

    @model_validator(mode="before")
    @classmethod
    def _from_agent_inbox(cls, value: Any) -> Any:
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if not isinstance(value, dict) or "type" not in value:
            return value
        kind, args = value["type"], value.get("args")
        if kind in ("accept", "ignore"):
            return {"action": "accept"}
        if kind == "response":
            return {"action": "critique", "text": args}
        edited = args.get("args", args) if isinstance(args, dict) else {}
        return {"action": "rewrite", "text": edited.get("response", "") if isinstance(edited, dict) else ""}

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if self.action in _NEEDS_TEXT and not self.text.strip():
            raise ValueError(f"a {self.action} needs a text; say in a few words what to change or keep")
        if (self.action == "score") != (self.score is not None):
            raise ValueError("a score, from 0 to 1, goes with the action score")
        if (self.action == "prefer") != (self.over is not None) or self.over == self.choice:
            raise ValueError("the action prefer needs two candidates: the better one as choice, the other one as over")
        if (self.action == "back") != bool(self.exchange):
            raise ValueError("the id of an exchange goes with the action back")
        if self.action == "edit" and not (self.edits or self.text.strip()):
            raise ValueError("an edit needs edits of principles, or a text for the prompt")
        if self.action != "edit" and self.edits:
            raise ValueError("edits of principles go with the action edit")
        return self


class Decision(BaseModel):
    """What a person says to a change that made something worse.

    Example:
        >>> Decision.model_validate("take_back").action
        'take_back'
    """

    model_config = ConfigDict(extra="forbid")

    action: Literal["accept", "take_back"]

    @model_validator(mode="before")
    @classmethod
    def _from_other_forms(cls, value: Any) -> Any:
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, str):
            return {"action": value.strip().replace(" ", "_")}
        if isinstance(value, dict) and "type" in value:  # Agent Inbox
            return {"action": "accept" if value["type"] == "accept" else "take_back"}
        return value


class Reason(BaseModel):
    """Why a person likes an answer better: one of the reasons suggested, by its number from 0, or their own words."""

    model_config = ConfigDict(extra="forbid")

    text: str = ""
    choice: int | None = Field(default=None, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _from_other_forms(cls, value: Any) -> Any:
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, str):
            return {"text": value}
        if isinstance(value, dict) and value.get("type") == "accept":  # Agent Inbox
            return {"choice": 0}
        if isinstance(value, dict) and value.get("type") == "response":
            return {"text": value.get("args")}
        return value

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if (self.choice is None) == (not self.text.strip()):
            raise ValueError("give one of the reasons by its number, or say why in your own words")
        return self


def replay_payload(report: ReplayReport, changes: Sequence[str]) -> dict[str, Any]:
    """Return what an interrupt shows when a change made something worse: what did, and what the change was."""
    listed = "\n".join(f"- {line}" for line in report.troubles)
    changed = "\n".join(f"- {line}" for line in changes)
    return {
        "type": "replay",
        "summary": report.summary(),
        "troubles": report.troubles,
        "changes": list(changes),
        "report": report.model_dump(mode="json"),
        "action_request": {"action": "accept_change", "args": {"changes": list(changes)}},
        "config": {"allow_ignore": True, "allow_respond": False, "allow_edit": False, "allow_accept": True},
        "description": (
            f"### The last change made something worse\n\n{listed}\n\n### The change\n\n{changed}\n\n"
            "Accept it all the same, or ignore it to take it back."
        ),
    }


def reason_payload(better: str, worse: str, reasons: Sequence[str]) -> dict[str, Any]:
    """Return what an interrupt shows to have a guess confirmed: why one answer may be liked better."""
    listed = "\n".join(f"{number}. {reason}" for number, reason in enumerate(reasons))
    return {
        "type": "why",
        "reasons": list(reasons),
        "better": better,
        "worse": worse,
        "action_request": {"action": "confirm_reason", "args": {"reason": reasons[0] if reasons else ""}},
        "config": {"allow_ignore": False, "allow_respond": True, "allow_edit": False, "allow_accept": bool(reasons)},
        "description": f"### Why is it better?\n\n{listed}\n\nAccept the first, or respond with your own reason.",
    }


def review_payload(
    prompt: AlignedPrompt, exchange: Exchange, candidates: Sequence[str], conflicts: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """Return what an interrupt shows: response, candidates, principles, the prompt, and its message that instructs.

    The keys `action_request`, `config` and `description` are what LangChain's Agent Inbox draws.
    """
    principles = [p.model_dump(mode="json") for p in prompt.principles]
    listed = "\n".join(f"- {p.sentence()}" for p in prompt.principles) or "none yet"
    shown = (
        "\n\n".join(candidates)
        if len(candidates) == 1
        else "\n\n".join(f"**Candidate {number}**\n\n{text}" for number, text in enumerate(candidates))
    )
    return {
        "type": "review",
        "exchange": exchange.id,
        "message": exchange.message,
        "response": exchange.response or candidates[0],
        "candidates": list(candidates),
        "principles": principles,
        "prompt": prompt.description,
        "instructions": prompt.document.description.instructions,
        "inputs": dict(turns_of(prompt, exchange)[0].inputs),
        "conflicts": list(conflicts),
        "action_request": {"action": "review_response", "args": {"response": exchange.response or candidates[0]}},
        "config": {"allow_ignore": True, "allow_respond": True, "allow_edit": True, "allow_accept": True},
        "description": (
            f"### Answer\n\n{shown}\n\n### Principles\n\n{listed}\n\n### Prompt\n\n{prompt.description}\n\n"
            "Respond with a critique, edit the response to rewrite it, or accept."
        ),
    }
