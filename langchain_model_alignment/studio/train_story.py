"""What a run has learned and how: the rulebook label by label, and its steps with what each tried."""

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui

from langchain_model_alignment.constitution import Principle
from langchain_model_alignment.labeling.page import count
from langchain_model_alignment.labeling.records import CandidateRecord, StepRecord
from langchain_model_alignment.labeling.rulebook import Evidence, Rulebook
from langchain_model_alignment.studio.parts import words
from langchain_model_alignment.studio.train_parts import bar, chip, tell_apart

__all__ = ["rulebook_list", "step_list"]


def rulebook_list(book: Rulebook | None) -> None:
    """Show a rulebook, label by label."""
    if book is None:
        words("The first rules appear here when the model has read some examples of each label.", "muted", tag="p")
        return
    groups = [(label, found) for label, found in book.by_label().items() if found]
    if not groups:
        words("No rule has made the model better yet: it goes by the question alone.", "muted", tag="p")
    for label, principles in groups:
        with ui.element("section").classes("group"):
            words(label, "label-name", tag="h3")
            with ui.element("ul").classes("list"):
                for principle in principles:
                    _principle(principle, book.evidence.get(principle.id))


def _principle(principle: Principle, evidence: Evidence | None) -> None:
    with ui.element("li").classes("rule" if principle.enabled else "rule off"):
        words(principle.sentence(), "said", tag="p")
        told = principle.reason
        if evidence is not None and evidence.decided:
            told = f"{told} · decided {count(evidence.decided, 'row')}, {evidence.right} rightly".removeprefix(" · ")
        words(f"{principle.id} · {told}" if told else principle.id, "muted small", tag="p")


def step_list(history: Sequence[StepRecord], state: Mapping[str, Any], metric: str) -> None:
    """Show the steps, the latest first, above them the one under way.

    Args:
        history: The steps that are done.
        state: The state of the run (`LabelerState`) while it goes on, else nothing.
        metric: What scores are.
    """
    if not history and not state:
        words("Each step finds mistakes, tries rules that would mend them, and keeps what scores better.", "muted")
    with ui.element("ol").classes("steps"):
        if (state.get("best") and not state.get("stopped")) or (state and not history):
            _under_way(state, metric)
        for before, step in reversed(list(zip([None, *history], history, strict=False))):
            _step(before, step, metric)


def _under_way(state: Mapping[str, Any], metric: str) -> None:
    best = state.get("best", [])
    racing = [c["record"] for id, c in state.get("candidates", {}).items() if id not in best]
    tried = [record for record in racing if not (record["left"] and not record["rows"] and record["screened"] is None)]
    current = state.get("current")
    with ui.element("li").classes("step now"):
        with ui.element("div").classes("step-head"):
            words(f"Step {current['step']}" if current and current["step"] else "The start", "strong", tag="h3")
            chip("now")
        if current and current["sampled"]:
            words(_found(current), "muted small", tag="p")
        _candidates(tried, "", metric)


def _step(before: StepRecord | None, step: StepRecord, metric: str) -> None:
    with ui.element("li").classes("step"):
        with ui.element("div").classes("step-head"):
            words(f"Step {step['step']}" if step["step"] else "The start", "strong", tag="h3")
            if before is None:
                chip(tell_apart(step["score"], metric))
            elif step["gained"]:
                chip(f"{tell_apart(before['score'], metric)} → {tell_apart(step['score'], metric)}", "good")
            else:
                chip("no gain")
        told = [_found(step)] if step["sampled"] else []
        if n := step.get("corrected"):
            told.append(f"{count(n, 'corrected row')} among the training rows")
        told.append(f"{count(step['calls'], 'call')}, {step['tokens']:,} tokens")
        words(". ".join(told) + ".", "muted small", tag="p")
        if step["candidates"]:
            with ui.element("details"):
                words(f"{count(len(step['candidates']), 'candidate')} tried", "small", tag="summary")
                _candidates(step["candidates"], step["best"], metric)
        for refused in step["refused"]:
            words(f"Not tried: {refused}", "muted small", tag="p")


def _found(step: StepRecord) -> str:
    return f"{count(step['sampled'], 'training row')} labeled, {step['wrong']} of them wrong"


def _candidates(records: Sequence[CandidateRecord], best: str, metric: str) -> None:
    with ui.element("ul").classes("candidates"):
        for record in records:
            with ui.element("li").classes("candidate out" if record["left"] else "candidate"):
                lines = record["changes"] if record["origin"] not in ("initial", "zero-shot") else []
                for line in lines or [_ORIGINS.get(record["origin"], record["reason"])]:
                    words(line, "small", tag="p")
                with ui.element("div").classes("race"):
                    bar(record["score"] or 0.0, "good" if record["id"] == best else "")
                    words(_fate(record, best, metric), "muted small", tag="span")


_ORIGINS = {"initial": "The first rules", "zero-shot": "No rules at all, for comparison"}


def _fate(record: CandidateRecord, best: str, metric: str) -> str:
    said = "yours · " if record["origin"] == "person" else ""
    if record["rows"]:
        said += f"{tell_apart(record['score'], metric)} on {count(record['rows'], 'row')}"
    elif not record["left"]:
        return f"{said}waiting"
    if record["id"] == best:
        return f"{said} · kept"
    return f"{said} · {record['left']}" if record["left"] and record["rows"] else said or record["left"]
