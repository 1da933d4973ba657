"""Principles become part of the prompt's own text, and feedback changes it directly.

Whatever the model writes is checked in code: every variable and literal still stands, what the text said before is
still said, and each principle is said. What fails goes back once with the reason. After that the old text stays, and
what was asked is listed below it.
"""

import logging
import re
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable, RunnableConfig
from pydantic import BaseModel, ConfigDict, Field

from langchain_model_alignment.calls import Caller, ChatModelLike, as_caller
from langchain_model_alignment.constitution import Principle
from langchain_model_alignment.errors import FeedbackError, MalformedAnswerError
from langchain_model_alignment.feedback import instructions
from langchain_model_alignment.feedback.principles import Strategy, strategy_of
from langchain_model_alignment.history import TemplateEdit, principle_key
from langchain_model_alignment.literals import check_variables
from langchain_model_alignment.loop import make_runnable
from langchain_model_alignment.structured import ask_structured
from langchain_model_alignment.templates import Template
from langchain_model_alignment.wording import names_in, numbers_in, says, stems_in

logger = logging.getLogger(__name__)

FaultIn = Callable[[str], str | None]

_TAGGED = re.compile(
    r"<((?:REVISED |UPDATED |NEW )?(?:PROMPT|INSTRUCTIONS))>((?:(?!<\1>).)*?)</\1>", re.IGNORECASE | re.DOTALL
)
_HEADING = re.compile(
    r"\A\s*(?:\W*(?:here (?:is|are) .{0,60}"
    r"|(?:rewritten|revised|updated|changed|new)?\s*(?:instructions|prompt)))\W*:\s*\n+",
    re.IGNORECASE,
)
_THOUGHT = re.compile(
    r"\A\W*(?:thoughts?\b|thinking|reasoning|i (?:should|would|will|need|think|am|have)\b|i'[dlm]|let me|let's|okay|ok,"
    r"|first,|sure|the (?:prompt|instructions?|feedback|user|person|request) "
    r"(?:is|should|asks|says|needs|wants|already))",
    re.IGNORECASE,
)


class UpdateRequest(BaseModel):
    """A prompt and the principles that its text should say."""

    model_config = ConfigDict(extra="forbid")

    template: Template
    """The person's own text, before any principle was woven in."""
    principles: tuple[Principle, ...]


class DirectUpdateRequest(BaseModel):
    """A prompt and feedback that should change its text."""

    model_config = ConfigDict(extra="forbid")

    template: Template
    feedback: str


class PromptUpdate(BaseModel):
    """A prompt's new text."""

    edit: TemplateEdit
    listed: tuple[str, ...] = ()
    """What the rewritten text does not say, and is therefore listed below it."""
    refused: str = ""
    """Why a rewritten text was not taken, where it was not."""


class _Rewritten(BaseModel):
    """The rewritten instructions."""

    text: str = Field(description="the whole rewritten instructions, and nothing else")


def list_principles(template: Template, principles: Sequence[Principle]) -> PromptUpdate:
    """Return the update that needs no model: the principles listed below the person's own text.

    Example:
        >>> from langchain_model_alignment.constitution import Constitution
        >>> update = list_principles(Template.of("Sum up {text}."), Constitution.of("Be brief.").principles)
        >>> print(update.edit.template.text)
        Sum up {text}.
        <BLANKLINE>
        Follow these principles:
        - Be brief.
    """
    return _updated(template, principles, lost=list(principles), refused="")


def create_prompt_update_chain(
    llm: ChatModelLike, *, strategy: Strategy | None = None
) -> Runnable[UpdateRequest | dict[str, Any], PromptUpdate]:
    """Create the chain that rewrites a prompt so that its text says all principles, in one call for any number.

    Args:
        llm: The model that rewrites.
        strategy: How to ask it; by default what fits the model.

    Returns:
        A Runnable from an `UpdateRequest` (or a dict like it) to a `PromptUpdate`.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> llm = FakeListChatModel(responses=['{"text": "Sum up {text} and be brief."}'])
        >>> chain = create_prompt_update_chain(llm)
        >>> principles = [{"id": "p1", "text": "Be brief."}]
        >>> chain.invoke({"template": Template.of("Sum up {text}."), "principles": principles}).edit.template.text
        'Sum up {text} and be brief.'
    """
    caller = as_caller(llm)
    chosen = strategy or strategy_of(caller)

    async def update(value: UpdateRequest | dict[str, Any], config: RunnableConfig) -> PromptUpdate:
        request = UpdateRequest.model_validate(value)
        template, principles = request.template, [p for p in request.principles if p.enabled]
        index = template.instruction_index()
        if index is None or not principles:
            return list_principles(template, principles)
        old = template.messages[index].text
        messages = instructions.weave(old, [p.sentence() for p in principles])
        new, refused = await _rewrite(caller, chosen, messages, lambda text: keeps_text(old, text), config)
        if refused:
            return _updated(template, principles, lost=principles, refused=refused)
        lost = [p for p in principles if not says(new, p.sentence())]
        if len(lost) == len(principles):
            return _updated(template, principles, lost=lost, refused="it says none of the principles")
        return _updated(template.replace_text(index, new), principles, lost=lost, refused="")

    return make_runnable(update, name="prompt_update", input_type=UpdateRequest, output_type=PromptUpdate)


def create_direct_update_chain(
    llm: ChatModelLike, *, strategy: Strategy | None = None
) -> Runnable[DirectUpdateRequest | dict[str, Any], PromptUpdate]:
    """Create the chain that changes a prompt directly from feedback, in one call and without a principle.

    A rewritten text that loses a variable, a literal or what was asked is refused: the old text stays, with the
    feedback listed below it.

    Args:
        llm: The model that rewrites.
        strategy: How to ask it; by default what fits the model.

    Returns:
        A Runnable from a `DirectUpdateRequest` (or a dict like it) to a `PromptUpdate`.
    """
    caller = as_caller(llm)
    chosen = strategy or strategy_of(caller)

    async def update(value: DirectUpdateRequest | dict[str, Any], config: RunnableConfig) -> PromptUpdate:
        request = DirectUpdateRequest.model_validate(value)
        feedback = " ".join(request.feedback.split())
        if not feedback:
            raise FeedbackError("The feedback is empty; say in a few words what to change.")
        template = request.template
        index = template.instruction_index()
        old = template.messages[index].text if index is not None else ""
        new, refused = "", "the prompt has no message of its own"
        if index is not None:
            messages = instructions.direct_update(old, feedback)
            new, refused = await _rewrite(caller, chosen, messages, lambda t: _follows(old, t, feedback), config)
        if refused or index is None:
            listed = template.with_list([feedback], instructions.ASKED_HEADING)
            return PromptUpdate(edit=TemplateEdit(template=listed), listed=(feedback,), refused=refused)
        return PromptUpdate(edit=TemplateEdit(template=template.replace_text(index, new)))

    return make_runnable(update, name="direct_update", input_type=DirectUpdateRequest, output_type=PromptUpdate)


def keeps_text(old: str, new: str) -> str | None:
    """Return what a rewritten text lost of the old one, or nothing: variables, literals, numbers, names, most words.

    Example:
        >>> keeps_text('Reply as {"a": 1} to {name}.', 'Reply to {name}.')
        'it changes or drops the literal {"a": 1}'
    """
    fault = _fault_of_form(old, new)
    if fault:
        return fault
    if new.count("\n") < 0.75 * old.count("\n"):
        return "it joins lines that were separate"
    for what, found in (("number", numbers_in), ("name", names_in)):
        gone = sorted(found(old) - found(new))
        if gone and gone[0] not in new:
            return f"it drops the {what} {gone[0]}"
    stems = stems_in(old)
    if len(stems & stems_in(new)) < 0.75 * len(stems):
        return "it drops part of the instructions"
    return "it repeats instructions" if len(new) > 2 * len(old) + 2000 else None


def _fault_of_form(old: str, new: str) -> str | None:
    if not new.strip():
        return "it is empty"
    if _THOUGHT.match(new) and not _THOUGHT.match(old):
        return "it thinks about the instructions instead of writing them"
    return check_variables(old, new)


def _follows(old: str, new: str, feedback: str) -> str | None:
    """Return what a direct update did wrong; it may change what the feedback is about, but must say what is asked."""
    fault = _fault_of_form(old, new)
    if fault:
        return fault
    gone = sorted((numbers_in(feedback) - numbers_in(new)) | {n for n in names_in(feedback) if n not in new})
    if gone:
        return f"it does not say {gone[0]}"
    if new.strip() == old.strip():
        return "it changes nothing"
    about = stems_in(feedback)
    kept = stems_in(old) - about
    if len(kept & stems_in(new)) < 0.6 * len(kept):
        return "it drops part of the instructions"
    asked = about - stems_in(old)
    return "it does not say what was asked" if asked and not asked & stems_in(new) else None


async def _rewrite(
    caller: Caller, strategy: Strategy, messages: Sequence[BaseMessage], fault_in: FaultIn, config: RunnableConfig
) -> tuple[str, str]:
    """Return the rewritten text and nothing, or what was still wrong with it after one repair."""
    fault = ""
    conversation = list(messages)
    for _ in range(2):
        try:
            text = await _written(caller, strategy, conversation, config)
        except MalformedAnswerError:
            return "", fault or "it could not be read"
        fault = fault_in(text) or ""
        if not fault:
            return text, ""
        conversation = instructions.repair_prompt(messages, text, fault)
    return "", fault


async def _written(caller: Caller, strategy: Strategy, messages: Sequence[BaseMessage], config: RunnableConfig) -> str:
    if strategy == "one_call":
        try:
            return clean_prompt((await ask_structured(caller, messages, _Rewritten, config=config)).text)
        except MalformedAnswerError as error:
            logger.warning("The rewritten prompt could not be read, so it is asked for as plain text: %s", error)
    return clean_prompt((await caller.ask(messages, config=config)).text)


def clean_prompt(text: str) -> str:
    """Return the prompt in a model's answer: what stands in its tags, else all of it without fence and heading.

    Example:
        >>> clean_prompt("I should put it in <PROMPT> tags. <PROMPT>Sum up {text}.</PROMPT>")
        'Sum up {text}.'
    """
    tagged = _TAGGED.findall(text)
    if tagged:
        text = tagged[-1][1]
    text = _HEADING.sub("", text.strip())
    fenced = re.fullmatch(r"```\w*\n(.*?)\n?```", text.strip(), re.DOTALL)
    return (fenced[1] if fenced else text).strip()


def _updated(
    template: Template, principles: Sequence[Principle], lost: Sequence[Principle], refused: str
) -> PromptUpdate:
    sentences = [p.sentence() for p in lost]
    listed = template.with_list(sentences, instructions.PRINCIPLES_HEADING)
    edit = TemplateEdit(template=listed, woven=tuple(principle_key(p) for p in principles))
    return PromptUpdate(edit=edit, listed=tuple(sentences), refused=refused)
