"""The aligned prompt: its text, its principles, their history and the exchanges behind them. All plain JSON."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from langchain_core.messages import BaseMessage
from pydantic import Field, ValidationError, computed_field, model_validator

from langchain_model_alignment.artifacts import one_line, parse_json, read_bytes, write_text
from langchain_model_alignment.constitution import Constitution, Principle
from langchain_model_alignment.errors import AlignmentError, ArtifactError, PromptError
from langchain_model_alignment.feedback.exchanges import Exchange, Record
from langchain_model_alignment.feedback.instructions import PRINCIPLES_HEADING
from langchain_model_alignment.history import AnyEdit, Document, History, TemplateEdit, principle_key
from langchain_model_alignment.templates import Template
from langchain_model_alignment.tracing import marked

if TYPE_CHECKING:
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_core.runnables import Runnable

    from langchain_model_alignment.calls import ChatModelLike

SCHEMA_VERSION = 2
"""The version of the JSON written here; a newer one is refused."""


def as_template(prompt: "str | ChatPromptTemplate | Template") -> Template:
    """Return the template that a string, a LangChain prompt or a template stands for."""
    if isinstance(prompt, Template):
        return prompt
    return Template.of(prompt) if isinstance(prompt, str) else Template.from_prompt(prompt)


class AlignedPrompt(Record):
    """A prompt, its principles, its history and its exchanges: an immutable value, JSON in and out.

    Example:
            >>> from langchain_model_alignment.constitution import Add
            >>> aligned = AlignedPrompt.from_prompt("Give three uses for {item}.")
            >>> aligned = aligned.commit([Add(text="Name a creative use.")], reason="critique")
            >>> print(aligned.effective.text)
            Give three uses for {item}.
            <BLANKLINE>
            Follow these principles:
            - Name a creative use.
            >>> AlignedPrompt.from_json(aligned.to_json()) == aligned
            True
            >>> aligned.to_prompt().format_messages(item="a rope")[0].content.splitlines()[0]
            'Give three uses for a rope.'
    """

    schema_version: int = SCHEMA_VERSION
    kind: Literal["aligned_prompt"] = "aligned_prompt"
    history: History = Field(default_factory=History)
    exchanges: tuple[Exchange, ...] = ()

    @computed_field  # type: ignore[prop-decorator]
    @property
    def description(self) -> str:
        """The prompt's text as it stands, without principles that are not woven in yet."""
        return self.document.description.text

    @computed_field  # type: ignore[prop-decorator]
    @property
    def constitution(self) -> Constitution:
        """The principles as they stand."""
        return self.document.constitution

    @property
    def document(self) -> Document:
        """The document at the head of the history."""
        return self.history.document

    @property
    def principles(self) -> list[Principle]:
        """The principles as they stand, in order."""
        return list(self.constitution.principles)

    @property
    def effective(self) -> Template:
        """The prompt that is sent: the description and, below it, every principle that is not woven in yet."""
        document = self.document
        return document.description.with_list([p.sentence() for p in document.loose], PRINCIPLES_HEADING)

    @property
    def needs_weaving(self) -> bool:
        """Whether the description says something else than the enabled principles, so that an update has work to do."""
        document = self.document
        keys = {principle_key(p) for p in document.constitution.enabled()}
        return set(document.woven_keys) != keys or (document.woven is None and bool(keys))

    @classmethod
    def from_prompt(cls, prompt: "str | ChatPromptTemplate | Template") -> Self:
        """Begin from a plain string, a LangChain prompt, or a template.

        Raises:
            PromptError: The LangChain prompt has parts that are not text.
        """
        return cls(history=History(root=Document(base=as_template(prompt))))

    def to_prompt(self) -> "ChatPromptTemplate":
        """Return the prompt as it stands, principles included, as LangChain's `ChatPromptTemplate`."""
        return self.effective.to_prompt()

    def as_runnable(self, llm: "ChatModelLike | Runnable[Any, Any]") -> "Runnable[Any, Any]":
        """Return the prompt as it stands and the model behind it as one Runnable, which streams as the model does.

        Its runs are called `aligned_prompt` and say in their metadata which revision of the prompt answered
        (`alignment_revision`).

        Args:
            llm: What answers: a chat model or its name, a `Caller`, or any Runnable that takes messages.

        Returns:
            A Runnable from a dict with a value for each variable to what `llm` returns. Where there is one variable,
            its value alone will do.

        Raises:
            ModelNameError: The model's name means nothing here.

        Example:
            >>> from langchain_core.language_models import FakeListChatModel
            >>> aligned = AlignedPrompt.from_prompt("Give three uses for {item}.")
            >>> aligned.as_runnable(FakeListChatModel(responses=["Tie a knot."])).invoke("a rope").text
            'Tie a knot.'
        """
        from langchain_model_alignment.feedback.respond import as_answerer

        chain = self.to_prompt() | as_answerer(llm)
        return chain.with_config(marked({"run_name": "aligned_prompt"}, revision=self.history.head or "none"))

    def fill(self, inputs: Mapping[str, Any] | str | None = None) -> list[BaseMessage]:
        """Return the messages to send for an input.

        Raises:
            PromptError: The input does not fit the prompt's variables.
        """
        return self.effective.fill(inputs)

    def commit(self, edits: Iterable[AnyEdit], *, reason: str = "", author: str = "") -> Self:
        """Return the prompt with one more revision in its history.

        Raises:
            EditError: An edit cannot be applied.
        """
        time = datetime.now(UTC).isoformat(timespec="seconds")
        return self.with_history(self.history.commit(edits, reason=reason, author=author, time=time))

    def with_history(self, history: History) -> Self:
        """Return the prompt with another history, such as one that was undone by a step."""
        return self.model_copy(update={"history": history})

    def set_instructions(self, text: str, *, reason: str = "set by hand") -> Self:
        """Return the prompt with new words in the message that instructs; the other messages and the principles stay.

        Raises:
            PromptError: No message of the prompt instructs.
        """
        base = self.document.base
        index = base.instruction_index()
        if index is None:
            raise PromptError("The prompt has no message of its own to change; give a whole new prompt.")
        return self.commit([TemplateEdit(template=base.replace_text(index, text))], reason=reason)

    def set_description(self, prompt: "str | ChatPromptTemplate | Template", *, reason: str = "set by hand") -> Self:
        """Return the prompt with a new text of the person's own; the principles stay."""
        return self.commit([TemplateEdit(template=as_template(prompt))], reason=reason)

    @property
    def next_exchange_id(self) -> str:
        """The id that the next exchange gets; higher than all that are there, wherever they came from."""
        numbers = [int(e.id[1:]) for e in self.exchanges if re.fullmatch(r"e[0-9]{1,12}", e.id)]
        return f"e{1 + max(numbers, default=0)}"

    def with_exchange(self, exchange: Exchange) -> Self:
        """Return the prompt with an exchange added, or replaced where one with its id is there."""
        known = [e.id for e in self.exchanges]
        if exchange.id in known:
            at = known.index(exchange.id)
            exchanges: Sequence[Exchange] = (*self.exchanges[:at], exchange, *self.exchanges[at + 1 :])
        else:
            exchanges = (*self.exchanges, exchange)
        return self.model_copy(update={"exchanges": tuple(exchanges)})

    def to_json(self) -> str:
        """Return the whole as readable JSON."""
        text = json.dumps(self.model_dump(mode="json"), ensure_ascii=False, indent=2)
        # Half an emoji, as a cut answer may hold, is no UTF-8; JSON can say it all the same.
        return re.sub("[\ud800-\udfff]", lambda half: f"\\u{ord(half[0]):04x}", text)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ArtifactError: It is not JSON, not an aligned prompt, or of a newer version.
        """
        return cls.from_dict(parse_json(text), "The JSON")

    @classmethod
    def from_dict(cls, value: Any, where: str = "The value") -> Self:
        """Read an aligned prompt from the plain values of its JSON.

        Raises:
            ArtifactError: It is not an aligned prompt, or of a newer version.
        """
        if not isinstance(value, dict) or value.get("kind") != "aligned_prompt":
            raise ArtifactError(f"{where} is not an aligned prompt; give one written by AlignedPrompt.to_json or save.")
        version = value.get("schema_version")
        if not isinstance(version, int) or not 1 <= version <= SCHEMA_VERSION:
            raise ArtifactError(
                f"{where} has schema version {version!r}, and this release reads up to {SCHEMA_VERSION}; "
                "update langchain-model-alignment."
            )
        try:
            return cls.model_validate(value)
        except (ValidationError, AlignmentError) as error:
            raise ArtifactError(f"{where} is a damaged aligned prompt: {one_line(error)}.") from error

    def to_yaml(self) -> str:
        """Return the whole as YAML, which holds what the JSON holds."""
        from langchain_model_alignment.forms import dump_yaml

        return dump_yaml(self.model_dump(mode="json"))

    @classmethod
    def from_yaml(cls, text: str | bytes) -> Self:
        """Read what `to_yaml` wrote.

        Raises:
            ArtifactError: It is not YAML, not an aligned prompt, or of a newer version.
        """
        from langchain_model_alignment.forms import parse_yaml

        return cls.from_dict(parse_yaml(text), "The YAML")

    def to_markdown(self) -> str:
        """Return the prompt, its principles and the story of both as Markdown for a person to read and edit.

        Raises:
            PromptError: There is no prompt yet.
        """
        from langchain_model_alignment.feedback.markdown import prompt_to_markdown

        return prompt_to_markdown(self.history, self.effective)

    @classmethod
    def from_markdown(cls, text: str, where: str = "The Markdown") -> Self:
        """Read the person's own prompt and its principles from Markdown; the history begins anew, without exchanges.

        Texts may have been edited, and principles added or dropped, by hand: a new one needs only a number in front.
        The prompt as it is sent and the table of the history are there for reading, and are not read back.

        Raises:
            ArtifactError: It has no prompt, or something in it that this release cannot read.
        """
        from langchain_model_alignment.feedback.markdown import document_from_markdown

        root = document_from_markdown(text, where)
        # Without its exchanges, what made a principle names nothing, and would soon name something else.
        bare = [p.model_copy(update={"evidence": ()}) for p in root.constitution]
        constitution = root.constitution.model_copy(update={"principles": tuple(bare)})
        return cls(history=History(root=root.model_copy(update={"constitution": constitution})))

    def save(self, path: str | Path) -> Path:
        """Write to a file: YAML to `.yaml` or `.yml`, Markdown to `.md`, else JSON.

        The old file stays whole until the new one is. Markdown keeps the prompt and the principles only.

        Raises:
            ArtifactError: The file cannot be written.
            PromptError: Markdown is asked for, and there is no prompt yet.
        """
        from langchain_model_alignment.forms import form_of

        form = form_of(path)
        if form == "markdown":
            return write_text(path, self.to_markdown())
        return write_text(path, self.to_yaml() if form == "yaml" else self.to_json() + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file that `save` wrote, in the form that its suffix says.

        Raises:
            ArtifactError: The file is not there, not readable, or not an aligned prompt.
        """
        from langchain_model_alignment.forms import decoded, form_of, parse_yaml

        form, raw, where = form_of(path), read_bytes(path), str(path)
        if form == "markdown":
            return cls.from_markdown(decoded(raw, where), where)
        return cls.from_dict(parse_yaml(raw, where) if form == "yaml" else parse_json(raw, where), where)

    @model_validator(mode="before")
    @classmethod
    def _check_computed(cls, value: Any) -> Any:
        """Take out what is computed, so that it can be read back, and refuse it where it was changed by hand."""
        if not isinstance(value, dict) or not {"description", "constitution"} & set(value):
            return value
        given = {name: value[name] for name in ("description", "constitution") if name in value}
        rest = {name: v for name, v in value.items() if name not in given}
        if "history" not in rest:  # written by hand: a description and principles, no past yet
            root = Document.model_validate(
                {"base": Template.of(given.get("description", "")), "constitution": given.get("constitution") or {}}
            )
            return {**rest, "history": History(root=root)}
        document = History.model_validate(rest["history"]).document
        same = given.get("description", document.description.text) == document.description.text
        if "constitution" in given:
            same = same and Constitution.model_validate(given["constitution"]) == document.constitution
        if not same:
            raise ValueError(
                "its description or constitution was changed by hand and no longer agrees with its history; "
                "edit through AlignedPrompt.commit, or take the history out to begin anew"
            )
        return rest
