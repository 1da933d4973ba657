"""A person's turn: what is shown to them, and what they may answer."""

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from langchain_model_alignment.constitution import PrincipleEdit
from langchain_model_alignment.feedback.exchanges import PlainKind
from langchain_model_alignment.feedback.records import AlignedPrompt

_NEEDS_TEXT = ("critique", "kudos", "rewrite")


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

    action: Literal["critique", "kudos", "rewrite", "edit", "again", "accept"]
    """`edit` changes principles or the prompt by hand, `again` asks for new answers, `accept` ends the loop."""
    text: str = ""
    """The critique, the kudos or the rewritten answer; with `edit`, new instructions for the prompt, if wanted."""
    choice: int = Field(default=0, ge=0)
    """Which candidate it is about, from 0."""
    edits: tuple[PrincipleEdit, ...] = ()
    """With `edit`: the changes to the principles."""
    inputs: dict[str, Any] | None = None
    """Other inputs to answer next, where they should change."""

    @property
    def kind(self) -> PlainKind:
        """The kind of feedback, where the action is one."""
        kinds: dict[str, PlainKind] = {"critique": "critique", "kudos": "kudos", "rewrite": "rewrite"}
        return kinds[self.action]

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
        if self.action == "edit" and not (self.edits or self.text.strip()):
            raise ValueError("an edit needs edits of principles, or a text for the prompt")
        if self.action != "edit" and self.edits:
            raise ValueError("edits of principles go with the action edit")
        return self


def review_payload(prompt: AlignedPrompt, candidates: Sequence[str]) -> dict[str, Any]:
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
        "response": candidates[0],
        "candidates": list(candidates),
        "principles": principles,
        "prompt": prompt.description,
        "instructions": prompt.document.description.instructions,
        "inputs": dict(prompt.exchanges[-1].inputs),
        "action_request": {"action": "review_response", "args": {"response": candidates[0]}},
        "config": {"allow_ignore": True, "allow_respond": True, "allow_edit": True, "allow_accept": True},
        "description": (
            f"### Answer\n\n{shown}\n\n### Principles\n\n{listed}\n\n### Prompt\n\n{prompt.description}\n\n"
            "Respond with a critique, edit the response to rewrite it, or accept."
        ),
    }
