"""Critiques and kudos that a person could give: three each, distinct, about this response."""

import json
import re
from typing import Any, Literal

from langchain_core.runnables import Runnable, RunnableConfig
from pydantic import BaseModel, ConfigDict, Field

from langchain_model_alignment.calls import Caller, ChatModelLike, as_caller
from langchain_model_alignment.errors import FeedbackError, MalformedAnswerError
from langchain_model_alignment.feedback import instructions
from langchain_model_alignment.feedback.exchanges import in_words
from langchain_model_alignment.feedback.judging_instructions import why_better
from langchain_model_alignment.languages import words_of
from langchain_model_alignment.loop import make_runnable
from langchain_model_alignment.wishes import claims_absence
from langchain_model_alignment.wording import alike, clean_sentence, stems_in

_WANTED = 3
_ALIKE = 0.6
_ASKS = re.compile(r"(?:how|what|why|when|where|who|which)\b", re.IGNORECASE)
_ITEM = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.):]|reason[_ ]?\d\s*:)\s*", re.IGNORECASE)


class SuggestionRequest(BaseModel):
    """A response and the prompt that it answered."""

    model_config = ConfigDict(extra="forbid")

    prompt: str = Field(description="The prompt's text, with its variables")
    response: str = Field(description="The answer that the suggestions are about")
    inputs: dict[str, Any] = Field(default={}, description="The value of each variable")


def create_critique_chain(llm: ChatModelLike) -> Runnable[SuggestionRequest | dict[str, Any], list[str]]:
    r"""Create the chain that suggests three critiques of a response.

    Args:
        llm: The model that writes them.

    Returns:
        A Runnable from a `SuggestionRequest` (or a dict like it) to a list of three sentences.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> llm = FakeListChatModel(responses=["1. Too short.\n2. No sources.\n3. It sounds stiff."])
        >>> create_critique_chain(llm).invoke({"prompt": "Sum up {text}.", "response": "It rains."})
        ['Too short.', 'No sources.', 'It sounds stiff.']
    """
    return _create(llm, "critique")


def create_kudos_chain(llm: ChatModelLike) -> Runnable[SuggestionRequest | dict[str, Any], list[str]]:
    """Create the chain that suggests three kudos for a response.

    Args:
        llm: The model that writes them.

    Returns:
        A Runnable from a `SuggestionRequest` (or a dict like it) to a list of three sentences.
    """
    return _create(llm, "kudos")


class PreferenceRequest(BaseModel):
    """Two responses to the same input."""

    model_config = ConfigDict(extra="forbid")

    better: str = Field(description="The response that a person liked better")
    worse: str = Field(description="The other one")


def create_preference_chain(llm: ChatModelLike) -> Runnable[PreferenceRequest | dict[str, Any], list[str]]:
    r"""Create the chain that suggests why a person may have liked one response better than another.

    The reasons are guesses: show them to the person, who takes one or says it better.

    Args:
        llm: The model that writes them.

    Returns:
        A Runnable from a `PreferenceRequest` (or a dict like it) to a list of up to three sentences.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> llm = FakeListChatModel(responses=["1. It is short.\n2. It names the price."])
        >>> create_preference_chain(llm).invoke({"better": "5 euros.", "worse": "That depends on many things."})
        ['It is short.', 'It names the price.']
    """
    caller = as_caller(llm)

    async def why(value: PreferenceRequest | dict[str, Any], config: RunnableConfig) -> list[str]:
        request = PreferenceRequest.model_validate(value)
        if not (request.better.strip() and request.worse.strip()):
            raise FeedbackError("A preference is between two responses, and one of them is empty.")
        answer = await caller.ask(why_better(request.better, request.worse), config=config)
        reasons: list[str] = []
        for item in read_items(answer.text):
            if all(alike(item, other) < _ALIKE for other in reasons):
                reasons.append(item)
        if not reasons:
            raise MalformedAnswerError("The model suggested no reason that could be read; say it in your own words.")
        return reasons[:_WANTED]

    return make_runnable(why, name="preference", input_type=PreferenceRequest, output_type=list[str])


def _create(
    llm: ChatModelLike, kind: Literal["critique", "kudos"]
) -> Runnable[SuggestionRequest | dict[str, Any], list[str]]:
    caller = as_caller(llm)

    async def suggest(value: SuggestionRequest | dict[str, Any], config: RunnableConfig) -> list[str]:
        return await _suggest(caller, kind, SuggestionRequest.model_validate(value), config)

    return make_runnable(suggest, name=kind, input_type=SuggestionRequest, output_type=list[str])


async def _suggest(caller: Caller, kind: str, request: SuggestionRequest, config: RunnableConfig) -> list[str]:
    if not request.response.strip():
        raise FeedbackError("There is no response to suggest feedback about; send an input first.")
    shown = "\n".join([request.prompt, *in_words(request.inputs)])
    messages = instructions.suggest(kind, shown, request.response)
    found: list[str] = []
    spare: list[str] = []
    for _ in range(2):
        answer = await caller.ask(messages, config=config)
        for item in read_items(answer.text):
            if any(alike(item, other) >= _ALIKE for other in (*found, *spare)):
                continue
            (found if _is_about(item, request) else spare).append(item)
        if len(found) >= _WANTED:
            break
        messages = instructions.suggest_more(messages, answer.text)
    suggestions = [*found, *spare][:_WANTED]
    if not suggestions:
        raise MalformedAnswerError(f"The model suggested no {kind} that could be read; write your own.")
    return suggestions


def read_items(text: str) -> list[str]:
    r"""Return the items of a list as a model writes it: numbered, bulleted, in braces, or a line each.

    Example:
        >>> read_items("Sure, here are three:\n\n- Too short.\n- No sources.\n")
        ['Too short.', 'No sources.']
    """
    try:
        listed = json.loads(text)
    except ValueError:
        listed = None
    if isinstance(listed, list):
        return [item.strip() for item in listed if isinstance(item, str) and words_of(item)]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    marked = [line for line in lines if _ITEM.match(line)]
    items = [clean_sentence(_ITEM.sub("", line)) for line in (marked or lines)]
    return [item for item in items if words_of(item)]


def _is_about(item: str, request: SuggestionRequest) -> bool:
    """Whether a suggestion speaks about the response: no piece of it, no fact about the input, no false absence."""
    copied = " ".join(words_of(item)) in " ".join(words_of(request.response))
    given = stems_in(" ".join(str(value) for value in request.inputs.values())[:1000])
    tells = bool(stems_in(words_of(item)[0]) & given)
    missed = stems_in(item) - stems_in("include mention say provide explain answer response")
    there = len(missed & stems_in(request.response))
    wrong = claims_absence(item) and missed and there >= 0.6 * len(missed)
    return not copied and not tells and not _ASKS.match(item) and not wrong
