"""LangSmith's prompt hub: aligned prompts pushed, prompts pulled, over the `langsmith.Client` that the caller gives.

What was pulled is read as data. `Client.pull_prompt` builds the objects that a prompt names, by langchain-core's
`load`, and whoever can write to the hub chooses those.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from langchain_model_alignment.artifacts import one_line
from langchain_model_alignment.constitution import Add
from langchain_model_alignment.errors import ArtifactError, ConflictError, PromptError
from langchain_model_alignment.feedback.instructions import PRINCIPLES_HEADING
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.templates import Template

if TYPE_CHECKING:
    from langchain_core.prompts import ChatPromptTemplate
    from langsmith import Client

__all__ = ["pull_prompt", "push_prompt"]

_FIXED: dict[str, type[BaseMessage]] = {
    "SystemMessage": SystemMessage,
    "HumanMessage": HumanMessage,
    "AIMessage": AIMessage,
}


def push_prompt(client: "Client", name: str, aligned: AlignedPrompt, **options: Any) -> str:
    """Push a prompt as it stands, principles included, to LangSmith's prompt hub.

    Args:
        client: LangSmith's client.
        name: What the prompt is called there.
        aligned: The prompt.
        **options: Passed on to `Client.push_prompt`, such as `description` or `commit_tags`.

    Returns:
        The address of the commit.

    Raises:
        ConflictError: Nothing changed since the latest commit, or somebody else committed in the meantime.
    """
    from langsmith.utils import LangSmithConflictError

    try:
        return client.push_prompt(name, object=aligned.to_prompt(), **options)
    except LangSmithConflictError as error:
        raise ConflictError(
            f'LangSmith takes no commit of "{name}": nothing changed since the latest one, or somebody else committed '
            "meanwhile; pull it and compare."
        ) from error


def pull_prompt(client: "Client", name: str, **options: Any) -> AlignedPrompt:
    """Pull a prompt from LangSmith's prompt hub; principles that `push_prompt` listed below it are principles again.

    Only chat prompts of text messages, placeholders and partials are read, and nothing in them is executed.

    Args:
        client: LangSmith's client.
        name: The prompt, such as `greeting`, or with a commit or tag, `greeting:prod`.
        **options: Passed on to `Client.pull_prompt_commit`, such as `skip_cache`. A public prompt of somebody else,
            `owner/greeting`, needs the option that the client's error names.

    Returns:
        The prompt, at the beginning of a new history.

    Raises:
        ArtifactError: There is no such prompt, or it holds something else than a chat prompt of plain text.
    """
    from langsmith.utils import LangSmithNotFoundError

    try:
        commit = client.pull_prompt_commit(name, **options)
    except LangSmithNotFoundError as error:
        raise ArtifactError(
            f'There is no prompt "{name}" in LangSmith; check its name and its commit or tag.'
        ) from error
    try:
        template = Template.from_prompt(_prompt_in(commit.manifest))
    except _OddError as error:
        raise ArtifactError(f'The prompt "{name}" in LangSmith {error}; only chat prompts of text are read.') from error
    except PromptError as error:
        raise ArtifactError(f'The prompt "{name}" in LangSmith cannot be read: {error}') from error
    except ValueError as error:  # LangChain's own checks
        raise ArtifactError(f'The prompt "{name}" in LangSmith is damaged: {one_line(error)}.') from error
    return _with_principles(template)


class _OddError(Exception):
    """What is wrong with a manifest, to go into a sentence."""


def _prompt_in(manifest: Any) -> "ChatPromptTemplate":
    """Build the prompt that a manifest describes, from the few kinds of parts that are known here."""
    from langchain_core.prompts import ChatPromptTemplate, HumanMessagePromptTemplate

    kind, fields = _node(manifest)
    if kind == "PromptTemplate":
        return ChatPromptTemplate([HumanMessagePromptTemplate(prompt=_text_in(manifest))])
    if kind != "ChatPromptTemplate":
        raise _OddError(f"is a {kind}")
    messages, partials = fields.get("messages"), fields.get("partial_variables") or {}
    if not isinstance(messages, list) or not messages:
        raise _OddError("has no messages")
    given = {key: value for key, value in _texts(partials, but_empty=True).items() if value != []}
    return ChatPromptTemplate([_part_in(message) for message in messages], partial_variables=given)


def _part_in(node: Any) -> Any:
    from langchain_core.prompts import (
        AIMessagePromptTemplate,
        HumanMessagePromptTemplate,
        MessagesPlaceholder,
        SystemMessagePromptTemplate,
    )

    kind, fields = _node(node)
    if kind == "MessagesPlaceholder":
        name, most = fields.get("variable_name"), fields.get("n_messages")
        if not isinstance(name, str) or not (most is None or isinstance(most, int)):
            raise _OddError("has a placeholder without a name")
        return MessagesPlaceholder(name, optional=fields.get("optional") is True, n_messages=most)
    if kind in _FIXED:
        odd = [key for key in ("tool_calls", "additional_kwargs", "name") if fields.get(key)]
        if odd or not isinstance(fields.get("content"), str):
            raise _OddError(f"has a fixed message with {odd[0] if odd else 'content that is no text'}")
        return _FIXED[kind](content=fields["content"])
    for template in (SystemMessagePromptTemplate, HumanMessagePromptTemplate, AIMessagePromptTemplate):
        if kind == template.__name__:
            if fields.get("additional_kwargs"):
                raise _OddError("has a message with additional_kwargs")
            return template(prompt=_text_in(fields.get("prompt")))
    raise _OddError(f"has a part of the kind {kind}")


def _text_in(node: Any) -> Any:
    from langchain_core.prompts import PromptTemplate

    kind, fields = _node(node)
    text, form = fields.get("template"), fields.get("template_format", "f-string")
    if kind != "PromptTemplate" or not isinstance(text, str):
        raise _OddError("has a message that is not one text")
    if form != "f-string":  # checked here, for the parser of another form would read it first
        raise _OddError(f"has a {form} template" if isinstance(form, str) else "has a template of no known form")
    partials = _texts(fields.get("partial_variables") or {})
    try:
        return PromptTemplate.from_template(text, partial_variables=partials)
    except ValueError as error:
        raise _OddError("has a message whose braces are no plain {variables}") from error


def _node(value: Any) -> tuple[str, Mapping[str, Any]]:
    """Return the name and the fields of one serialized object."""
    known = isinstance(value, Mapping) and value.get("lc") == 1 and value.get("type") == "constructor"
    id, fields = (value.get("id"), value.get("kwargs", {})) if known else (None, None)
    if not isinstance(id, list) or not id or not all(isinstance(part, str) for part in id):
        raise _OddError("is not in LangChain's form")
    if id[0] not in ("langchain", "langchain_core") or not isinstance(fields, Mapping):
        raise _OddError(f"has a part of the kind {'.'.join(id)}")
    return id[-1], fields


def _texts(values: Any, *, but_empty: bool = False) -> dict[str, Any]:
    """Return partial values, which are texts; of a whole prompt, an optional placeholder's empty list as well."""
    good = isinstance(values, Mapping) and all(
        isinstance(key, str) and (isinstance(value, str) or (but_empty and value == []))
        for key, value in values.items()
    )
    if not good:
        raise _OddError("has a partial value that is no text")
    return dict(values)


def _with_principles(template: Template) -> AlignedPrompt:
    """Take the principles that are listed below a prompt out of its text."""
    index = template.instruction_index()
    for name, value in template.partials.items() if index is not None else ():
        heading, *lines = value.split("\n")
        below = f"{{{name}}}"
        text = template.messages[index or 0].text
        listed = heading == PRINCIPLES_HEADING and lines and all(line.startswith("- ") for line in lines)
        if listed and text.endswith(below):
            rest = {key: v for key, v in template.partials.items() if key != name}
            own = template.replace_text(index or 0, text.removesuffix(below).rstrip("\n"))
            aligned = AlignedPrompt.from_prompt(own.model_copy(update={"partials": rest}))
            return aligned.commit([Add(text=line[2:]) for line in lines], reason="listed below the prompt in LangSmith")
    return AlignedPrompt.from_prompt(template)
