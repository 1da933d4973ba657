"""Principles become part of the prompt's own text, and feedback changes it directly.

Whatever the model writes is checked in code: every variable and literal still stands, what the text said before is
still said, and each principle is said. What fails goes back once with the reason. After that the old text stays, and
what was asked is listed below it.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable, RunnableConfig
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from langchain_model_alignment.calls import Caller, ChatModelLike, as_caller
from langchain_model_alignment.constitution import Principle
from langchain_model_alignment.errors import FeedbackError, MalformedAnswerError
from langchain_model_alignment.feedback import instructions
from langchain_model_alignment.feedback.principles import Strategy, strategy_of
from langchain_model_alignment.feedback.records import as_template
from langchain_model_alignment.feedback.rewrites import adds, follows, keeps_text
from langchain_model_alignment.history import TemplateEdit, principle_key
from langchain_model_alignment.loop import make_runnable
from langchain_model_alignment.structured import ask_structured
from langchain_model_alignment.templates import Template
from langchain_model_alignment.wording import says

logger = logging.getLogger(__name__)

FaultIn = Callable[[str], str | None]
Write = Callable[[Sequence[BaseMessage], RunnableConfig], Awaitable[str]]

_TAGGED = re.compile(
    r"<((?:REVISED |UPDATED |NEW )?(?:PROMPT|INSTRUCTIONS))>((?:(?!<\1>).)*?)</\1>", re.IGNORECASE | re.DOTALL
)
_HEADING = re.compile(
    r"\A\s*(?:\W*(?:here (?:is|are) .{0,60}"
    r"|(?:rewritten|revised|updated|changed|new)?\s*(?:instructions|prompt)))\W*:\s*\n+",
    re.IGNORECASE,
)


def _as_template(prompt: Any) -> Any:
    # A dict is a template in JSON, which pydantic reads; of all else, as_template knows what it is.
    return prompt if isinstance(prompt, dict) else as_template(prompt)


AnyPrompt = Annotated[Template, BeforeValidator(_as_template, json_schema_input_type=str | Template)]


class UpdateRequest(BaseModel):
    """A prompt and the principles that its text should say."""

    model_config = ConfigDict(extra="forbid")

    template: AnyPrompt = Field(
        description="The person's own text, before any principle was woven in: a string or a LangChain prompt"
    )
    principles: tuple[Principle, ...] = Field(description="The principles that the text should say")


class DirectUpdateRequest(BaseModel):
    """A prompt and feedback that should change its text."""

    model_config = ConfigDict(extra="forbid")

    template: AnyPrompt = Field(description="The text to change: a string, a LangChain prompt or a template")
    feedback: str = Field(description="What a person wants changed")


class PromptUpdate(BaseModel):
    """A prompt's new text."""

    edit: TemplateEdit = Field(description="The new text, as an edit of the document")
    listed: tuple[str, ...] = Field(
        default=(), description="What the rewritten text does not say, and is therefore listed below it"
    )
    refused: str = Field(default="", description="Why a rewritten text was not taken, where it was not")


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
    write = _writer(caller, strategy or strategy_of(caller))

    async def update(value: UpdateRequest | dict[str, Any], config: RunnableConfig) -> PromptUpdate:
        request = UpdateRequest.model_validate(value)
        template, principles = request.template, [p for p in request.principles if p.enabled]
        index = template.instruction_index()
        if index is None or not principles:
            return list_principles(template, principles)
        old = template.messages[index].text
        rules = [p.sentence() for p in principles]

        def fault_in(text: str) -> str | None:
            return keeps_text(old, text) or adds(old, text, rules)

        new, refused = await _rewrite(write, instructions.weave(old, rules), fault_in, config)
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
    write = _writer(caller, strategy or strategy_of(caller))

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
            new, refused = await _rewrite(write, messages, lambda t: follows(old, t, feedback), config)
        if refused or index is None:
            listed = template.with_list([feedback], instructions.ASKED_HEADING)
            return PromptUpdate(edit=TemplateEdit(template=listed), listed=(feedback,), refused=refused)
        return PromptUpdate(edit=TemplateEdit(template=template.replace_text(index, new)))

    return make_runnable(update, name="direct_update", input_type=DirectUpdateRequest, output_type=PromptUpdate)


async def _rewrite(
    write: Write, messages: Sequence[BaseMessage], fault_in: FaultIn, config: RunnableConfig
) -> tuple[str, str]:
    """Return the rewritten text and nothing, or what was still wrong with it after one repair."""
    fault = ""
    conversation = list(messages)
    for _ in range(2):
        try:
            text = await write(conversation, config)
        except MalformedAnswerError:
            return "", fault or "it could not be read"
        fault = fault_in(text) or ""
        if not fault:
            return text, ""
        conversation = instructions.repair_prompt(messages, text, fault)
    return "", fault


def _writer(caller: Caller, strategy: Strategy) -> Write:
    """Make the function that asks for a rewritten prompt; that a model cannot do it in one call is learnt once."""

    async def write(messages: Sequence[BaseMessage], config: RunnableConfig) -> str:
        nonlocal strategy
        if strategy == "one_call":
            try:
                return clean_prompt((await ask_structured(caller, messages, _Rewritten, config=config)).text)
            except MalformedAnswerError as error:
                if strategy == "one_call":
                    logger.warning("The rewritten prompt could not be read; from now on it is plain text: %s", error)
                strategy = "short_steps"
        return clean_prompt((await caller.ask(messages, config=config)).text)

    return write


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
