"""The rulebook: a task, the principles for its labels, and how a model's answers are read with them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from langchain_model_alignment.artifacts import json_of, read_as, read_json, write_text
from langchain_model_alignment.constitution import Add, Constitution, Principle, Value, digest
from langchain_model_alignment.errors import ArtifactError, DataError, EditError
from langchain_model_alignment.labeling import instructions, precedents
from langchain_model_alignment.labeling.calibration import Calibration
from langchain_model_alignment.labeling.precedents import AddPrecedent, Precedent, RulebookEdit
from langchain_model_alignment.labeling.scoring import MOST_CHECKS, codes_for
from langchain_model_alignment.labeling.task import LabelingTask

if TYPE_CHECKING:
    from langchain_core.prompts import ChatPromptTemplate

__all__ = ["Evidence", "Layout", "Rulebook", "Score", "Scoring"]

Layout = Literal["row", "question"]
"""What the human message holds: the row alone, or the row and the question again."""
Scoring = Literal["text", "logprob", "checks"]
"""How labels are read: the words of an answer; the probabilities of its first token; or those of a checklist, where of
each principle it is said first whether it is true of the row, which small models do better than to weigh them."""


class Evidence(Value):
    """How often a principle decided a row in training, and how often rightly."""

    decided: int = 0
    right: int = 0


class Score(Value):
    """What a rulebook reached on validation rows."""

    metric: str
    value: float
    rows: int
    data: str = ""
    """Fingerprint of those rows."""


class Rulebook(Value):
    """A classification prompt made of principles; plain JSON that goes to a file and back.

    Example:
        >>> task = LabelingTask(input_names=["comment"], label_name="toxic", label_values=["yes", "no"])
        >>> rulebook = Rulebook.of(task, {"yes": ["It insults a person."]})
        >>> print(rulebook.system_text())
        What is the toxic?
        Answer with one label and nothing else. Labels: yes, no.
        <BLANKLINE>
        Principles:
        1. yes: It insults a person.
    """

    version: Literal[1] = 1
    task: LabelingTask
    constitution: Constitution = Constitution()
    precedents: tuple[Precedent, ...] = ()
    """Training rows that are shown with their labels, where principles alone do not carry a model."""
    scoring: Scoring = "text"
    layout: Layout = "row"
    calibration: Calibration | None = None
    """Bias per label and weight per principle, learned on training rows; only for scoring by log probabilities."""
    threshold: float | None = None
    """Abstain where the confidence is below it."""
    evidence: dict[str, Evidence] = Field(default_factory=dict)
    """By principle id."""
    score: Score | None = None
    steps: int = 0
    """Training steps behind it, so that the next one looks at other rows."""

    @model_validator(mode="after")
    def _labels_are_the_tasks(self) -> Self:
        for principle in self.constitution:
            if principle.label is not None and principle.label not in self.task.labels:
                raise DataError(
                    f"The principle {principle.id} has the label {principle.label!r}, which is none of this task; its "
                    f"labels are: {', '.join(self.task.labels[:20])}."
                )
        return self

    @model_validator(mode="after")
    def _precedents_fit(self) -> Self:
        adds = [AddPrecedent(**p.model_dump()) for p in self.precedents]
        try:
            precedents.changed((), adds, self.task.labels)
        except EditError as error:
            raise ValueError(str(error).removesuffix(".")) from None
        return self

    @model_serializer(mode="wrap")
    def _plain(self, plain: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def]  # it would be the schema
        """Leave precedents out where there are none: such a file is what it was before there could be any."""
        value = plain(self)
        if not self.precedents:
            value.pop("precedents", None)
        return value

    @classmethod
    def of(cls, task: LabelingTask, principles: Mapping[Any, Sequence[str]], **fields: Any) -> Self:
        """Write a rulebook by hand: sentences for each label.

        Raises:
            DataError: A label is not one of the task's, or a sentence has no words.
        """
        constitution = Constitution()
        for value, sentences in principles.items():
            index = task.index_of(value)
            if index is None:
                raise DataError(f"{value!r} is no label of this task; its labels are: {', '.join(task.labels)}.")
            for text in [sentences] if isinstance(sentences, str) else sentences:
                if not isinstance(text, str) or not text.strip():
                    raise DataError(
                        f"A principle for {task.labels[index]} has no words; give it some, or leave it out."
                    )
                constitution = constitution.apply(Add(text=text, label=task.labels[index]))
        return cls(task=task, constitution=constitution, **fields)

    @property
    def fitted(self) -> Calibration | None:
        """The calibration, where it was learned with these very principles."""
        known = self.calibration
        return known if known is None or known.of in ("", self.fingerprint()) else None

    @property
    def codes(self) -> tuple[str, ...] | None:
        """One-token answers in place of the labels, where log probabilities could not tell the labels apart."""
        return codes_for(self.task.labels) if self.scoring != "text" else None

    @property
    def answers(self) -> tuple[str, ...]:
        """What the model is asked to answer with, a name for each label."""
        return self.codes or self.task.labels

    def enabled(self) -> tuple[Principle, ...]:
        """Return the principles that a model is shown, in the order of their numbers."""
        return self.constitution.enabled()

    def checked(self) -> tuple[Principle, ...]:
        """Return the principles of a checklist, in the order of their numbers: those that speak for a label."""
        return tuple(p for p in self.enabled() if p.label is not None)

    @property
    def is_checklist(self) -> bool:
        """Whether each principle is checked by itself: there are some, and not too many to go through."""
        return self.scoring == "checks" and 0 < len(self.checked()) <= MOST_CHECKS

    def owners(self) -> tuple[int, ...]:
        """Return for each principle that is checked the index of the label it speaks for; none without a checklist."""
        if not self.is_checklist:
            return ()
        return tuple(self.task.labels.index(p.label or "") for p in self.checked())

    def speaking_for(self, owners: Sequence[int]) -> Self:
        """Return the rulebook with the principles of its checklist speaking for these labels, given by index."""
        labels = {p.id: self.task.labels[owner] for p, owner in zip(self.checked(), owners, strict=False)}
        moved = [p.model_copy(update={"label": labels.get(p.id, p.label)}) for p in self.constitution]
        constitution = self.constitution.model_copy(update={"principles": tuple(moved)})
        return self.model_copy(update={"constitution": constitution})

    def system_text(self) -> str:
        """Return the part of a request that is the same for all rows."""
        names = dict(zip(self.task.labels, self.answers, strict=True))
        lines = [
            instructions.principle_line(names.get(p.label or "", p.label or ""), p.sentence()) for p in self.enabled()
        ]
        return instructions.rulebook_text(self.task.question, self.task.labels, self.codes, lines)

    def prefix(self) -> list[BaseMessage]:
        """Return the messages of a request before the one that holds the row."""
        if self.is_checklist:  # precedents stand in the question there: nobody knows which principles they meet
            return instructions.checklist_examples(len(self.checked()))
        messages: list[BaseMessage] = [SystemMessage(self.system_text())]
        for text, answer in self._answered():
            messages += [HumanMessage(self.human_text(text)), AIMessage(answer)]
        return messages

    def human_text(self, row: str) -> str:
        """Return the message of a request that ends with a row."""
        if self.is_checklist:
            sentences = [p.sentence() for p in self.checked()]
            task = self.task
            return instructions.checklist(task.question, task.labels, self.codes, sentences, row, self._answered())
        return row if self.layout == "row" else instructions.asked_again(row, self.task.question)

    def shows(self, text: str) -> bool:
        """Tell whether a row with this text is a precedent: shown with its answer, it tells nothing of the rulebook."""
        return any(p.text == text for p in self.precedents)

    def shows_more_than(self, other: "Rulebook") -> bool:
        """Tell whether a row is a precedent here and not in the other rulebook."""
        return any(not other.shows(p.text) for p in self.precedents)

    def apply(self, edits: Iterable[RulebookEdit]) -> Self:
        """Return the rulebook after edits; what was learned with the old principles and precedents is left behind.

        Raises:
            EditError: An edit names a principle or a precedent that is not there, or adds one that may not be.
        """
        of_principles, of_precedents = precedents.parted(edits)
        for edit in of_principles:
            if isinstance(edit, Add) and edit.label is not None and edit.label not in self.task.labels:
                known = ", ".join(self.task.labels[:20])
                raise EditError(f"{edit.label!r} is no label of this task; its labels are: {known}.")
        constitution = self.constitution.apply_all(of_principles)
        shown = precedents.changed(self.precedents, of_precedents, self.task.labels)
        before = {(p.id, p.sentence()) for p in self.constitution}
        unchanged = {p.id for p in constitution if (p.id, p.sentence()) in before}
        evidence = {id: found for id, found in self.evidence.items() if id in unchanged}
        kept = {"constitution": constitution, "precedents": shown, "evidence": evidence}
        return self.model_copy(update={**kept, "calibration": None, "score": None})

    def diff(self, other: "Rulebook") -> list[str]:
        """Return what changes from this rulebook to the other, a line each; see `Constitution.diff`."""
        return self.constitution.diff(other.constitution) + precedents.diff(self.precedents, other.precedents)

    def fingerprint(self) -> str:
        """Return a hash of everything a model is shown, and of nothing else."""
        shown: list[Any] = [self.task.fingerprint(), self.constitution.fingerprint(), self.scoring, self.layout]
        if self.precedents:
            shown.append([[p.label, p.text] for p in self.precedents])
        return digest(shown)

    def by_label(self) -> dict[str, list[Principle]]:
        """Return the principles of each label, labels without any among them."""
        return {label: [p for p in self.constitution if p.label == label] for label in self.task.labels}

    def as_text(self) -> str:
        """Return the rulebook as a person reads it, label by label."""
        blocks = []
        for label, principles in self.by_label().items():
            lines = [f"{p.id}: {p.sentence()}" + ("" if p.enabled else " (switched off)") for p in principles]
            line = f"==================== Attributes for: {label} ===================="
            blocks.append("\n".join([line, "", *(lines or ["(no principles)"])]))
        if self.precedents:
            lines = [f"{p.row}: {p.line()}" for p in self.precedents]
            blocks.append("\n".join(["==================== Precedents ====================", "", *lines]))
        return "\n\n".join(blocks)

    def to_prompt(self) -> "ChatPromptTemplate":
        """Return the rulebook as a prompt to use anywhere; its variables are the task's inputs.

        Principles and precedents are values of partial variables, so braces in them are text. The bias and the
        truncation are not part of a prompt; `create_classifier_chain` has them.
        """
        from langchain_model_alignment.templates import PromptMessage, Template

        names: dict[str, str] = {}
        for name in self.task.input_names:
            safe = "".join(c if c.isalnum() else "_" for c in name)
            names[name] = _another(safe if safe.isidentifier() else f"input_{safe}", names.values())
        partial, question = _another("rulebook", names.values()), _another("question", names.values())
        row = "\n".join(f"{name}: {{{safe}}}" for name, safe in names.items())
        # In plain words: where codes stood for labels, their letters would mean nothing to whoever reads the answer.
        text = self.model_copy(update={"scoring": "text"}).system_text()
        partials, again = {partial: text}, self.layout == "question"
        if again:
            partials[question] = self.task.question

        def asked(row: str) -> PromptMessage:
            text = instructions.asked_again(row, f"{{{question}}}") if again else row
            return PromptMessage(role="human", text=text)

        messages: tuple[PromptMessage, ...] = (PromptMessage(role="system", text=f"{{{partial}}}"),)
        for n, precedent in enumerate(self.precedents, 1):
            shown, said = (_another(f"{name}_{n}", [*names.values(), *partials]) for name in ("row", "answer"))
            partials |= {shown: precedent.text, said: precedent.label}
            messages += (asked(f"{{{shown}}}"), PromptMessage(role="ai", text=f"{{{said}}}"))
        messages = (*messages, asked(row))
        literals = tuple(n for n in Template(messages=messages).variables if n not in {*names.values(), *partials})
        return Template(messages=messages, partials=partials, literals=literals).to_prompt()

    def _answered(self) -> list[tuple[str, str]]:
        """The precedents as rows and what a model is to answer to them."""
        names = dict(zip(self.task.labels, self.answers, strict=True))
        return [(p.text, names[p.label]) for p in self.precedents]

    def check_task(self, task: LabelingTask) -> None:
        """Refuse to be used for another task.

        Raises:
            ArtifactError: The task differs in its inputs, labels, question or truncation.
        """
        if self.task.fingerprint() != task.fingerprint():
            raise ArtifactError(
                f"The rulebook is of another task (fingerprint {self.task.fingerprint()}, this one has "
                f"{task.fingerprint()}): its question is {self.task.question!r} over "
                f"{', '.join(self.task.input_names)}, with the labels {', '.join(self.task.labels[:20])}; use that "
                "task, or train a rulebook for this one."
            )

    def to_json(self) -> str:
        """Return the rulebook as JSON."""
        return json_of(self)

    def save(self, path: str | Path) -> Path:
        """Write the rulebook to a JSON file, whole or not at all.

        Raises:
            ArtifactError: It cannot be written.
        """
        return write_text(path, self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a rulebook from a JSON file.

        Raises:
            ArtifactError: The file is not there, or is no rulebook.
        """
        return cls.from_dict(read_json(path), str(path))

    @classmethod
    def from_dict(cls, value: Any, where: str = "The value") -> Self:
        """Read a rulebook from plain data.

        Raises:
            ArtifactError: It is none.
        """
        return read_as(cls, value, where, "rulebook")


def _another(name: str, taken: Iterable[str]) -> str:
    """The name, or one like it that is not taken."""
    known = set(taken)
    while name in known:
        name += "_"
    return name
