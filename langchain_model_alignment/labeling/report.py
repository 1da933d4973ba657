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
_NUMBERS = {"Screened", "Score", "Rows", "Precision", "Recall", "F1", "Tokens"}  # columns that are aligned as such
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
        tag("p", "Why it stopped: ", tag("bdi", result.stopped_because.rstrip(".") or "not recorded"), "."),
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
    drawn = [learning_curve(points, zero_shot, lambda value: _score(value, metric), width) for width in (880, 340)]
    caption = f"The best {_name(metric)} after each step; a hollow one is the start, or a step without gain. "
    if metric == "accuracy":
        caption += "Wide bars are 95% intervals. "
    else:
        caption += "Intervals are known for the accuracy only and are not drawn. "
    caption += "Faint dots are the candidates of the step, hollow where they left before all rows were scored."
    return _section("Learning curve", tag("figure", drawn), tag("p", caption, class_="note"))


def _rulebook(result: TrainingResult) -> Html:
    story, groups = _story(result), result.rulebook.by_label()
    loose = [principle for principle in result.rulebook.constitution if principle.label not in groups]
    parts: list[Html] = []
    for label, principles in [*groups.items(), ("For no label in particular", loose)]:
        if principles:
            shown = [_principle(principle, result, story.get(principle.id, [])) for principle in principles]
            parts.append(tag("section", tag("h3", tag("bdi", label)), shown))
    if bare := [label for label in result.rulebook.task.labels if not groups[label]]:
        names = [[", " if at else "", tag("bdi", label)] for at, label in enumerate(bare)]
        parts.append(tag("p", "Without a principle: ", names, ".", class_="note"))
    gone = [_event(event, id) for id, events in story.items() for event in events if event.done == "taken out"]
    if gone:
        parts.append(tag("section", tag("h3", "Taken out on the way"), tag("ul", gone, class_="story")))
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
    note = (
        "Rows are the right labels, columns the given ones; the stronger the colour, the larger the share of its row."
    )
    if len(chosen) < n:
        note += f" Shown are the {len(chosen)} of {n} labels that take part in the most confusions."
    rows = []
    for i, label in enumerate(card["labels"]):
        shares = [card["precision"][i], card["recall"][i], card["fscore"][i]]
        cells = [tag("td", f"{100 * value:.1f}%", class_="num") for value in shares]
        rows.append(tag("tr", tag("th", tag("bdi", label)), cells, tag("td", card["support"][i], class_="num")))
    names = ["Label", "Precision", "Recall", "F1", "Rows"]
    table = _table(names, rows)
    if n > _SHOWN_LABELS:
        table = tag("details", tag("summary", f"All {n} labels, one by one"), table)
    figure = tag("figure", confusion_matrix(card, chosen))
    return _section(
        "Where labels are confused", tag("p", note, class_="note"), tag("div", figure, table, class_="pair")
    )


def _mistakes(result: TrainingResult) -> Html:
    card, shown = result.scorecard, result.mistakes[:_SHOWN_MISTAKES]
    wrong = max(len(result.mistakes), card["n"] - sum(row[i] for i, row in enumerate(card["confusion"])))
    note = "No mistake is left on the validation rows."
    if shown:
        note = f"Validation rows that the rulebook still gets wrong; {len(shown)} of {wrong} are shown."
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
    return _section("What each step cost", _table(["Step", "Calls", "Time", "Tokens"], rows))


def _about(result: TrainingResult) -> Html:
    rows = [tag("tr", tag("th", tag("bdi", name)), tag("td", tag("bdi", text))) for name, text in _told(result.about)]
    body = _table(["", ""], rows) if rows else tag("p", "Nothing was recorded.", class_="note")
    return tag("details", tag("summary", "Models, data and hyperparameters"), body)


# -- their parts -----------------------------------------------------------------------------------------------


def _principle(principle: Principle, result: TrainingResult, events: "list[_Event]") -> Html:
    start = {p.id: p for p in result.initial.constitution}.get(principle.id)
    if start is not None and not any(event.done == "added" for event in events):
        events = [_Event(0, "there from the start", start.reason, ""), *events]
    told = tag("ul", [_event(event) for event in events], class_="story") if events else tag("small", principle.reason)
    found = result.rulebook.evidence.get(principle.id)
    evidence = "decided none of the rows that were asked about" if result.rulebook.evidence else ""
    share = None
    if found is not None and found.decided:
        evidence = f"decided {_count(found.decided, 'row')}, {found.right} rightly"
        share = bar(found.right / found.decided, "right")
    off = None if principle.enabled else tag("span", "switched off", class_="chip")
    return tag(
        "div",
        tag("div", principle.id, class_="id"),
        tag(
            "div",
            tag("p", tag("bdi", principle.sentence()), class_="words"),
            off,
            tag("p", share, evidence, class_="evidence") if evidence else None,
            told,
        ),
        class_="principle" if principle.enabled else "principle off",
    )


def _step(step: StepRecord, before: StepRecord | None, metric: str) -> Html:
    names = ["Candidate", "What it changes", "Screened", "Score", "Rows", "Fate"]
    rows = [_candidate(candidate, candidate["id"] == step["best"], names, metric) for candidate in step["candidates"]]
    score = _score(step["score"], metric)
    verdict = score if before is None else "no gain"
    if before and step["gained"]:
        verdict = f"{_score(before['score'], metric)} → {score}"
    chip = tag("span", verdict, class_="chip good" if step["gained"] else "chip")
    return tag(
        "article",
        tag("h3", f"Step {step['step']}" if step["step"] else "The start", chip),
        tag("p", " ".join(_words(step, before, metric))),
        tag("ul", [tag("li", tag("bdi", text)) for text in step["refused"]]) if step["refused"] else None,
        _table(names, rows, "cards") if rows else None,
        id=f"step-{step['step']}",
    )


def _words(step: StepRecord, before: StepRecord | None, metric: str) -> list[str]:
    """What happened in a step, in sentences."""
    found = []
    if step["sampled"]:
        found.append(f"{_count(step['sampled'], 'training row')} labeled, {step['wrong']} of them wrong.")
    if step["abstained"]:
        found.append(f"Of the wrong ones, {step['abstained']} had no readable label.")
    if before and not step["gained"]:
        found.append(f"No candidate was better, so the rulebook stays as it was, at {_score(step['score'], metric)}.")
    found += [f"{_count(n, 'call')} failed for good ({name})." for name, n in sorted(step["failures"].items())]
    if step["refused"]:
        found.append(f"{_count(len(step['refused']), 'proposal')} {_was(step['refused'])} not tried:")
    return found


def _candidate(candidate: CandidateRecord, chosen: bool, names: Sequence[str], metric: str) -> Html:
    changes = [
        tag("li", tag("b", sign), words, class_=kind) for sign, words, kind in map(_change, candidate["changes"])
    ]
    gain = candidate["screened"]
    screened = "–" if gain is None or not math.isfinite(gain) else f"{gain:+.3f}".replace("-", "−")
    fate = tag("span", "kept", class_="chip kept") if chosen else candidate["left"] or "scored on all rows"
    cells: list[tuple[object, str | None]] = [
        ([tag("b", candidate["id"]), " ", tag("small", candidate["origin"])], None),
        (
            [tag("ul", changes, class_="changes") if changes else None, tag("small", tag("bdi", candidate["reason"]))],
            None,
        ),
        (screened, "num"),
        (_score(candidate["score"], metric), "num"),
        (candidate["rows"], "num"),
        (fate, "fate"),
    ]
    named = zip(names, cells, strict=True)
    row = [tag("td", cell, class_=kind, data_name=name if kind else None) for name, (cell, kind) in named]
    return tag("tr", row, class_="chosen" if chosen else None)


def _change(line: str) -> tuple[str, Html, str]:
    """A line of `changes` as its sign, its words, and the class they are drawn with."""
    match = _CHANGE.fullmatch(line)
    if not match:
        return "", tag("bdi", line), ""
    sign, id, words = match.groups()
    old, new = _reworded(words) if sign == "~" else ("", words)
    said = [tag("del", tag("bdi", old)), " "] if old else []
    kind = {"+": "plus", "-": "minus"}.get(sign, "")
    return sign.replace("-", "−"), tag("", f"{id} ", said, tag("bdi", new)), kind


def _mistake(mistake: Mistake) -> Html:
    row = mistake["row"]
    text = tag("blockquote", row, dir="auto")
    if len(row) > _OPENING:
        opening = tag("summary", one_line(row, _OPENING), dir="auto")
        text = tag("details", opening, text)
    sure = mistake["confidence"]
    given = (
        tag("b", tag("bdi", mistake["prediction"]), class_="bad")
        if mistake["prediction"]
        else tag("b", "no label", class_="bad")
    )
    return tag(
        "li",
        text,
        tag("small", "right: ", tag("b", tag("bdi", mistake["label"]), class_="good"), " · given: ", given),
        tag("small", f" · {_score(sure, 'accuracy')} sure") if sure is not None and math.isfinite(sure) else None,
    )


class _Event(NamedTuple):
    """Something that happened to a principle."""

    step: int
    done: str
    reason: str
    words: str
    """The words it had before, or when it was taken out."""


def _story(result: TrainingResult) -> dict[str, list[_Event]]:
    """What happened to each principle on the way from the start to the best rulebook."""
    found: dict[str, list[_Event]] = {}
    for step, candidate in _ancestors(result.history):
        told = set()
        for line in candidate["changes"]:
            if match := _CHANGE.fullmatch(line):
                sign, id, words = match.groups()
                old, new = _reworded(words) if sign == "~" else ("", words)
                switched = sign == "~" and new in ("switched on", "switched off")
                event = _Event(
                    step, new if switched else _DONE[sign], _why(candidate, id, new), words if sign == "-" else old
                )
                found.setdefault(id, []).append(event)
                told.add(id)
        for edit in candidate["edits"]:
            id, done = edit.get("id"), _OPS.get(str(edit.get("op")))
            if id and done and id not in told:
                found.setdefault(str(id), []).append(_Event(step, done, _why(candidate, str(id), ""), ""))
    return found


def _ancestors(history: Sequence[StepRecord]) -> list[tuple[int, CandidateRecord]]:
    """The candidates that led to the best rulebook, with the steps in which they were tried first."""
    first: dict[str, tuple[int, CandidateRecord]] = {}
    for step in history:
        for candidate in step["candidates"]:
            first.setdefault(candidate["id"], (step["step"], candidate))
    path: list[tuple[int, CandidateRecord]] = []
    at = history[-1]["best"] if history else None
    while at in first:
        path.append(first.pop(at))  # a parent that is met again ends the walk
        at = path[-1][1]["parent"]
    return path[::-1]


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


def _event(event: _Event, id: str = "") -> Html:
    where = tag("a", f"Step {event.step}" if event.step else "Start", href=f"#step-{event.step}")
    what = f" · {id} {event.done}" if id else f" · {event.done}"
    reason = [": ", tag("bdi", event.reason)] if event.reason else None
    return tag("li", where, what, reason, [" ", tag("del", tag("bdi", event.words))] if event.words else None)


# -- numbers ---------------------------------------------------------------------------------------------------


def _metric(result: TrainingResult) -> str:
    return result.rulebook.score.metric if result.rulebook.score else "accuracy"


def _name(metric: str) -> str:
    return _NAMES.get(metric, metric)


def _final(result: TrainingResult) -> float | None:
    if result.rulebook.score:
        return result.rulebook.score.value
    return result.history[-1]["score"] if result.history else _of_card(result.scorecard, "accuracy")


def _first(result: TrainingResult) -> tuple[float | None, str]:
    """What training is compared with, and its name: the zero-shot where it was scored, else the start."""
    metric = _metric(result)
    if result.zero_shot and (score := _of_card(result.zero_shot, metric)) is not None:
        return score, "zero-shot"
    start = result.history[0]["candidates"] if result.history else []
    for candidate in start:
        if candidate["origin"] == "zero-shot" and candidate["score"] is not None:
            return candidate["score"], "zero-shot"
    return (result.history[0]["score"], "at the start") if result.history else (None, "")


def _of_card(card: Mapping[str, Any], metric: str) -> float | None:
    value = card.get(metric)
    return value if isinstance(value, float) else None


def _point(step: StepRecord, metric: str, n: int) -> Point:
    others = [c for c in step["candidates"] if c["id"] != step["best"]]
    dots = tuple((c["score"], c["rows"] >= n) for c in others if c["score"] is not None)
    ends = step["interval"]
    interval = (ends[0], ends[1]) if metric == "accuracy" and len(ends) == 2 else None
    return Point(step["step"], step["score"], interval, step["gained"], dots)


def _score(value: float | None, metric: str) -> str:
    if value is None or not math.isfinite(value):
        return "–"
    return f"{100 * value:.1f}".removesuffix(".0") + "%" if metric in _SHARES else f"{value:.3f}"


def _spent(result: TrainingResult) -> list[tuple[str, str]]:
    usage, rows = result.usage, result.scorecard["n"]
    seconds = sum(step["seconds"] for step in result.history) or usage.seconds
    money = [("Cost", f"{usage.cost:,.4f}".rstrip("0").rstrip("."))] if usage.cost > 0 else []
    return [
        ("Validation rows", f"{rows:,}"),
        ("Steps", str(max(0, len(result.history) - 1))),
        ("Model calls", f"{usage.calls:,}"),
        ("Tokens", f"{usage.tokens:,}"),
        ("Time", _duration(seconds)),
        *money,
    ]


def _duration(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _was(things: Sequence[object]) -> str:
    return "was" if len(things) == 1 else "were"


def _told(value: Any, name: str = "") -> list[tuple[str, str]]:
    """A nested value as lines of name and text."""
    if isinstance(value, Mapping) and value:
        return [line for key, inner in value.items() for line in _told(inner, f"{name} · {key}" if name else str(key))]
    return (
        [(name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))]
        if name
        else []
    )


def _section(title: str, *inside: object) -> Html:
    return tag("section", tag("h2", title), *inside)


def _table(names: Sequence[str], rows: Sequence[Html], class_: str | None = None) -> Html:
    head = tag("tr", [tag("th", name, class_="num" if name in _NUMBERS else None) for name in names])
    return tag("table", tag("thead", head) if any(names) else None, tag("tbody", *rows), class_=class_)
