"""Feedback that LangSmith exported: its runs, and what people said of them; nothing of LangSmith is imported."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langchain_model_alignment.errors import DataError
from langchain_model_alignment.feedback.batch.records import FeedbackRecord
from langchain_model_alignment.feedback.exchanges import Feedback
from langchain_model_alignment.integrations.feedback_tables import rating_of, warn_of_wordless

__all__ = ["from_langsmith", "text_of"]

_GOOD = 0.5  # the score from which a comment is praise
# Where an answer is found in what a run put out, from the outside in.
_ANSWERS = (
    *("generations", "choices", "messages", "message", "kwargs"),
    *("output", "answer", "response", "text", "content", "result", "completion"),
)
_DEEPEST = 12


def from_langsmith(runs: Iterable[Any], feedback: Iterable[Any]) -> list[FeedbackRecord]:
    """Read feedback out of LangSmith's records, as `Client.list_runs` and `Client.list_feedback` give them.

    A comment is praise where the score is 0.5 or more, or the value a good rating, and a critique otherwise. A
    correction in words is a rewrite. Feedback without words asks for nothing: it is left out, and how much there is of
    it is said in a `DataWarning`.

    Args:
        runs: The runs, as dicts (`id`, `inputs`, `outputs`) or as objects of LangSmith's client.
        feedback: The feedback, as dicts (`run_id`, `score`, `value`, `comment`, `correction`) or as such objects.

    Returns:
        The feedback, in its order.

    Raises:
        DataError: Feedback is about a run that is not there or has no response, or its score is above 1.

    Example:
        >>> run = {"id": "r1", "inputs": {"item": "scissors"}, "outputs": {"output": "Cut paper."}}
        >>> record = from_langsmith([run], [{"id": "f1", "run_id": "r1", "score": 0, "comment": "Too short"}])[0]
        >>> record.id, record.inputs, record.response, record.feedback.kind
        ('f1', {'item': 'scissors'}, 'Cut paper.', 'critique')
    """
    by_id = {str(_field(run, "id")): run for run in runs}
    records: list[FeedbackRecord] = []
    wordless = 0
    for number, given in enumerate(feedback, 1):
        name = str(_field(given, "id") or f"feedback{number}")
        run = _run_of(given, name, by_id)
        found = _feedback_in(given, name, _field(run, "outputs"))
        wordless += not found
        for said in found:
            id = name if len(found) == 1 else f"{name}.{said.kind}"
            records.append(_record(id, name, run, said))
    warn_of_wordless(wordless, "piece of feedback", "pieces of feedback")
    return records


def text_of(value: Any) -> str:
    """Return the answer in what a run put out: a text, a message, a list that ends in one, or what a model returned.

    Example:
        >>> text_of({"generations": [[{"text": "Cut paper."}]]})
        'Cut paper.'
        >>> text_of({"messages": [{"type": "human", "content": "Uses?"}, {"type": "ai", "content": "Cut paper."}]})
        'Cut paper.'
    """
    return _text_of(value, _DEEPEST)


def _text_of(value: Any, depth: int) -> str:
    if isinstance(value, str):
        return value.strip()
    if depth == 0 or value is None:
        return ""
    if isinstance(value, Mapping):
        return _text_in_dict(value, depth - 1)
    if isinstance(value, Sequence):
        blocks = [part for part in value if isinstance(part, Mapping) and part.get("type") == "text"]
        if blocks:  # the content of one message, in parts
            return "".join(str(part.get("text", "")) for part in blocks).strip()
        return _text_of(value[-1], depth - 1) if value else ""
    return _text_of(getattr(value, "content", None), depth - 1)


def _text_in_dict(value: Mapping[str, Any], depth: int) -> str:
    for name in _ANSWERS:
        if value.get(name) is not None and (text := _text_of(value[name], depth)):
            return text
    only = next(iter(value.values())) if len(value) == 1 else None
    return only.strip() if isinstance(only, str) else ""


def _field(record: Any, name: str) -> Any:
    return record.get(name) if isinstance(record, Mapping) else getattr(record, name, None)


def _run_of(given: Any, name: str, by_id: Mapping[str, Any]) -> Any:
    """The run that feedback is about; None where it is about none, as a summary of many runs is."""
    id = _field(given, "run_id")
    if id is None:
        return None
    if str(id) not in by_id:
        raise DataError(f"Feedback {name} is about the run {id}, which is not among the runs; export that as well.")
    return by_id[str(id)]


def _feedback_in(given: Any, name: str, outputs: Any) -> list[Feedback]:
    """What a piece of feedback says in words."""
    found: list[Feedback] = []
    comment = _field(given, "comment")
    if isinstance(comment, str) and comment.strip():
        found.append(Feedback(kind="kudos" if _is_good(given, name) else "critique", text=comment))
    if rewrite := _corrected(_field(given, "correction"), outputs):
        found.append(Feedback(kind="rewrite", text=rewrite))
    return found


def _is_good(given: Any, name: str) -> bool:
    score = _field(given, "score")
    if score is None:
        return rating_of(_field(given, "value")) is True
    if not score <= 1:
        raise DataError(f"Feedback {name} has the score {score}; scale the scores to 0, all wrong, to 1, all right.")
    return bool(score >= _GOOD)


def _corrected(correction: Any, outputs: Any) -> str:
    """The person's own version of the response; a corrected score is none."""
    if isinstance(correction, Mapping):
        if set(correction) <= {"score", "value", "comment"}:
            return ""
        shared = [name for name in outputs if name in correction] if isinstance(outputs, Mapping) else []
        return text_of(correction[shared[0]] if shared else correction)
    return text_of(correction)


def _record(id: str, name: str, run: Any, said: Feedback) -> FeedbackRecord:
    if run is None:
        raise DataError(f"Feedback {name} is about no run; leave it out, or give it the id of a run.")
    response = text_of(_field(run, "outputs"))
    if not response:
        raise DataError(
            f"The run {_field(run, 'id')} has no response in its outputs; leave the feedback about it ({name}) out."
        )
    return FeedbackRecord(id=id, inputs=dict(_field(run, "inputs") or {}), response=response, feedback=said)
