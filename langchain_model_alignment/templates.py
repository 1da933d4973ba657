"""Prompts as messages with {variables}: parse, fill, and check that a rewrite kept them.

A `{name}` whose name is an identifier is a variable; every other brace is text. Values are filled in as they
are and never read as templates again, so nothing a user or a model writes can become one.
"""

import itertools
import re
import string
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, convert_to_messages
from pydantic import BaseModel, ConfigDict, model_validator

from langchain_model_alignment.errors import PromptError
from langchain_model_alignment.literals import VARIABLE, variables_in

Role = Literal["system", "human", "ai", "placeholder"]
if TYPE_CHECKING:  # LangChain's prompts take a tenth of a second to import, and few runs convert any
    from langchain_core.prompts import ChatPromptTemplate, PromptTemplate

_MESSAGES: dict[str, type[BaseMessage]] = {"system": SystemMessage, "human": HumanMessage, "ai": AIMessage}


class PromptMessage(BaseModel):
    """One message of a prompt; of a placeholder, `text` is the name of the list of messages that goes there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    text: str
    optional: bool = False
    """Of a placeholder: whether it may be left empty."""


class Template(BaseModel):
    """A prompt: messages with variables, and values already given for some of them.

    Example:
        >>> template = Template.of("Give three uses for {item}. Answer as {'uses': []}.")
        >>> template.variables
        ('item',)
        >>> template.fill({"item": "{scissors}"})[0].content
        "Give three uses for {scissors}. Answer as {'uses': []}."
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    messages: tuple[PromptMessage, ...] = ()
    partials: dict[str, str] = {}
    """Values that are fixed for now; they are no longer asked for."""
    literals: tuple[str, ...] = ()
    """Names that stand in braces as plain text, as `{{name}}` does in a LangChain prompt."""
    listed: str | None = None
    """The name of the partial that holds a list of sentences below the instructions, where there is one."""

    @classmethod
    def of(cls, text: str) -> Self:
        """Build the one-message prompt that a plain string is."""
        return cls(messages=(PromptMessage(role="human", text=text),))

    @model_validator(mode="after")
    def _list_is_there(self) -> Self:
        if self.listed is not None and self.listed not in self.partials:
            raise ValueError(f"the prompt lists principles in {self.listed!r}, which it does not have")
        return self

    @property
    def variables(self) -> tuple[str, ...]:
        """The names that an input must give, in order of appearance; optional placeholders are not among them."""
        names: dict[str, None] = {}
        for message in self.messages:
            if message.role == "placeholder":
                found: Sequence[str] = () if message.optional else (message.text,)
            else:
                found = [n for n in variables_in(message.text) if n not in self.literals]
            names.update(dict.fromkeys(found))
        return tuple(name for name in names if name not in self.partials)

    @property
    def text(self) -> str:
        """The prompt as a person reads it: the text itself for one message, else each under its role."""
        texts = [f"{{{m.text}}}" if m.role == "placeholder" else self._with_listing(m.text) for m in self.messages]
        if len(self.messages) == 1 and self.messages[0].role == "human":
            return texts[0]
        return "\n\n".join(f"[{m.role}] {text}" for m, text in zip(self.messages, texts, strict=True))

    def fill(self, inputs: Mapping[str, Any] | str | None = None) -> list[BaseMessage]:
        """Return the messages with every variable replaced by its value, as it is.

        Args:
            inputs: A value for each variable; a plain string where there is one variable; nothing where there is none.

        Raises:
            PromptError: A variable has no value, or a value has no variable.
        """
        values = {**self.partials, **self.check_inputs(inputs)}
        filled: list[BaseMessage] = []
        for message in self.messages:
            if message.role == "placeholder":
                filled.extend(convert_to_messages(values.get(message.text, [])))
            else:
                filled.append(_MESSAGES[message.role](content=self._fill_text(message.text, values)))
        return filled

    def check_inputs(self, inputs: Mapping[str, Any] | str | None) -> dict[str, Any]:
        """Return the inputs as a dict with exactly the variables of the prompt.

        Raises:
            PromptError: A variable has no value, or a value has no variable.
        """
        wanted = self.variables
        listed = ", ".join(f"{{{name}}}" for name in wanted) or "none"
        if inputs is None:
            inputs = {}
        if isinstance(inputs, str):
            if len(wanted) != 1:
                raise PromptError(
                    f"A plain string fits a prompt with one variable, but this one has {len(wanted)} ({listed}); "
                    "give a dict with a value for each."
                )
            inputs = {wanted[0]: inputs}
        optional = {m.text for m in self.messages if m.role == "placeholder" and m.optional}
        missing = [name for name in wanted if name not in inputs]
        given = {name for name in self.partials if name != self.listed}
        unknown = [name for name in inputs if name not in {*wanted, *optional, *given}]
        if missing:
            raise PromptError(f"The input lacks a value for {', '.join(missing)}; the prompt has: {listed}.")
        if unknown:
            raise PromptError(f"The input names {', '.join(map(str, unknown))}, but the prompt has: {listed}.")
        return dict(inputs)

    def with_list(self, sentences: Sequence[str], heading: str) -> Self:
        """Return the prompt with sentences listed below its instructions.

        The list is the value of a partial variable, so braces in a sentence are text. It stands below the first
        system message, else below the first human one.

        Raises:
            PromptError: The prompt has no message of its own.
        """
        if not sentences:
            return self
        index = self.instruction_index()
        if index is None:
            raise PromptError("The prompt has no message of its own to list principles below; add a system message.")
        listing = "\n".join([heading, *(f"- {sentence}" for sentence in sentences)])
        if self.listed is not None:
            blocks = self.partials[self.listed].split("\n\n")
            known = next((i for i, block in enumerate(blocks) if block.startswith(f"{heading}\n")), None)
            if known is None:
                blocks.append(listing)
            else:
                blocks[known] = f"{blocks[known]}\n{listing.split(chr(10), 1)[1]}"
            return self.model_copy(update={"partials": {**self.partials, self.listed: "\n\n".join(blocks)}})
        placeholders = {m.text for m in self.messages if m.role == "placeholder"}
        taken = {*self.variables, *self.partials, *self.literals, *placeholders}
        names = itertools.chain(["principles"], (f"principles_{i}" for i in itertools.count(2)))
        name = next(n for n in names if n not in taken)
        old = self.messages[index].text
        listed = self.replace_text(index, f"{old}\n\n{{{name}}}" if old.strip() else f"{{{name}}}")
        return listed.model_copy(update={"partials": {**self.partials, name: listing}, "listed": name})

    @property
    def instructions(self) -> str:
        """The text of the message that instructs; empty where there is none."""
        index = self.instruction_index()
        return "" if index is None else self.messages[index].text

    def instruction_index(self) -> int | None:
        """Return the index of the message that instructs: the first system message, else the first human one."""
        for role in ("system", "human"):
            for index, message in enumerate(self.messages):
                if message.role == role:
                    return index
        return None

    def replace_text(self, index: int, text: str) -> Self:
        """Return the prompt with the text of one message replaced."""
        message = self.messages[index].model_copy(update={"text": text})
        return self.model_copy(update={"messages": (*self.messages[:index], message, *self.messages[index + 1 :])})

    def to_prompt(self) -> "ChatPromptTemplate":
        """Return the same prompt as LangChain's `ChatPromptTemplate`, with every other brace escaped."""
        from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder

        kinds = _template_kinds()
        messages: list[Any] = []
        for message in self.messages:
            if message.role == "placeholder":
                messages.append(MessagesPlaceholder(message.text, optional=message.optional))
            else:
                messages.append(kinds[message.role].from_template(self._escaped(message.text)))
        prompt = ChatPromptTemplate(messages)
        return prompt.partial(**self.partials) if self.partials else prompt

    @classmethod
    def from_prompt(cls, prompt: "ChatPromptTemplate | PromptTemplate") -> Self:
        """Read a LangChain prompt: its messages, few-shot examples, placeholders and partials survive.

        Raises:
            PromptError: A message is not text, or is a Jinja2 or mustache template.
        """
        from langchain_core.prompts import ChatPromptTemplate, PromptTemplate

        if isinstance(prompt, PromptTemplate):
            return cls.from_prompt(ChatPromptTemplate([_template_kinds()["human"](prompt=prompt)]))
        if not isinstance(prompt, ChatPromptTemplate):
            raise PromptError(f"A {type(prompt).__name__} is not a prompt; give a string or a ChatPromptTemplate.")
        parts = [message for part in prompt.messages for message in _read_part(part)]
        literals = {name for part in parts for name in part.literals}
        both = literals & {name for part in parts for name in part.variables}
        if both:
            raise PromptError(
                f"The prompt has {', '.join(sorted(both))} both as a variable and as text in double braces; rename one."
            )
        partials: dict[str, str] = {}
        given = {**prompt.partial_variables, **{n: v for part in parts for n, v in part.partials.items()}}
        for name, value in given.items():
            value = value() if callable(value) else value
            if isinstance(value, str):
                partials[name] = value
            elif value:  # LangChain keeps an empty list for each optional placeholder
                raise PromptError(f"The partial {name!r} is not text, which cannot be aligned; give it at call time.")
        return cls(messages=tuple(p.message for p in parts), partials=partials, literals=tuple(sorted(literals)))

    def _with_listing(self, text: str) -> str:
        return text.replace(f"{{{self.listed}}}", self.partials[self.listed]) if self.listed else text

    def _fill_text(self, text: str, values: Mapping[str, Any]) -> str:
        def value(match: re.Match[str]) -> str:
            name = match[1]
            return match[0] if name in self.literals or not name.isidentifier() else str(values[name])

        return VARIABLE.sub(value, text)

    def _escaped(self, text: str) -> str:
        parts: list[str] = []
        end = 0
        for match in VARIABLE.finditer(text):
            if match[1] not in self.literals and match[1].isidentifier():
                parts += [_doubled(text[end : match.start()]), match[0]]
                end = match.end()
        return "".join([*parts, _doubled(text[end:])])


def _doubled(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


class _Part(NamedTuple):
    """A message read from a LangChain prompt."""

    message: PromptMessage
    variables: frozenset[str] = frozenset()
    literals: frozenset[str] = frozenset()
    partials: Mapping[str, Any] = {}


def _template_kinds() -> dict[str, Any]:
    from langchain_core.prompts import (
        AIMessagePromptTemplate,
        HumanMessagePromptTemplate,
        SystemMessagePromptTemplate,
    )

    return {
        "system": SystemMessagePromptTemplate,
        "human": HumanMessagePromptTemplate,
        "ai": AIMessagePromptTemplate,
    }


def _read_part(part: Any) -> list[_Part]:
    from langchain_core.prompts import FewShotChatMessagePromptTemplate, MessagesPlaceholder, PromptTemplate

    if isinstance(part, MessagesPlaceholder):
        if part.n_messages is not None:
            raise PromptError(
                f"The placeholder {part.variable_name} keeps the last {part.n_messages} messages only, which cannot be "
                "aligned; cut the list where it is filled in."
            )
        message = PromptMessage(role="placeholder", text=part.variable_name, optional=part.optional)
        return [_Part(message)]
    if isinstance(part, FewShotChatMessagePromptTemplate) and part.examples is not None and not part.input_variables:
        return [_read_message(message) for message in part.format_messages()]
    if isinstance(part, BaseMessage):
        return [_read_message(part)]
    role = next((r for r, kind in _template_kinds().items() if isinstance(part, kind)), None)
    inner = getattr(part, "prompt", None)
    more = getattr(part, "additional_kwargs", None)
    if role is None or more or not isinstance(inner, PromptTemplate) or inner.template_format != "f-string":
        raise PromptError(
            f"The prompt has a part of the kind {type(part).__name__} that cannot be aligned; "
            "use plain text messages with {variables} in f-string format."
        )
    return [_read_template(role, inner)]


def _read_template(role: str, prompt: "PromptTemplate") -> _Part:
    text, literal_text, fields = "", "", set()
    for literal, field, spec, conversion in string.Formatter().parse(prompt.template):
        text, literal_text = text + literal, literal_text + literal
        if field is None:
            continue
        if spec or conversion or not field.isidentifier():
            raise PromptError(f"The prompt formats {{{field}}} in a special way; use plain {{variables}} to align it.")
        text += f"{{{field}}}"
        fields.add(field)
    message = PromptMessage.model_validate({"role": role, "text": text})
    literals = frozenset(variables_in(literal_text)) | (frozenset(variables_in(text)) - fields)
    return _Part(message, frozenset(fields), literals, prompt.partial_variables)


def _read_message(message: BaseMessage) -> _Part:
    role = message.type
    more = message.name or message.additional_kwargs or getattr(message, "tool_calls", None)
    if role not in _MESSAGES or not isinstance(message.content, str) or more:
        raise PromptError(
            f"The prompt has a fixed {role} message that is more than plain text, which cannot be aligned; put it into "
            "a list of messages that fills a placeholder."
        )
    read = PromptMessage.model_validate({"role": role, "text": message.content})
    return _Part(read, literals=frozenset(variables_in(message.content)))
