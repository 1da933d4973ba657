"""What is labeled, with which labels, and how a table becomes rows that a model can read."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Union

from pydantic import ValidationError, field_validator, model_validator

from langchain_model_alignment.artifacts import one_line
from langchain_model_alignment.constitution import Value, digest
from langchain_model_alignment.errors import DataError

if TYPE_CHECKING:  # only whoever has a data frame has loaded pandas
    import pandas as pd

__all__ = ["LabelValue", "LabelingTask", "Row", "Table", "as_text", "few", "is_missing", "truncate"]

LabelValue = str | bool | int | float
Table = Union["pd.DataFrame", Iterable[Mapping[str, Any]]]
"""What holds rows: a data frame, or dicts from column to value."""

_WORD = re.compile(r"\S+")
_HALF = re.compile("[\ud800-\udfff]")
_SHOWN = 5  # odd values or rows named in an error


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it is put before a model.

    Attributes:
        id: Names the row by its content, so that the order of a table changes nothing.
        text: Its inputs, truncated, a line each.
        label: The index of its label in the task's `label_values`; None where it has none.
    """

    id: str
    text: str
    label: int | None = None


class LabelingTask(Value):
    """A question about rows of a table, and the answers it may have.

    Raises:
        DataError: No input, fewer than two labels, two labels that read the same, a label among the inputs, or half of
            a character.

    Example:
        >>> task = LabelingTask(input_names=["comment"], label_name="toxic", label_values=[True, False])
        >>> [(row.text, row.label) for row in task.read([{"comment": "Nice!", "toxic": "false"}])]
        [('comment: Nice!', 1)]
    """

    input_names: tuple[str, ...]
    label_name: str
    label_values: tuple[LabelValue, ...]
    """In the order in which they are shown to the model."""
    task_description: str = ""
    """The question, in a sentence."""
    truncation_length: int | None = 100
    """The most words of each input; the ones in the middle are left out. None keeps all."""
    ordered: bool = False
    """Whether `label_values` stand in order, as grades do; then scores tell how far off a label is."""

    if not TYPE_CHECKING:  # who checks types sees the fields

        def __init__(self, **fields: Any) -> None:
            try:
                super().__init__(**fields)
            except ValidationError as error:
                raise as_data_error(error, "The task does not fit") from None

    @field_validator("input_names", mode="before")
    @classmethod
    def _names_are_text(cls, names: Any) -> Any:
        return tuple(map(str, (names,) if isinstance(names, str) else names))

    @field_validator("label_values", mode="before")
    @classmethod
    def _plain_labels(cls, values: Any) -> Any:
        return tuple(value.item() if hasattr(value, "item") else value for value in values)

    @model_validator(mode="after")
    def _makes_sense(self) -> "LabelingTask":
        if not self.input_names:
            raise DataError("The task names no input column; give at least one in input_names.")
        if len(self.label_values) < 2:
            raise DataError(f"The task has {len(self.label_values)} label values; give at least two in label_values.")
        if _HALF.search("".join((*self.input_names, self.label_name, self.task_description, *self.labels))):
            raise DataError("A name, a label or the question holds half of a character, which no model can be sent.")
        texts = [text.casefold() for text in self.labels]
        if not all(texts):
            raise DataError("A label value is empty; give every label a name.")
        if twins := sorted({text for text in texts if texts.count(text) > 1}):
            raise DataError(f"Two label values read the same ({', '.join(twins)}); a model could not tell them apart.")
        if self.label_name in self.input_names:
            raise DataError(f"The label column {self.label_name!r} is among the inputs; the answer would be shown.")
        if self.truncation_length is not None and self.truncation_length < 1:
            raise DataError(f"truncation_length is {self.truncation_length}; keep at least 1 word, or None for all.")
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """The label values as text, as a model is shown them."""
        return tuple(as_text(value) for value in self.label_values)

    @property
    def question(self) -> str:
        """The task's description, or the question that the label's name stands for."""
        return self.task_description.strip() or f"What is the {self.label_name}?"

    def fingerprint(self) -> str:
        """Return a hash of all that a model is shown of the task; that labels are ordered only changes the scores."""
        return digest([self.input_names, self.label_name, self.labels, self.question, self.truncation_length])

    def read(self, data: Table, *, labeled: bool = True) -> list[Row]:
        """Read the rows of a table.

        Args:
            data: A data frame, or dicts.
            labeled: Whether every row must have a label.

        Returns:
            The rows, in the order of the table.

        Raises:
            DataError: A column is missing, a label is missing or not in `label_values`, or no row is there.
        """
        columns, n = self.columns(data, labeled)
        if labeled and not n:
            raise DataError("The table has no rows; give at least a few labeled ones.")
        inputs = [columns[name] for name in self.input_names]
        texts = [self.show(dict(zip(self.input_names, values, strict=True))) for values in zip(*inputs, strict=True)]
        labels: list[int | None] = self._read_labels(columns[self.label_name]) if labeled else [None] * n
        return _identified(texts, labels)

    def show(self, inputs: Mapping[str, Any]) -> str:
        """Return the inputs of one row as text: a line each, values truncated, missing ones left out."""
        lines = [
            f"{name}: {truncate(as_text(inputs[name]), self.truncation_length)}"
            for name in self.input_names
            if not is_missing(inputs.get(name))
        ]
        return "\n".join(lines)

    def index_of(self, value: Any) -> int | None:
        """Return the index of a label, given as the value itself or as its text; None when there is no such label."""
        try:
            return self.label_values.index(value)
        except ValueError:
            text = as_text(value).strip().casefold()
            folded = [label.casefold() for label in self.labels]
            return folded.index(text) if text in folded else None

    def columns(self, data: Any, labeled: bool) -> tuple[dict[str, list[Any]], int]:
        """Return the values of the columns that are needed, by name, and how many rows there are.

        Raises:
            DataError: A column is missing, or is there twice.
        """
        wanted = [*self.input_names, self.label_name] if labeled else list(self.input_names)
        if hasattr(data, "columns"):
            self._check_there([str(name) for name in data.columns], wanted)
            by_text = {str(name): name for name in data.columns}
            if twice := [name for name in wanted if [str(column) for column in data.columns].count(name) > 1]:
                raise DataError(f"The table has the column {twice[0]!r} twice; drop or rename one.")
            return {name: data[by_text[name]].tolist() for name in wanted}, len(data)
        rows = [data] if isinstance(data, Mapping) else list(data)
        there = list(dict.fromkeys(name for row in rows for name in row))
        if rows:
            self._check_there(there, wanted)
        return {name: [row.get(name) for row in rows] for name in wanted}, len(rows)

    def _check_there(self, there: list[str], wanted: list[str]) -> None:
        missing = [name for name in wanted if name not in there]
        if missing:
            columns = ", ".join(map(str, there[:20])) or "none"
            raise DataError(f"The table has no column {', '.join(map(repr, missing))}; its columns are: {columns}.")

    def _read_labels(self, values: list[Any]) -> list[int | None]:
        empty = [at for at, value in enumerate(values) if is_missing(value)]
        if empty:
            raise DataError(
                f"{len(empty)} rows have no {self.label_name} (rows {few(empty)}, counted from 0); label them or "
                "leave them out."
            )
        known: dict[str, int | None] = {}
        found = []
        for value in values:
            key = repr(value)  # a list is no key, and True is the same key as 1
            if key not in known:
                known[key] = self.index_of(value)
            found.append(known[key])
        unknown = [value for value, index in known.items() if index is None]
        if unknown:
            raise DataError(
                f"The column {self.label_name!r} holds {few(unknown)}, but the labels are "
                f"{few(list(self.labels), 20)}; add it to label_values or correct the rows."
            )
        return found


def as_data_error(error: ValidationError, subject: str) -> DataError:
    """Return the sentence of ours that a validation ended with, or what else it found in one line."""
    own = error.errors()[0].get("ctx", {}).get("error")
    return own if isinstance(own, DataError) else DataError(f"{subject}: {one_line(error)}.")


def truncate(text: str, words: int | None) -> str:
    """Return a text with at most so many words: the ones in the middle are left out.

    Args:
        text: The text; its spacing is kept.
        words: How many words to keep; None keeps all.

    Example:
        >>> truncate("one two three four five", 3), truncate("one two three", 3)
        ('one two … five', 'one two three')
    """
    if words is None or len(text) < 2 * words:  # n words have at least 2 n - 1 characters
        return text
    spans = [match.span() for match in _WORD.finditer(text)]
    if len(spans) <= words:
        return text
    left, right = (words + 1) // 2, words // 2
    start = text[: spans[left - 1][1]]
    return f"{start} … {text[spans[-right][0] :]}" if right else f"{start} …"


def as_text(value: Any) -> str:
    """A value as a person would write it: 3.0 of a number column is 3, a midnight is a date."""
    if isinstance(value, str):
        return value.strip()
    if hasattr(value, "item") and not hasattr(value, "__len__"):
        value = value.item()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if hasattr(value, "isoformat"):
        return str(value.isoformat()).removesuffix("T00:00:00")
    return str(value)


def is_missing(value: Any) -> bool:
    """Whether a cell is empty; pandas has several ways to say so, and all but None differ from themselves."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):
        return type(value).__name__ == "NAType"


def _identified(texts: list[str], labels: list[int | None]) -> list[Row]:
    seen: dict[str, int] = {}
    rows = []
    for text, label in zip(texts, labels, strict=True):
        id = hashlib.sha256(f"{label}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()[:12]
        seen[id] = seen.get(id, 0) + 1
        rows.append(Row(id if seen[id] == 1 else f"{id}-{seen[id]}", text, label))
    return rows


def few(values: list[Any], most: int = _SHOWN) -> str:
    """Return the first of some values, for a sentence."""
    return ", ".join(map(str, values[:most])) + (", …" if len(values) > most else "")
