"""Feedback out of a table, in one of the layouts that people keep it in."""

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from langchain_model_alignment.artifacts import one_line
from langchain_model_alignment.errors import DataError, DataWarning
from langchain_model_alignment.feedback.batch.records import FeedbackRecord
from langchain_model_alignment.feedback.exchanges import Feedback
from langchain_model_alignment.integrations.tables import Table, columns_of, read_rows
from langchain_model_alignment.languages import word_set

__all__ = ["rating_of", "read_feedback", "warn_of_wordless"]

_GOOD = word_set("good 👍 up thumbs_up thumbsup true 1 1.0 positive yes")
_BAD = word_set("bad 👎 down thumbs_down thumbsdown false 0 0.0 negative no")
_STYLING = dict.fromkeys((0xFE0F, *range(0x1F3FB, 0x1F400)))  # how an emoji looks: as a picture, and its skin
_PLAIN = ("critique", "kudos", "rewrite")
_LAYOUTS = (
    "response with kind and text; response with critique, kudos or rewrite; response with rating and comment; "
    "response with score and comment; chosen and rejected with reason"
)


def read_feedback(source: Table, *, inputs: Sequence[str] | None = None) -> list[FeedbackRecord]:
    """Read feedback out of a table.

    The table has a column `response`, and the feedback in one of these layouts, or several of them:

    * `kind` (critique, kudos or rewrite) and `text`;
    * `critique`, `kudos`, `rewrite`: a column for each that there is;
    * `rating` (good or bad, 👍 or 👎, up or down, true or false, 1 or 0, positive or negative) and `comment`;
    * `score` (from 0 to 1) and `comment`;
    * `chosen` and `rejected`, two responses, and `reason`; here `response` is not needed.

    A column `id` names the rows, if there is one. What is without words asks for nothing: it is left out, and how much
    there is of it is said in a `DataWarning`.

    Args:
        source: Dicts, a DataFrame, or the path of a .csv or .jsonl file in UTF-8.
        inputs: The columns that hold the values of the prompt's variables; without it a column `inputs` does, with a
            dict in each cell.

    Returns:
        The feedback, in the order of the rows.

    Raises:
        ArtifactError: The file cannot be read, or is not what its name says.
        DataError: A column is missing, or a row does not fit; nothing is read then.

    Example:
        >>> row = {"item": "scissors", "response": "Cut paper.", "rating": "👎", "comment": "Too short"}
        >>> record = read_feedback([row], inputs=["item"])[0]
        >>> record.inputs, record.feedback.kind, record.feedback.text
        ({'item': 'scissors'}, 'critique', 'Too short')
    """
    rows = read_rows(source)
    _check_layout(columns_of(rows), inputs)
    records: list[FeedbackRecord] = []
    wordless = 0
    places: dict[str, int] = {}
    for number, row in enumerate(rows, 1):
        if all(value is None for value in row.values()):
            continue
        found = list(_feedback_in(row, number))
        wordless += not found
        name = str(row["id"]) if row.get("id") is not None else f"row{number}"
        if places.setdefault(name, number) != number:
            raise DataError(f"Row {number} has the id {name!r} of row {places[name]}; give each row an id of its own.")
        records += [
            FeedbackRecord(
                id=name if len(found) == 1 else f"{name}.{feedback.kind}",
                inputs=_inputs_of(row, number, inputs),
                response=feedback.response or _response_in(row, number),
                feedback=feedback,
            )
            for feedback in found
        ]
    warn_of_wordless(wordless, "row", "rows")
    return records


def rating_of(value: Any) -> bool | None:
    """Return whether a rating is good or bad; None where it is neither.

    Example:
        >>> rating_of("👍🏽"), rating_of(" Negative "), rating_of(1), rating_of("so-so")
        (True, False, True, None)
    """
    word = str(value).strip().casefold().translate(_STYLING)
    if word in _GOOD:
        return True
    return False if word in _BAD else None


def warn_of_wordless(count: int, one: str, many: str) -> None:
    """Say how many ratings and scores came without words."""
    if count:
        some = f"1 {one} has" if count == 1 else f"{count} {many} have"
        left = "it is" if count == 1 else "they are"
        text = f"{some} no words to learn from, such as a rating without a comment; {left} left out."
        warnings.warn(text, DataWarning, stacklevel=3)


def _check_layout(columns: Sequence[str], inputs: Sequence[str] | None) -> None:
    there = set(columns)
    listed = ", ".join(columns[:20])
    if missing := [name for name in inputs or () if name not in there]:
        raise DataError(f"There is no column {missing[0]!r} for an input; the columns are: {listed}.")
    said = there & set(_PLAIN) or {"kind", "text"} <= there
    judged = "comment" in there and there & {"rating", "score"}
    if not ("response" in there and (said or judged)) and not {"chosen", "rejected", "reason"} <= there:
        raise DataError(f"The columns ({listed}) are no feedback that is understood; give one of these: {_LAYOUTS}.")


def _feedback_in(row: Mapping[str, Any], number: int) -> Iterator[Feedback]:
    """What a row says in words."""
    if row.get("text") is not None and "kind" in row:
        yield _checked(number, kind=_kind_in(row, number), text=row["text"])
    for kind in _PLAIN:
        if row.get(kind) is not None:
            yield _checked(number, kind=kind, text=row[kind])
    if row.get("comment") is not None and ("rating" in row or "score" in row):
        if row.get("score") is not None:
            yield _checked(number, kind="score", score=_score_in(row, number), text=row["comment"])
        else:
            yield _checked(number, kind=_kind_of_rating(row, number), text=row["comment"])
    better, worse, why = (row.get(name) for name in ("chosen", "rejected", "reason"))
    if better is not None and worse is not None and why is not None:
        yield _checked(number, kind="preference", text=why, response=str(better), rejected=str(worse))


def _checked(number: int, text: Any, **fields: Any) -> Feedback:
    try:
        return Feedback(text=str(text), **fields)
    except ValidationError as error:
        raise DataError(f"Row {number} does not fit: {one_line(error).removeprefix('Value error, ')}.") from error


def _kind_in(row: Mapping[str, Any], number: int) -> str:
    kind = str(row["kind"]).strip().casefold()
    if kind not in _PLAIN:
        raise DataError(f"Row {number} has the kind {row['kind']!r}; write critique, kudos or rewrite.")
    return kind


def _kind_of_rating(row: Mapping[str, Any], number: int) -> str:
    rating = row.get("rating")
    good = rating_of(rating)
    if good is None and rating is not None:
        raise DataError(f"Row {number} has the rating {rating!r}; write good or bad, 👍 or 👎, or 1 or 0.")
    return "kudos" if good else "critique"


def _score_in(row: Mapping[str, Any], number: int) -> float:
    try:
        score = float(row["score"])
    except (TypeError, ValueError):
        score = -1.0
    if not 0 <= score <= 1:
        raise DataError(f"Row {number} has the score {row['score']!r}; give one from 0, all wrong, to 1, all right.")
    return score


def _response_in(row: Mapping[str, Any], number: int) -> str:
    if row.get("response") is None:
        raise DataError(f"Row {number} has feedback but no response; give the answer that it is about, or take it out.")
    return str(row["response"])


def _inputs_of(row: Mapping[str, Any], number: int, names: Sequence[str] | None) -> dict[str, Any]:
    if names is not None:
        return {name: "" if row.get(name) is None else row[name] for name in names}
    value = row.get("inputs")
    if value is None:
        return {}
    if isinstance(value, str):  # a .csv has no other way to hold a dict
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, Mapping):
        raise DataError(f"Row {number} has no dict in its column inputs; name the columns of the inputs instead.")
    return {str(name): part for name, part in value.items()}
