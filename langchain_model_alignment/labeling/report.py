"""The training report: what was learned, why, and what it cost, as one HTML file that needs nothing else.

Texts of data, models and people pass through `tag`, which escapes them.
"""

import math
from collections.abc import Sequence
from pathlib import Path

from langchain_model_alignment.artifacts import write_text
from langchain_model_alignment.constitution import Principle
from langchain_model_alignment.labeling.experts.page import regions_section
from langchain_model_alignment.labeling.experts.records import MixtureResult
from langchain_model_alignment.labeling.figures import Point, confusion_matrix, learning_curve, most_confused
from langchain_model_alignment.labeling.page import (
    STYLE,
    Html,
    bar,
    count,
    duration,
    lines_of,
    metric_name,
    number,
    one_line,
    section,
    table,
    tag,
)
from langchain_model_alignment.labeling.precedents import Precedent
from langchain_model_alignment.labeling.records import CandidateRecord, Mistake, StepRecord, TrainingResult
from langchain_model_alignment.labeling.scorecard import distance_text
from langchain_model_alignment.labeling.story import (
    AnyResult,
    Event,
    change_of,
    final_score,
    first_score,
    metric_of,
    sentences_of,
    spent,
    story_of,
)

__all__ = ["report_html", "write_report"]

_SHOWN_LABELS = 20  # in the confusion matrix
_SHOWN_MISTAKES = 50
_OPENING = 320  # characters of a long row that are shown before it is opened
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"  # a browser is told that nothing may be loaded or run


def write_report(result: AnyResult, path: str | Path) -> Path:
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


def report_html(result: AnyResult) -> str:
    """Return the training report as a page that loads nothing, runs nothing, and is the same for equal results.

    Args:
        result: What training left behind.

    Returns:
        HTML.

    Raises:
        ConfigurationError: Matplotlib is not installed.
    """
    regions, one = (regions_section(result), result.general) if isinstance(result, MixtureResult) else (None, result)
    before = (_headline(result), regions, _curve(one), _rulebook(one), _steps(one))
    after = (_confusions(result), _mistakes(result), _costs(one), _about(result))
    head = (
        Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        tag("title", f"Training report: {one_line(result.rulebook.task.question, 120)}"),
        tag("style", STYLE),
    )
    page = tag("html", tag("head", *head), "\n", tag("body", *before, *after), lang="en")
    return f"<!doctype html>\n{page}\n"


# -- the sections, in their order ------------------------------------------------------------------------------


def _headline(result: AnyResult) -> Html:
    card, metric, final = result.scorecard, metric_of(result), final_score(result)
    first, origin = first_score(result)
    low, high = card["accuracy_interval"]
    before = [tag("span", number(first, metric), tag("small", origin)), tag("span", "→", aria_hidden="true")]
    sentence = f"{metric_name(metric)} from {number(first, metric)} ({origin}) to {number(final, metric)}"
    if first is None:
        before, sentence = [], f"{metric_name(metric)} {number(final, metric)}"
    interval = f"{number(low, 'accuracy')} to {number(high, 'accuracy')}"
    return tag(
        "header",
        tag("p", "Training report", class_="eyebrow"),
        tag("h1", result.rulebook.task.question, dir="auto"),
        tag("p", *before, tag("b", number(final, metric), tag("small", "trained rulebook")), class_="rise"),
        tag("p", sentence[:1].upper() + sentence[1:], f", {count(card['n'], 'validation row')}."),
        tag("p", f"The labels stand in order: {far}.") if (far := distance_text(card)) else None,
        tag("p", f"95% interval of the accuracy: {interval}. ", _CHOSEN_ON_THESE, class_="note"),
        tag("p", "Why it stopped: ", tag("bdi", result.stopped_because.rstrip(".") or "not recorded"), "."),
        tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in spent(result)], class_="facts"),
    )


_CHOSEN_ON_THESE = "The rulebook was chosen on these rows, so expect a little less on rows it has never met."


def _curve(result: TrainingResult) -> Html:
    metric = metric_of(result)
    first, origin = first_score(result)
    points = [_point(step, metric, result.scorecard["n"]) for step in result.history]
    zero_shot = first if origin == "zero-shot" else None
    if not points:
        return section("Learning curve", tag("p", "No steps were recorded.", class_="note"))
    drawn = [learning_curve(points, zero_shot, lambda value: number(value, metric), width) for width in (880, 340)]
    caption = f"The best {metric_name(metric)} after each step; a hollow one is the start, or a step without gain. "
    if metric == "accuracy":
        caption += "Wide bars are 95% intervals. "
    else:
        caption += "Intervals are known for the accuracy only and are not drawn. "
    caption += "Faint dots are the candidates of the step, hollow where they left before all rows were scored."
    return section("Learning curve", tag("figure", drawn), tag("p", caption, class_="note"))


def _rulebook(result: TrainingResult) -> Html:
    story, groups = story_of(result), result.rulebook.by_label()
    loose = [principle for principle in result.rulebook.constitution if principle.label not in groups]
    parts: list[Html] = []
    for label, principles in [*groups.items(), ("For no label in particular", loose)]:
        if principles:
            shown = [_principle(principle, result, story.get(principle.id, [])) for principle in principles]
            parts.append(tag("section", tag("h3", tag("bdi", label)), shown))
    if bare := [label for label in result.rulebook.task.labels if not groups[label]]:
        names = [[", " if at else "", tag("bdi", label)] for at, label in enumerate(bare)]
        parts.append(tag("p", "Without a principle: ", names, ".", class_="note"))
    if cited := result.rulebook.precedents:
        rows = [_precedent(precedent, story.get(f"row {precedent.row}", [])) for precedent in cited]
        parts.append(tag("section", tag("h3", "Precedents: training rows that are shown with their labels"), rows))
    gone = [_event(event, id) for id, events in story.items() for event in events if event.done == "taken out"]
    if gone:
        parts.append(tag("section", tag("h3", "Taken out on the way"), tag("ul", gone, class_="story")))
    return section("The rulebook", *parts)


def _steps(result: TrainingResult) -> Html:
    metric, parts, before = metric_of(result), [], None
    for step in result.history:
        parts.append(_step(step, before, metric))
        before = step
    return section("What each step changed, and why", *(parts or [tag("p", "No steps were recorded.", class_="note")]))


def _confusions(result: AnyResult) -> Html:
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
    figures = table(names, rows)
    if n > _SHOWN_LABELS:
        figures = tag("details", tag("summary", f"All {n} labels, one by one"), figures)
    pair = tag("div", tag("figure", confusion_matrix(card, chosen)), figures, class_="pair")
    return section("Where labels are confused", tag("p", note, class_="note"), pair)


def _mistakes(result: AnyResult) -> Html:
    card, shown = result.scorecard, result.mistakes[:_SHOWN_MISTAKES]
    wrong = max(len(result.mistakes), card["n"] - sum(row[i] for i, row in enumerate(card["confusion"])))
    note = "No mistake is left on the validation rows."
    if shown:
        note = f"Validation rows that the rulebook still gets wrong; {len(shown)} of {wrong} are shown."
    elif wrong:
        note = f"{count(wrong, 'validation row')} remain wrong; their texts were not recorded."
    listed = tag("ol", [_mistake(mistake) for mistake in shown], class_="mistakes") if shown else None
    return section("The mistakes that remain", tag("p", note, class_="note"), listed)


def _costs(result: TrainingResult) -> Html:
    most_calls = max((step["calls"] for step in result.history), default=0) or 1
    longest = max((step["seconds"] for step in result.history if math.isfinite(step["seconds"])), default=0) or 1
    rows = []
    for step in result.history:
        calls = tag("td", bar(step["calls"] / most_calls), f"{step['calls']:,}")
        seconds = tag("td", bar(step["seconds"] / longest), duration(step["seconds"]))
        rows.append(tag("tr", tag("th", step["step"]), calls, seconds, tag("td", f"{step['tokens']:,}", class_="num")))
    return section("What each step cost", table(["Step", "Calls", "Time", "Tokens"], rows))


def _about(result: AnyResult) -> Html:
    rows = [
        tag("tr", tag("th", tag("bdi", name)), tag("td", tag("bdi", text))) for name, text in lines_of(result.about)
    ]
    body = table(["", ""], rows) if rows else tag("p", "Nothing was recorded.", class_="note")
    return tag("details", tag("summary", "Models, data and hyperparameters"), body)


# -- their parts -----------------------------------------------------------------------------------------------


def _principle(principle: Principle, result: TrainingResult, events: list[Event]) -> Html:
    start = {p.id: p for p in result.initial.constitution}.get(principle.id)
    if start is not None and not any(event.done == "added" for event in events):
        events = [Event(0, "there from the start", start.reason, ""), *events]
    told = tag("ul", [_event(event) for event in events], class_="story") if events else tag("small", principle.reason)
    found = result.rulebook.evidence.get(principle.id)
    evidence = "decided none of the rows that were asked about" if result.rulebook.evidence else ""
    share = None
    if found is not None and found.decided:
        evidence = f"decided {count(found.decided, 'row')}, {found.right} rightly"
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


def _precedent(precedent: Precedent, events: list[Event]) -> Html:
    words = tag("p", tag("b", tag("bdi", precedent.label)), ": ", tag("bdi", precedent.text), class_="words")
    told = tag("ul", [_event(event) for event in events], class_="story") if events else None
    return tag("div", tag("div", precedent.row[:6], class_="id"), tag("div", words, told), class_="principle")


def _step(step: StepRecord, before: StepRecord | None, metric: str) -> Html:
    names = ["Candidate", "What it changes", "Screened", "Score", "Rows", "Fate"]
    rows = [_candidate(candidate, candidate["id"] == step["best"], names, metric) for candidate in step["candidates"]]
    score = number(step["score"], metric)
    verdict = score if before is None else "no gain"
    if before and step["gained"]:
        verdict = f"{number(before['score'], metric)} → {score}"
    chip = tag("span", verdict, class_="chip good" if step["gained"] else "chip")
    return tag(
        "article",
        tag("h3", f"Step {step['step']}" if step["step"] else "The start", chip),
        tag("p", " ".join(sentences_of(step, before, metric))),
        tag("ul", [tag("li", tag("bdi", text)) for text in step["refused"]]) if step["refused"] else None,
        table(names, rows, "cards") if rows else None,
        id=f"step-{step['step']}",
    )


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
        (number(candidate["score"], metric), "num"),
        (candidate["rows"], "num"),
        (fate, "fate"),
    ]
    named = zip(names, cells, strict=True)
    row = [tag("td", cell, class_=kind, data_name=name if kind else None) for name, (cell, kind) in named]
    return tag("tr", row, class_="chosen" if chosen else None)


def _change(line: str) -> tuple[str, Html, str]:
    """A line of `changes` as its sign, its words, and the class they are drawn with."""
    change = change_of(line)
    if not change:
        return "", tag("bdi", line), ""
    sign, id, old, new = change
    said = [tag("del", tag("bdi", old)), " "] if old else []
    kind = {"+": "plus", "-": "minus"}.get(sign, "")
    return sign.replace("-", "−"), tag("", f"{id} ", said, tag("bdi", new)), kind


def _mistake(mistake: Mistake) -> Html:
    row = mistake["row"]
    text = tag("blockquote", row, dir="auto")
    if len(row) > _OPENING:
        text = tag("details", tag("summary", one_line(row, _OPENING), dir="auto"), text)
    sure = mistake["confidence"]
    given = tag("b", tag("bdi", mistake["prediction"]) if mistake["prediction"] else "no label", class_="bad")
    return tag(
        "li",
        text,
        tag("small", "right: ", tag("b", tag("bdi", mistake["label"]), class_="good"), " · given: ", given),
        tag("small", f" · {number(sure, 'accuracy')} sure") if sure is not None and math.isfinite(sure) else None,
    )


def _event(event: Event, id: str = "") -> Html:
    where = tag("a", f"Step {event.step}" if event.step else "Start", href=f"#step-{event.step}")
    what = f" · {id} {event.done}" if id else f" · {event.done}"
    reason = [": ", tag("bdi", event.reason)] if event.reason else None
    return tag("li", where, what, reason, [" ", tag("del", tag("bdi", event.words))] if event.words else None)


def _point(step: StepRecord, metric: str, n: int) -> Point:
    others = [c for c in step["candidates"] if c["id"] != step["best"]]
    dots = tuple((c["score"], c["rows"] >= n) for c in others if c["score"] is not None)
    ends = step["interval"]
    interval = (ends[0], ends[1]) if metric == "accuracy" and len(ends) == 2 else None
    return Point(step["step"], step["score"], interval, step["gained"], dots)
