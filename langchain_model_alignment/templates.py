"""Prompts as messages with {variables}: parse, fill, and check that a rewrite kept them.

A `{name}` whose name is an identifier is a variable; every other brace is text. Values are filled in as they
are and never read as templates again, so nothing a user or a model writes can become one.
"""

import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, convert_to_messages
from langchain_core.prompts import (
    AIMessagePromptTemplate,
    ChatPromptTemplate,
    HumanMessagePromptTemplate,
    MessagesPlaceholder,
    SystemMessagePromptTemplate,
)
from langchain_core.prompts.few_shot import FewShotChatMessagePromptTemplate
from langchain_core.prompts.string import PromptTemplateFormat
from pydantic import BaseModel, ConfigDict

from langchain_model_alignment.errors import PromptError

_VARIABLE = re.compile(r"\{([^\W\d]\w*)\}")
Role = Literal["system", "human", "ai", "placeholder"]
_MESSAGES: dict[str, type[BaseMessage]] = {"system": SystemMessage, "human": HumanMessage, "ai": AIMessage}
_TEMPLATES: dict[str, Any] = {
    "system": SystemMessagePromptTemplate,
    "human": HumanMessagePromptTemplate,
    "ai": AIMessagePromptTemplate,
}


def variables_in(text: str) -> tuple[str, ...]:
    """Return the names of the variables in a text, each once, in order.

    Example:
        >>> variables_in('Answer {question} as {"json": {0}} for {name} and {question}.')
        ('question', 'name')
    """
    return tuple(dict.fromkeys(name for name in _VARIABLE.findall(text) if name.isidentifier()))


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
        unknown = [name for name in inputs if name not in {*wanted, *optional, *self.partials}]
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
            before = self.partials[self.listed]
            first = before.split("\n", 1)[0]
            grown = f"{before}\n{listing.split(chr(10), 1)[1]}" if first == heading else f"{before}\n\n{listing}"
            return self.model_copy(update={"partials": {**self.partials, self.listed: grown}})
        taken = {*self.variables, *self.partials, *self.literals}
        names = itertools.chain(["principles"], (f"principles_{i}" for i in itertools.count(2)))
        name = next(n for n in names if n not in taken)
        old = self.messages[index].text
        listed = self.replace_text(index, f"{old}\n\n{{{name}}}" if old.strip() else f"{{{name}}}")
        return listed.model_copy(update={"partials": {**self.partials, name: listing}, "listed": name})

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

    def to_prompt(self) -> ChatPromptTemplate:
        """Return the same prompt as LangChain's `ChatPromptTemplate`, with every other brace escaped."""
        messages: list[Any] = []
        for message in self.messages:
            if message.role == "placeholder":
                messages.append(MessagesPlaceholder(message.text, optional=message.optional))
            else:
                messages.append(_TEMPLATES[message.role].from_template(self._escaped(message.text)))
        prompt = ChatPromptTemplate(messages)
        return prompt.partial(**self.partials) if self.partials else prompt

    @classmethod
    def from_prompt(cls, prompt: ChatPromptTemplate) -> Self:
        """Read a `ChatPromptTemplate`: its messages, few-shot examples, placeholders and partials survive.

        Raises:
            PromptError: A message is not text, or is a Jinja2 or mustache template.
        """
        messages: list[PromptMessage] = []
        literals: set[str] = set()
        variables: set[str] = set()
        for part in prompt.messages:
            for message, own in _read_part(part):
                messages.append(message)
                if message.role != "placeholder":
                    literals.update(set(variables_in(message.text)) - own)
                    variables |= own
        both = literals & variables
        if both:
            raise PromptError(
                f"The prompt has {', '.join(sorted(both))} both as a variable and as text in double braces; rename one."
            )
        partials: dict[str, str] = {}
        for name, value in prompt.partial_variables.items():
            given = value() if callable(value) else value
            if isinstance(given, str):
                partials[name] = given
            elif given:  # LangChain keeps an empty list for each optional placeholder
                raise PromptError(f"The partial {name!r} is not text, which cannot be aligned; give it at call time.")
        return cls(messages=tuple(messages), partials=partials, literals=tuple(sorted(literals)))

    def _with_listing(self, text: str) -> str:
        return text.replace(f"{{{self.listed}}}", self.partials[self.listed]) if self.listed else text

    def _fill_text(self, text: str, values: Mapping[str, Any]) -> str:
        def value(match: re.Match[str]) -> str:
            name = match[1]
            return match[0] if name in self.literals else str(values[name])

        return _VARIABLE.sub(value, text)

    def _escaped(self, text: str) -> str:
        parts: list[str] = []
        end = 0
        for match in _VARIABLE.finditer(text):
            if match[1] not in self.literals:
                parts += [_doubled(text[end : match.start()]), match[0]]
                end = match.end()
        return "".join([*parts, _doubled(text[end:])])


def check_variables(old: str, new: str) -> str | None:
    """Return what a rewritten text did to the variables and literals of the old one, or nothing when it kept them.

    Variables must be the same set, each at least as often as once; JSON-like literals (anything else in braces)
    must stand unchanged.

    Example:
        >>> check_variables("Sum up {text}.", "Sum up the text for {audience}.")
        'it drops the variable {text} and invents the variable {audience}'
        >>> check_variables("Sum up {text}.", "Briefly sum up {text}.")
    """
    was, now = set(variables_in(old)), set(variables_in(new))
    faults = [f"drops the variable {{{name}}}" for name in variables_in(old) if name not in now]
    faults += [f"invents the variable {{{name}}}" for name in variables_in(new) if name not in was]
    kept = Counter(literals_in(new))
    faults += [f"changes or drops the literal {literal}" for literal in Counter(literals_in(old)) if not kept[literal]]
    return f"it {' and '.join(faults)}" if faults else None


def literals_in(text: str) -> list[str]:
    """Return what stands in braces or backticks and is not a variable: JSON, code and formats to keep as they are.

    Example:
        >>> literals_in('Reply {"a": {"b": 1}} for {name}; use `x = {}` and {0}.')
        ['{"a": {"b": 1}}', '`x = {}`', '{0}']
    """
    found: list[str] = []
    position = 0
    while position < len(text):
        char = text[position]
        end = _literal_end(text, position) if char in "{`" else None
        if end is None:
            position += 1
            continue
        piece = text[position:end]
        if not _VARIABLE.fullmatch(piece):
            found.append(piece)
        position = end
    return found


def _literal_end(text: str, start: int) -> int | None:
    if text[start] == "`":
        close = text.find("`", start + 1)
        return close + 1 if close > start + 1 else None
    depth = 0
    for index in range(start, min(len(text), start + 4000)):
        depth += (text[index] == "{") - (text[index] == "}")
        if depth == 0:
            return index + 1
    return None


def _doubled(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _read_part(part: Any) -> list[tuple[PromptMessage, set[str]]]:
    if isinstance(part, MessagesPlaceholder):
        return [(PromptMessage(role="placeholder", text=part.variable_name, optional=part.optional), set())]
    if isinstance(part, FewShotChatMessagePromptTemplate) and part.examples is not None and not part.input_variables:
        return [_read_message(message) for message in part.format_messages()]
    if isinstance(part, BaseMessage):
        return [_read_message(part)]
    role = next((r for r, kind in _TEMPLATES.items() if isinstance(part, kind)), None)
    inner = getattr(part, "prompt", None)
    template, kind = getattr(inner, "template", None), getattr(inner, "template_format", None)
    if role is None or not isinstance(template, str) or kind != _F_STRING:
        raise PromptError(
            f"The prompt has a part of the kind {type(part).__name__} ({kind or 'not text'}), which cannot be aligned; "
            "use plain text messages with {variables} in f-string format."
        )
    own = set(getattr(inner, "input_variables", [])) | set(getattr(inner, "partial_variables", {}))
    text = template.replace("{{", "{").replace("}}", "}")
    return [(PromptMessage.model_validate({"role": role, "text": text}), own)]


_F_STRING: PromptTemplateFormat = "f-string"


def _read_message(message: BaseMessage) -> tuple[PromptMessage, set[str]]:
    role = message.type
    if role not in _MESSAGES or not isinstance(message.content, str):
        raise PromptError(f"The prompt has a fixed {role} message that is not plain text, which cannot be aligned.")
    return PromptMessage.model_validate({"role": role, "text": message.content}), set()
