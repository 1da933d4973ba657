"""The story of a training run: what it began and ended with, what happened in between, and what it cost."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from langchain_model_alignment.labeling.experts.records import MixtureResult
from langchain_model_alignment.labeling.page import count, duration, number
from langchain_model_alignment.labeling.records import CandidateRecord, StepRecord, TrainingResult

__all__ = [
    "AnyResult",
    "Event",
    "ancestors",
    "change_of",
    "final_score",
    "first_score",
    "metric_of",
    "sentences_of",
    "spent",
    "story_of",
]

AnyResult = TrainingResult | MixtureResult
"""What training left behind: of one rulebook, or of a mixture."""

_CHANGE = re.compile(r"([+~-]) (p[0-9]+|row [0-9a-z-]+): (.*)", re.DOTALL)
_DONE = {"+": "added", "-": "taken out", "~": "reworded"}
_OPS = {"add": "added", "edit": "reworded", "delete": "taken out", "move": "moved", "set": "changed"}


class Event(NamedTuple):
    """Something that happened to a principle or a precedent."""

    step: int
    done: str
    reason: str
    words: str
    """The words it had before, or when it was taken out."""


def story_of(result: TrainingResult) -> dict[str, list[Event]]:
    """Return what happened to each principle and precedent on the way from the start to the best rulebook."""
    found: dict[str, list[Event]] = {}
    for step, candidate in reversed(list(ancestors(result.history))):
        told = set()
        for line in candidate["changes"]:
            if change := change_of(line):
                sign, id, old, new = change
                done = new if sign == "~" and new in ("switched on", "switched off") else _DONE[sign]
                event = Event(step, done, _why(candidate, id, new), new if sign == "-" else old)
                found.setdefault(id, []).append(event)
                told.add(id)
        for edit in candidate["edits"]:
            id, op = str(edit.get("id") or ""), str(edit.get("op"))
            if id and op in _OPS and id not in told:
                found.setdefault(id, []).append(Event(step, _OPS[op], _why(candidate, id, ""), ""))
    return found


def ancestors(history: Sequence[StepRecord]) -> Iterator[tuple[int, CandidateRecord]]:
    """Yield the candidates that led to the best rulebook, it first, with the steps in which they were tried first."""
    first: dict[str, tuple[int, CandidateRecord]] = {}
    for step in history:
        for candidate in step["candidates"]:
            first.setdefault(candidate["id"], (step["step"], candidate))
    at = history[-1]["best"] if history else None
    while at in first:
        step_of, candidate = first.pop(at)  # a parent that is met again ends the walk
        yield step_of, candidate
        at = candidate["parent"]


def change_of(line: str) -> tuple[str, str, str, str] | None:
    """Return a line of `changes` as its sign, the id, the old words and the new ones; None if it is none.

    Example:
        >>> change_of("~ p1: Be kind. -> Be kind to all.")
        ('~', 'p1', 'Be kind.', 'Be kind to all.')
    """
    match = _CHANGE.fullmatch(line)
    if not match:
        return None
    sign, id, words = match.groups()
    old, new = _reworded(words) if sign == "~" else ("", words)
    return sign, id, old, new


def sentences_of(step: StepRecord, before: StepRecord | None, metric: str) -> list[str]:
    """Return what happened in a step, in sentences."""
    found = []
    if step["sampled"]:
        found.append(f"{count(step['sampled'], 'training row')} labeled, {step['wrong']} of them wrong.")
    if n := step.get("corrected"):
        found.append(f"People had given or corrected {count(n, 'training row')}.")
    if step["abstained"]:
        found.append(f"Of the wrong ones, {step['abstained']} had no readable label.")
    if before and not step["gained"]:
        found.append(f"No candidate was better, so the rulebook stays as it was, at {number(step['score'], metric)}.")
    found += [f"{count(n, 'call')} failed for good ({name})." for name, n in sorted(step["failures"].items())]
    if n := len(step["refused"]):
        found.append(f"{count(n, 'proposal')} {'was' if n == 1 else 'were'} not tried:")
    return found


def metric_of(result: AnyResult) -> str:
    """Return the metric that rulebooks were compared by."""
    if result.rulebook.score:
        return result.rulebook.score.metric
    return str(result.about.get("metric") or "accuracy")


def final_score(result: AnyResult) -> float | None:
    """Return what the trained rulebook reached; None where nothing tells."""
    if result.rulebook.score:
        return result.rulebook.score.value
    return result.history[-1]["score"] if result.history else _of_card(result.scorecard, metric_of(result))


def first_score(result: AnyResult) -> tuple[float | None, str]:
    """Return what training is compared with, and its name: the zero-shot where it was scored, else the start."""
    metric = metric_of(result)
    if result.zero_shot and (score := _of_card(result.zero_shot, metric)) is not None:
        return score, "zero-shot"
    start = result.history[0]["candidates"] if result.history else []
    for candidate in start:
        if candidate["origin"] == "zero-shot" and candidate["score"] is not None:
            return candidate["score"], "zero-shot"
    return (result.history[0]["score"], "at the start") if result.history else (None, "")


def spent(result: AnyResult) -> list[tuple[str, str]]:
    """Return what training took, as names and texts."""
    usage, rows = result.usage, result.scorecard["n"]
    seconds = sum(step["seconds"] for step in result.history) or usage.seconds
    money = [("Cost", f"{usage.cost:,.4f}".rstrip("0").rstrip("."))] if usage.cost > 0 else []
    return [
        ("Validation rows", f"{rows:,}"),
        ("Steps", str(max(0, len(result.history) - 1))),
        ("Model calls", f"{usage.calls:,}"),
        ("Tokens", f"{usage.tokens:,}"),
        ("Time", duration(seconds)),
        *money,
    ]


def _why(candidate: CandidateRecord, id: str, words: str) -> str:
    """The reason of the edit that touched a principle; the candidate's own where the edit has none."""
    for edit in candidate["edits"]:
        same = edit.get("id") == id or (edit.get("op") == "add" and str(edit.get("text", "")).split() == words.split())
        if same and edit.get("reason"):
            return str(edit["reason"])
    return candidate["reason"]


def _reworded(words: str) -> tuple[str, str]:
    """Old and new words of a `~` line; all of it as the new ones where the arrow may be part of the words."""
    old, arrow, new = words.partition(" -> ")
    return (old, new) if arrow and " -> " not in new else ("", words)


def _of_card(card: Mapping[str, Any], metric: str) -> float | None:
    value = card.get(metric)
    return value if isinstance(value, float) else None
