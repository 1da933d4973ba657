"""The training report: what was learned, why, and what it cost, as one HTML file that needs nothing else.

Texts of data, models and people pass through `tag`, which escapes them.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from langchain_model_alignment.artifacts import write_text
from langchain_model_alignment.constitution import Principle
from langchain_model_alignment.labeling.figures import (
    STYLE,
    Html,
    Point,
    bar,
    confusion_matrix,
    learning_curve,
    most_confused,
    one_line,
    tag,
)
from langchain_model_alignment.labeling.records import CandidateRecord, Mistake, StepRecord, TrainingResult

__all__ = ["report_html", "write_report"]

_NAMES = {"f1": "macro F1", "f1_binary": "F1", "balanced_accuracy": "balanced accuracy", "kappa": "Cohen's kappa"}
_SHARES = {"accuracy", "f1", "f1_binary", "balanced_accuracy"}
_SHOWN_LABELS = 20  # in the confusion matrix
_SHOWN_MISTAKES = 50
_OPENING = 320  # characters of a long row that are shown before it is opened
_CHANGE = re.compile(r"([+~-]) (p[0-9]+): (.*)", re.DOTALL)
_DONE = {"+": "added", "-": "taken out", "~": "reworded"}
_OPS = {"add": "added", "edit": "reworded", "delete": "taken out", "move": "moved", "set": "changed"}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"  # a browser is told that nothing may be loaded or run


def write_report(result: TrainingResult, path: str | Path) -> Path:
    """Write the training report to an HTML file, whole or not at all.

    Args:
        result: What training left behind.
        path: Where to.

    Returns:
        The path.

    Raises:
        ConfigurationError: Matplotlib is not installed.
        ArtifactError: The file cannot be written.
    """
    return write_text(path, report_html(result))


def report_html(result: TrainingResult) -> str:
    """Return the training report as a page that loads nothing, runs nothing, and is the same for equal results.

    Args:
        result: What training left behind.

    Returns:
        HTML.

    Raises:
        ConfigurationError: Matplotlib is not installed.
    """
    sections = (_headline, _curve, _rulebook, _steps, _confusions, _mistakes, _costs, _about)
    head = (
        Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        tag("title", f"Training report: {one_line(result.rulebook.task.question, 120)}"),
        tag("style", STYLE),
    )
    page = tag("html", tag("head", *head), "\n", tag("body", *(section(result) for section in sections)), lang="en")
    return f"<!doctype html>\n{page}\n"


# -- the sections, in their order ------------------------------------------------------------------------------


def _headline(result: TrainingResult) -> Html:
    card, metric, final = result.scorecard, _metric(result), _final(result)
    first, origin = _first(result)
    low, high = card["accuracy_interval"]
    before = [tag("span", _score(first, metric), tag("small", origin)), tag("span", "→", aria_hidden="true")]
    sentence = f"{_name(metric)} from {_score(first, metric)} ({origin}) to {_score(final, metric)}"
    if first is None:
        before, sentence = [], f"{_name(metric)} {_score(final, metric)}"
    interval = f"{_score(low, 'accuracy')} to {_score(high, 'accuracy')}"
    return tag(
        "header",
        tag("p", "Training report", class_="eyebrow"),
        tag("h1", result.rulebook.task.question, dir="auto"),
        tag("p", *before, tag("b", _score(final, metric), tag("small", "trained rulebook")), class_="rise"),
        tag("p", sentence[:1].upper() + sentence[1:], f", {_count(card['n'], 'validation row')}."),
        tag("p", f"95% interval of the accuracy: {interval}. ", _CHOSEN_ON_THESE, class_="note"),
        tag("p", "Why it stopped: ", tag("bdi", result.stopped_because or "not recorded"), "."),
        tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in _spent(result)], class_="facts"),
    )


_CHOSEN_ON_THESE = "The rulebook was chosen on these rows, so expect a little less on rows it has never met."


def _curve(result: TrainingResult) -> Html:
    metric = _metric(result)
    first, origin = _first(result)
    points = [_point(step, metric, result.scorecard["n"]) for step in result.history]
    zero_shot = first if origin == "zero-shot" else None
    if not points:
        return _section("Learning curve", tag("p", "No steps were recorded.", class_="note"))
    drawn = [learning_curve(points, zero_shot, lambda value: _score(value, metric), width) for width in (800, 340)]
    caption = f"The best {_name(metric)} after each step; a hollow point is a step without gain. "
    if metric == "accuracy":
        caption += "Wide bars are 95% intervals. "
    else:
        caption += "Intervals are known for the accuracy only and are not drawn. "
    caption += "Faint dots are the candidates of the step, hollow where they left before all rows were scored."
    return _section("Learning curve", tag("figure", drawn), tag("p", caption, class_="note"))


def _rulebook(result: TrainingResult) -> Html:
    story = _story(result)
    parts: list[Html] = []
    for label, principles in result.rulebook.by_label().items():
        shown = [_principle(principle, result, story.get(principle.id, [])) for principle in principles]
        none = tag("p", "No principles; the label speaks for itself.", class_="note")
        parts.append(tag("section", tag("h3", tag("bdi", label)), *(shown or [none])))
    loose = [p for p in result.rulebook.constitution if p.label not in result.rulebook.task.labels]
    if loose:
        shown = [_principle(p, result, story.get(p.id, [])) for p in loose]
        parts.append(tag("section", tag("h3", "For no label in particular"), *shown))
    gone = [event for events in story.values() for event in events if event.done == "taken out"]
    if gone:
        parts.append(tag("section", tag("h3", "Taken out on the way"), tag("ul", map_events(gone, whole=True), class_="story")))
    return _section("The rulebook", *parts)


def _steps(result: TrainingResult) -> Html:
    metric, parts, before = _metric(result), [], None
    for step in result.history:
        parts.append(_step(step, before, metric))
        before = step
    return _section("What each step changed, and why", *(parts or [tag("p", "No steps were recorded.", class_="note")]))


def _confusions(result: TrainingResult) -> Html:
    card = result.scorecard
    chosen, n = most_confused(card, _SHOWN_LABELS), len(card["labels"])
    note = "Rows are the right labels, columns the given ones; the stronger the colour, the larger the share of its row."
    if len(chosen) < n:
        note += f" Shown are the {len(chosen)} of {n} labels that take part in the most confusions."
    rows = []
    for i, label in enumerate(card["labels"]):
        shares = [card["precision"][i], card["recall"][i], card["fscore"][i]]
        cells = [tag("td", _score(value, "accuracy"), class_="num") for value in shares]
        rows.append(tag("tr", tag("th", tag("bdi", label)), cells, tag("td", card["support"][i], class_="num")))
    names = ["Label", "Precision", "Recall", "F1", "Rows"]
    table = _table(names, rows, numbers=4)
    if n > _SHOWN_LABELS:
        table = tag("details", tag("summary", f"All {n} labels, one by one"), table)
    figure = tag("figure", confusion_matrix(card, chosen))
    return _section("Where labels are confused", tag("p", note, class_="note"), figure, table)


def _mistakes(result: TrainingResult) -> Html:
    wrong = round(result.scorecard["n"] * (1 - result.scorecard["accuracy"])) if result.scorecard["n"] else 0
    shown = result.mistakes[:_SHOWN_MISTAKES]
    note = "No mistake is left on the validation rows."
    if shown:
        note = f"The validation rows that the rulebook still gets wrong: {len(shown)} of {max(wrong, len(result.mistakes))}."
    elif wrong:
        note = f"{_count(wrong, 'validation row')} remain wrong; their texts were not recorded."
    listed = tag("ol", [_mistake(mistake) for mistake in shown], class_="mistakes") if shown else None
    return _section("The mistakes that remain", tag("p", note, class_="note"), listed)


def _costs(result: TrainingResult) -> Html:
    most_calls = max((step["calls"] for step in result.history), default=0) or 1
    longest = max((step["seconds"] for step in result.history if math.isfinite(step["seconds"])), default=0) or 1
    rows = []
    for step in result.history:
        calls = tag("td", bar(step["calls"] / most_calls), f"{step['calls']:,}")
        seconds = tag("td", bar(step["seconds"] / longest), _duration(step["seconds"]))
        rows.append(tag("tr", tag("th", step["step"]), calls, seconds, tag("td", f"{step['tokens']:,}", class_="num")))
    return _section("What each step cost", _table(["Step", "Calls", "Time", "Tokens"], rows, numbers=1))


def _about(result: TrainingResult) -> Html:
    rows = [tag("tr", tag("th", tag("bdi", name)), tag("td", tag("bdi", text))) for name, text in _told(result.about)]
    body = _table(["", ""], rows) if rows else tag("p", "Nothing was recorded.", class_="note")
    return tag("details", tag("summary", "Models, data and hyperparameters"), body)


# -- their parts -----------------------------------------------------------------------------------------------


def _principle(principle: Principle, result: TrainingResult, events: "list[_Event]") -> Html:
    start = {p.id: p for p in result.initial.constitution}.get(principle.id)
    if start is not None and not any(event.done == "added" for event in events):
        events = [_Event(0, "there from the start", start.reason, ""), *events]
    if not events and principle.reason:
        events = [_Event(None, "", principle.reason, "")]
    found = result.rulebook.evidence.get(principle.id)
    evidence: list[object] = ["It decided no row that was asked about."]
    if found is not None and found.decided:
        words = f"decided {_count(found.decided, 'row')}, {found.right} rightly"
        evidence = [bar(found.right / found.decided), words]
    off = None if principle.enabled else tag("span", "switched off", class_="chip")
    return tag(
        "div",
        tag("div", principle.id, class_="id"),
        tag(
            "div",
            tag("p", tag("bdi", principle.sentence()), class_="words"),
            off,
            tag("p", *evidence, class_="evidence"),
            tag("ul", map_events(events), class_="story"),
        ),
        class_="principle" if principle.enabled else "principle off",
    )
