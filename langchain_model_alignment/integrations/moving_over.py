"""What model-alignment 0.3 made, read as plain values: a checkpoint of its labeler, and the data of a single run.

That library saves nothing itself. In its environment `json.dump(checkpoint, file, default=vars)` writes a checkpoint,
and the same with `run.data` a prompt. A pickle is never opened here, since opening one runs whatever is in it.
"""

import string
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from langchain_model_alignment.artifacts import one_line, parse_json, read_bytes
from langchain_model_alignment.constitution import Add
from langchain_model_alignment.errors import ArtifactError, DataWarning
from langchain_model_alignment.feedback.exchanges import Exchange
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.history import TemplateEdit, principle_key
from langchain_model_alignment.labeling.labeler import Labeler
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.task import LabelingTask
from langchain_model_alignment.templates import Template
from langchain_model_alignment.wording import says

__all__ = ["prompt_from_model_alignment", "rulebook_from_model_alignment"]

_REASON = "moved over from model-alignment"
_HOW = "in the environment of model-alignment write it with json.dump(…, file, default=vars)"


class _Saved(BaseModel):
    """Attributes of an object of model-alignment; those that nothing is made of are left out."""

    model_config = ConfigDict(extra="ignore")


class _Attribute(_Saved):
    id: str = ""
    value: str
    label: str


class _Checkpoint(_Saved):
    attributes: list[_Attribute]


class _Turn(_Saved):
    is_user: bool = False
    text: str = ""
    vars: dict[str, Any] = {}


class _Prompt(_Saved):
    preamble: str
    original_preamble: str = ""
    principles: list[str] | None = None
    conversations: list[list[_Turn | list[_Turn]]] = []


S = TypeVar("S", bound=_Saved)


def rulebook_from_model_alignment(source: str | Path | Mapping[str, Any] | Sequence[Any], maker: Labeler) -> Rulebook:
    """Return the rulebook that a `LabelerCheckpoint` of model-alignment amounts to.

    A checkpoint does not say which task it is of: the labeler does, made with the arguments of the old one and a chat
    model in the place of each helper. The old id of an attribute is in the reason of its principle.

    Args:
        source: The path of a JSON file, or its value: the checkpoint as a dict, or the list of its attributes.
        maker: The labeler that is to go on with it.

    Returns:
        The rulebook, untrained: `maker.train_step` improves it, `maker.infer_checkpoint` labels by it.

    Raises:
        ArtifactError: The file is not there, is no JSON (such as a pickle) or no checkpoint, or a label is none of the
            labeler's.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> maker = Labeler(["comment"], "isHate", [True, False], train_model=FakeListChatModel(responses=["True"]))
        >>> saved = {"attributes": [{"id": "62194", "value": "It insults a group.", "label": "True"}]}
        >>> rulebook = rulebook_from_model_alignment(saved, maker)
        >>> [(p.label, p.text, p.reason) for p in rulebook.enabled()]
        [('True', 'It insults a group.', 'moved over from model-alignment, attribute 62194')]
    """
    value, where = _plain(source)
    saved = _read(
        _Checkpoint, {"attributes": value} if isinstance(value, list | tuple) else value, where, "labeler checkpoint"
    )
    attributes = [a for a in saved.attributes if a.value.strip()]
    _warn_of_empty(len(saved.attributes) - len(attributes), where)
    adds = [
        Add(
            text=attribute.value,
            label=_label(maker.task, attribute.label, where),
            reason=f"{_REASON}, attribute {attribute.id}" if attribute.id else _REASON,
        )
        for attribute in attributes
    ]
    return maker.rulebook({}).apply(adds)


def prompt_from_model_alignment(source: str | Path | Mapping[str, Any]) -> AlignedPrompt:
    """Return the aligned prompt that the data of an `AlignableSingleRun` of model-alignment amounts to.

    The prompt begins as the person's own text; the principles, and the rewritten text where there is one, are
    revisions of it, so that each can be undone. A principle that the rewritten text does not say is listed below it,
    as always here; the old library left it out of the prompt. A text that says none of them may have been changed by
    feedback directly, so it counts as the person's own, and a later update keeps all of it.

    Args:
        source: The path of a JSON file, or its value: the `ConstitutionalPrompt` as a dict.

    Returns:
        The prompt, with its answered inputs as exchanges; `AlignableSingleRun(model, data=…)` goes on with it.

    Raises:
        ArtifactError: The file is not there, is no JSON (such as a pickle) or no prompt, or its rewritten text has
            other variables than the person's own.
        PromptError: A name stands in the text both as a variable and in double braces.

    Example:
        >>> saved = {
        ...     "preamble": "Give three uses for {item}. Be brief.", "original_preamble": "Give three uses for {item}.",
        ...     "principles": ["Be brief.", "Number the uses."], "conversations": [],
        ... }
        >>> aligned = prompt_from_model_alignment(saved)
        >>> print(aligned.effective.text)
        Give three uses for {item}. Be brief.
        <BLANKLINE>
        Follow these principles:
        - Number the uses.
    """
    value, where = _plain(source)
    saved = _read(_Prompt, value, where, "single-run prompt")
    own, text = _template(saved.original_preamble or saved.preamble), _template(saved.preamble)
    principles = [p for p in saved.principles or () if p.strip()]
    _warn_of_empty(len(saved.principles or ()) - len(principles), where)
    aligned = AlignedPrompt.from_prompt(own)
    if principles:
        aligned = aligned.commit([Add(text=p) for p in principles], reason=_REASON)
    if text != own:
        _check_variables(own, text, where)
        said = tuple(principle_key(p) for p in aligned.principles if says(text.text, p.sentence()))
        edit = TemplateEdit(template=text, woven=said or None)
        aligned = aligned.commit([edit], reason=f"{_REASON}: the rewritten text")
    for exchange in _exchanges(saved.conversations):
        aligned = aligned.with_exchange(exchange)
    return aligned


def _plain(source: Any) -> tuple[Any, str]:
    """The value of a file, or the value given, and what to call it in an error."""
    if not isinstance(source, str | Path):
        return source, "The value"
    raw, where = read_bytes(source), str(source)
    try:
        return parse_json(raw, where), where
    except ArtifactError as error:
        raise ArtifactError(f"{where} is not JSON, and a pickle is never opened here; {_HOW}.") from error


def _read(kind: type[S], value: Any, where: str, name: str) -> S:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise ArtifactError(f"{where} is no {name} of model-alignment 0.3 ({one_line(error)}); {_HOW}.") from error


def _label(task: LabelingTask, label: str, where: str) -> str:
    """The label that the old library wrote as this text: it wrote the number 1.0 as 1.0, where this one writes 1."""
    written = [str(value) for value in task.label_values]
    index = written.index(label) if label in written else task.index_of(label)
    if index is None:
        raise ArtifactError(
            f"{where} has principles for the label {label!r}, which is none of the labeler's; its labels are: "
            f"{', '.join(task.labels[:20])}."
        )
    return task.labels[index]


def _template(text: str) -> Template:
    """A prompt of the old library, which reads it as a format string: double braces are single ones.

    A text that `str.format` could not read, such as one with JSON in it, is taken as it is.
    """
    try:
        fields = [part[1:] for part in string.Formatter().parse(text) if part[1] is not None]
    except ValueError:
        return Template.of(text)
    if any(spec or conversion or not str(name).isidentifier() for name, spec, conversion in fields):
        return Template.of(text)
    from langchain_core.prompts import PromptTemplate

    return Template.from_prompt(PromptTemplate.from_template(text))


def _check_variables(own: Template, text: Template, where: str) -> None:
    odd = sorted(set(own.variables) ^ set(text.variables))
    if odd:
        names = ", ".join(f"{{{name}}}" for name in odd)
        raise ArtifactError(
            f"The rewritten text in {where} drops or invents {names}; put that right in its preamble, or set the "
            "preamble to the original_preamble to go on without the rewritten text."
        )


def _exchanges(conversations: Iterable[Sequence[_Turn | list[_Turn]]]) -> list[Exchange]:
    """The inputs that were answered; a conversation that a failed call left half-made holds none."""
    found: list[Exchange] = []
    for conversation in conversations:
        before: str | None = None
        for user, answers in _turns(conversation):
            texts = [turn.text for answer in answers for turn in (answer if isinstance(answer, list) else [answer])]
            if not texts:
                continue
            chosen = next((answer.text for answer in answers if isinstance(answer, _Turn)), None)
            exchange = Exchange(
                id=f"e{len(found) + 1}",
                inputs=user.vars if before is None else {},
                candidates=tuple(texts),
                response=chosen,
                after=before,
                message=None if before is None else user.text,
            )
            found.append(exchange)
            before = exchange.id
    return found


def _turns(conversation: Sequence[_Turn | list[_Turn]]) -> list[tuple[_Turn, list[_Turn | list[_Turn]]]]:
    """Each turn of the person with the answers to it; candidates that were committed together are one list."""
    turns: list[tuple[_Turn, list[_Turn | list[_Turn]]]] = []
    for turn in conversation:
        if isinstance(turn, _Turn) and turn.is_user:
            turns.append((turn, []))
        elif turns:
            turns[-1][1].append(turn)
    return turns


def _warn_of_empty(number: int, where: str) -> None:
    if number:
        text = f"{where} holds principles without words, which are left out: {number} of them."
        warnings.warn(text, DataWarning, stacklevel=3)
