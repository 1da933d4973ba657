"""Conversations: the turns that lead to an exchange, and the messages that they amount to."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from langchain_model_alignment.constitution import digest
from langchain_model_alignment.errors import FeedbackError
from langchain_model_alignment.feedback.exchanges import Exchange, in_words
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.templates import Template

__all__ = ["asked_in", "exchange_of", "input_key", "inputs_of", "messages_of", "turns_of"]


def exchange_of(prompt: AlignedPrompt, id: str) -> Exchange:
    """Return the exchange with this id.

    Raises:
        FeedbackError: There is none.
    """
    for exchange in prompt.exchanges:
        if exchange.id == id:
            return exchange
    known = ", ".join(e.id for e in prompt.exchanges[-8:]) or "none yet"
    raise FeedbackError(f"There is no exchange {id!r}; the last ones here are: {known}.")


def turns_of(prompt: AlignedPrompt, exchange: Exchange) -> list[Exchange]:
    """Return the exchanges of a conversation from its first turn to this one.

    Raises:
        FeedbackError: A turn goes on from an exchange that is not there.
    """
    turns = [exchange]
    while turns[0].after is not None:
        turns.insert(0, exchange_of(prompt, turns[0].after))
        if len(turns) > len(prompt.exchanges) + 1:
            raise FeedbackError(f"The conversation of {exchange.id!r} goes in circles; its file was changed by hand.")
    return turns


def messages_of(prompt: AlignedPrompt, exchange: Exchange, template: Template | None = None) -> list[BaseMessage]:
    """Return the messages to answer in an exchange: the prompt as it stands, then the turns so far.

    Args:
        prompt: Holds the exchanges.
        exchange: What is to be answered.
        template: The prompt's effective template, where many exchanges are answered and it is known already.

    Raises:
        PromptError: The input does not fit the prompt's variables.
        FeedbackError: A turn goes on from an exchange that is not there.
    """
    turns = turns_of(prompt, exchange)
    messages = (template or prompt.effective).fill(turns[0].inputs)
    for earlier, later in pairwise(turns):
        messages += [AIMessage(earlier.response or ""), HumanMessage(later.message or "")]
    return messages


def asked_in(prompt: AlignedPrompt, exchange: Exchange) -> str:
    """Return what was asked in an exchange, as text: the inputs, then what was said turn by turn."""
    first, *later = turns_of(prompt, exchange)
    return "\n".join([*in_words(first.inputs), *(str(turn.message) for turn in later)]) or "(no input)"


def inputs_of(prompt: AlignedPrompt, exchange: Exchange) -> dict[str, Any]:
    """Return what was asked in an exchange as values: the inputs, and under `message` what was said since."""
    first, *later = turns_of(prompt, exchange)
    said = "\n".join(turn.message or "" for turn in later)
    return {**first.inputs, "message": said} if said else dict(first.inputs)


def input_key(prompt: AlignedPrompt, exchange: Exchange) -> str:
    """Return what is equal for exchanges that were asked the same: the inputs, and what was said in each turn."""
    turns: Sequence[Exchange] = turns_of(prompt, exchange)
    earlier = [turn.response for turn in turns[:-1]]
    return digest([turns[0].inputs, [turn.message for turn in turns], earlier])
