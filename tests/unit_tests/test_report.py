"""The training report: one HTML file that tells what was learned and why, and that no text can break."""

import html
import math
import re
import sys
from html.parser import HTMLParser
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from langchain_model_alignment.constitution import Add, Delete, Edit, PrincipleEdit, Set
from langchain_model_alignment.errors import ConfigurationError
from langchain_model_alignment.labeling.figures import most_confused
from langchain_model_alignment.labeling.page import one_line, tag
from langchain_model_alignment.labeling.records import CandidateRecord, StepRecord, TrainingResult
from langchain_model_alignment.labeling.report import report_html, write_report
from langchain_model_alignment.labeling.rulebook import Evidence, Rulebook, Score
from langchain_model_alignment.labeling.scorecard import make_scorecard
from langchain_model_alignment.labeling.story import ancestors
from langchain_model_alignment.labeling.task import LabelingTask
from langchain_model_alignment.usage import Usage

NASTY = [
    "<script>alert(1)</script>",
    "$x$ and $\\frac{",
    '"><img src=x onerror=alert(1)>',
    "</title></style></svg><!-- &amp; ]]>",
    "{0} {name} %s {{ x }}",
    "שלום \u202eעולם",
    "日本語 🙂 e\u0301",
]


def candidate(id: str, before: Rulebook | None = None, *edits: PrincipleEdit, **given: Any) -> CandidateRecord:
    changes = before.constitution.diff(before.apply(edits).constitution) if before else []
    record: dict[str, Any] = {"parent": None, "origin": "proposal", "reason": f"reason of {id}", "evidence": []}
    record |= {"screened": None, "score": 0.7, "rows": 4, "principles": 2, "left": ""}
    record |= {"edits": [edit.model_dump(mode="json") for edit in edits], "changes": changes}
    return CandidateRecord(**{"id": id, **record, **given})


def step(number: int, best: str, *candidates: CandidateRecord, **given: Any) -> StepRecord:
    record: dict[str, Any] = {"parent": None, "sampled": 8, "wrong": 3, "abstained": 0, "failures": {}, "refused": []}
    record |= {"score": 0.75, "interval": [0.3, 0.95], "gained": True, "calls": 20, "tokens": 900, "seconds": 1.5}
    return StepRecord(**{"step": number, "best": best, "candidates": list(candidates), **record, **given})


def task_of(labels: list[str], question: str = "Is it rude?") -> LabelingTask:
    return LabelingTask(input_names=["text"], label_name="y", label_values=labels, task_description=question)


def result_of(book: Rulebook, **given: Any) -> TrainingResult:
    card = make_scorecard(book.task, [0, 0, 1, 1], [0, 0, 1, 0])
    fields: dict[str, Any] = {"initial": book, "history": (), "usage": Usage(), "scorecard": card}
    return TrainingResult(**{"rulebook": book, "stopped_because": "all steps are done", **fields, **given})


START = Rulebook.of(task_of(["yes", "no"]), {"yes": ["It insults somebody."], "no": ["It is kind."]})
WON = (Add(text="Swearing at a thing is fine.", label="no", reason="Row 7 swore at a door."),)
LOST = (Add(text="Every short text is rude.", label="yes"),)
WON_LATER = (
    Edit(id="p1", text="It insults somebody who reads it.", reason="Row 9 was about a dead poet."),
    Delete(id="p2"),
)


def trained(**given: Any) -> TrainingResult:
    """Two steps of gain and one without; a candidate of the first step lost."""
    one = START.apply(WON)
    two = one.apply(WON_LATER)
    history = (
        step(0, "c0", candidate("c0", origin="initial"), score=0.5, gained=False, sampled=0, wrong=0),
        step(1, "c1", candidate("c1", START, *WON, parent="c0"), candidate("c2", START, *LOST, parent="c0", rows=2)),
        step(2, "c3", candidate("c3", one, *WON_LATER, parent="c1", screened=-0.125)),
        step(3, "c3", candidate("c4", two, *LOST, parent="c3", left="behind after 2 rows"), gained=False),
    )
    book = two.model_copy(update={"evidence": {"p1": Evidence(decided=5, right=4)}})
    zero_shot = make_scorecard(START.task, [0, 0, 1, 1], [0, 1, 1, 0])
    fields = {"initial": START, "history": history, "zero_shot": zero_shot, "usage": Usage(calls=80, input_tokens=1200)}
    return result_of(book, **{**fields, **given})


class Page(HTMLParser):
    """What a browser makes of a report: its text, and whether its tags fit."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, name: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((name, dict(attrs)))
        if name != "meta":
            self.open.append(name)

    def handle_startendtag(self, name: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((name, dict(attrs)))

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def section(page: str, title: str) -> str:
    """The words between this heading and the next."""
    inside = page.split(f"<h2>{title}</h2>")[1].split("<h2>")[0]
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", inside)).split())


@pytest.fixture(scope="module")
def page() -> str:
    return report_html(trained())


# -- what it tells ---------------------------------------------------------------------------------------------


def test_it_begins_with_the_question_and_what_was_reached(page):
    text = Page(page).text
    assert "Is it rude? 50% zero-shot → 75% trained rulebook" in text
    assert "Accuracy from 50% (zero-shot) to 75%, 4 validation rows." in text
    assert "Why it stopped: all steps are done ." in text
    assert "Model calls 80 Tokens 1,200 Time 6.0 s" in text


def test_its_sections_come_in_the_order_of_a_readers_questions(page):
    assert re.findall("<h2>(.*?)</h2>", page) == [
        "Learning curve",
        "The rulebook",
        "What each step changed, and why",
        "Where labels are confused",
        "The mistakes that remain",
        "What each step cost",
    ]


def test_money_is_told_only_where_it_was_counted(page):
    assert "Cost" not in Page(page).text
    assert "Cost 0.0312" in Page(report_html(trained(usage=Usage(cost=0.0312)))).text


def test_a_principle_tells_its_evidence_and_which_step_made_it_and_why(page):
    told = section(page, "The rulebook")
    assert "p1 It insults somebody who reads it. decided 5 rows, 4 rightly" in told
    assert "Start · there from the start Step 2 · reworded: Row 9 was about a dead poet. It insults somebody." in told
    assert "p3 Swearing at a thing is fine." in told
    assert "Step 1 · added: Row 7 swore at a door." in told


def test_a_principle_that_an_ancestor_took_out_is_told_with_its_words(page):
    assert "Taken out on the way Step 2 · p2 taken out: reason of c3 It is kind." in section(page, "The rulebook")


def test_what_only_a_losing_candidate_proposed_is_not_in_the_rulebook(page):
    assert "Every short text is rude." not in section(page, "The rulebook")
    assert "Every short text is rude." in section(page, "What each step changed, and why")


def test_a_principle_that_is_switched_off_is_marked():
    off = START.apply([Set(id="p1", field="enabled", value=False)])
    assert "It insults somebody. switched off" in section(report_html(result_of(off)), "The rulebook")


def test_labels_without_a_principle_and_principles_without_a_label_are_told():
    book = START.apply([Delete(id="p2"), Add(text="Read twice.")])
    told = section(report_html(result_of(book)), "The rulebook")
    assert "Without a principle: no ." in told
    assert "For no label in particular p3 Read twice." in told


def test_a_step_marks_its_choice_and_tells_the_fate_of_the_others(page):
    told = section(page, "What each step changed, and why")
    assert "Step 1 50% → 75%" in told
    assert "c1 proposal + p3 Swearing at a thing is fine. reason of c1 – 70% 4 kept" in told
    assert "c3 proposal − p2 It is kind. ~ p1 It insults somebody. It insults somebody who reads it." in told
    assert "−0.125" in told
    assert "behind after 2 rows" in told


def test_a_step_without_gain_says_so(page):
    told = section(page, "What each step changed, and why")
    assert "Step 3 no gain" in told
    assert "No candidate was better, so the rulebook stays as it was, at 75%." in told


def test_a_step_tells_in_words_what_failed_and_what_was_refused():
    odd = step(1, "c0", abstained=2, failures={"RateLimitError": 2}, refused=["“Be good.” says nothing."])
    told = section(report_html(result_of(START, history=(step(0, "c0"), odd))), "What each step changed, and why")
    assert "8 training rows labeled, 3 of them wrong. Of the wrong ones, 2 had no readable label." in told
    assert "2 calls failed for good (RateLimitError). 1 proposal was not tried: “Be good.” says nothing." in told


def test_the_mistakes_that_remain_are_shown_with_both_labels_and_how_sure_it_was():
    mistakes = [
        {"row": "text: you door", "label": "no", "prediction": "yes", "confidence": 0.93},
        {"row": "text: hm", "label": "yes", "prediction": "", "confidence": None},
    ]
    told = section(report_html(trained(mistakes=mistakes)), "The mistakes that remain")
    assert "text: you door right: no · given: yes · 93% sure" in told
    assert "text: hm right: yes · given: no label" in told


def test_a_long_row_is_folded_and_at_most_fifty_mistakes_are_shown():
    mistake = {"row": "text: " + "word " * 200, "label": "no", "prediction": "yes", "confidence": math.nan}
    page = report_html(trained(mistakes=[mistake] * 60))
    assert "50 of 60 are shown" in page
    assert page.count("<blockquote") == page.count("<details><summary dir") == 50


def test_hyperparameters_and_models_are_listed_at_the_end():
    text = Page(report_html(trained(about={"model": "qwen", "hyperparameters": {"seed": 0, "n": [1]}}))).text
    assert text.endswith("Models, data and hyperparameters model qwen hyperparameters · seed 0 hyperparameters · n [1]")


# -- numbers and figures ---------------------------------------------------------------------------------------


def test_another_metric_is_named_and_gets_no_interval_of_the_accuracy():
    scored = START.model_copy(update={"score": Score(metric="kappa", value=0.5, rows=4)})
    page = report_html(trained(rulebook=scored))
    assert "Cohen&#x27;s kappa from 0.000 (zero-shot) to 0.500" in page
    assert "Intervals are known for the accuracy only" in page


def test_the_metric_is_the_one_of_the_training_where_the_rulebook_has_no_score():
    named = trained(about={"metric": "kappa"})
    assert named.rulebook.score is None
    assert "Cohen&#x27;s kappa from 0.000 (zero-shot) to 0.750" in report_html(named)
    assert "Cohen&#x27;s kappa 0.500, 4 validation rows." in report_html(result_of(START, about={"metric": "kappa"}))


def test_the_score_of_the_rulebook_names_the_metric_before_the_training_does():
    scored = START.model_copy(update={"score": Score(metric="f1", value=0.5, rows=4)})
    assert "Macro F1" in report_html(trained(rulebook=scored, about={"metric": "kappa"}))


def test_the_curve_shows_the_zero_shot_and_the_last_score(page):
    curve = page.split('class="curve-880"')[1].split("</svg>")[0]
    assert ">zero-shot 50%</text>" in curve
    assert ">75%</text>" in curve


def test_figures_take_their_colours_from_the_page_so_that_they_fit_light_and_dark(page):
    for svg in re.findall("<svg.*?</svg>", page, flags=re.DOTALL):
        assert "var(--ink)" in svg or "var(--accent)" in svg
        assert not re.search(r"(?:fill|stroke): #", svg)


def test_two_hundred_labels_are_cut_to_those_most_confused_and_the_page_says_so():
    task = task_of([f"label {n}" for n in range(200)])
    card = make_scorecard(task, [*range(200), 7, 7, 150], [*range(200), 8, 8, -1])
    chosen = most_confused(card, 20)
    assert {7, 8, 150} <= set(chosen)
    assert chosen == sorted(chosen)
    page = report_html(result_of(Rulebook(task=task), scorecard=card))
    assert "Shown are the 20 of 200 labels that take part in the most confusions." in page
    matrix = page.split('class="confusion"')[1].split("</svg>")[0]
    assert ">(others)</text>" in matrix
    assert ">(no label)</text>" in matrix
    assert ">180</text>" in matrix


# -- what no text can do ---------------------------------------------------------------------------------------


def nasty_result(text: str, label: str | None = None) -> TrainingResult:
    """A result that has a text wherever a text can be; labels and question may have another one."""
    label = text if label is None else label
    rulebook = Rulebook.of(task_of([label, "no"], label), {label: [text]})
    add = Add(text=text, label=label, reason=text)
    tried = candidate("c0", rulebook, add, reason=text, left=text, origin="initial")
    steps = (step(0, "c0", tried, failures={text: 1}, refused=[text]), step(1, "c0", {**tried, "id": text}))
    mistakes = [{"row": text, "label": text, "prediction": text, "confidence": 0.5}]
    told: dict[str, Any] = {"stopped_because": text, "about": {text: {text: text}}, "mistakes": mistakes}
    return result_of(rulebook, history=steps, **told)


@pytest.mark.parametrize("text", NASTY)
def test_texts_of_data_and_models_stay_text(text):
    parsed, plain = Page(report_html(nasty_result(text))), Page(report_html(nasty_result("plain")))
    assert parsed.open == []
    assert text in parsed.text
    assert {name for name, _ in parsed.tags} == {name for name, _ in plain.tags}
    assert not any(key.startswith("on") for _, attrs in parsed.tags for key in attrs)


def test_a_dollar_in_a_label_is_no_formula():
    matrix = report_html(nasty_result("$x$")).split('class="confusion"')[1].split("</svg>")[0]
    assert ">$x$</text>" in matrix


def test_halves_of_characters_and_control_characters_are_replaced(tmp_path):
    page = write_report(nasty_result("a\ud800\x00b", "yes"), tmp_path / "report.html").read_text("utf-8")
    assert "a\ufffd\ufffdb" in page
    assert "\x00" not in page


def test_text_in_an_attribute_cannot_leave_it():
    assert tag("p", title='" onload="x', dir=None) == '<p title="&quot; onload=&quot;x"></p>'


def test_the_page_loads_nothing_and_runs_nothing(page):
    assert "http:" not in page
    assert "https:" not in page
    for name, attrs in Page(page).tags:
        assert name not in {"script", "link", "img", "iframe", "object", "base", "form"}
        assert (attrs.get("href") or "#").startswith("#")
        assert "src" not in attrs
    assert all(target.startswith("#") for target in re.findall(r"url\((.*?)\)", page))
    assert "default-src &#x27;none&#x27;" in page or "default-src 'none'" in page


def test_every_link_has_its_target_and_every_id_is_there_once(page):
    tags = Page(page).tags
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    targets = {attrs["href"] for _, attrs in tags if "href" in attrs} | set(re.findall(r"url\((.*?)\)", page))
    assert len(ids) == len(set(ids))
    assert targets <= {f"#{id}" for id in ids}


def test_a_text_is_cut_to_one_line():
    assert one_line(" two\n lines ", 20) == "two lines"
    assert one_line("abcdef", 4) == "abc…"


# -- what may be missing ---------------------------------------------------------------------------------------


def test_a_result_without_any_step_has_a_report():
    text = Page(report_html(result_of(START))).text
    assert "Accuracy 75%, 4 validation rows." in text
    assert "No steps were recorded." in text


def test_without_a_zero_shot_the_start_is_compared_with(page):
    text = Page(report_html(trained(zero_shot=None))).text
    assert "Accuracy from 50% (at the start) to 75%" in text
    assert "zero-shot" not in text


def test_scores_that_are_missing_or_no_number_are_a_dash():
    odd = candidate("c1", score=None, screened=math.nan)
    worse = candidate("c2", score=math.nan)
    lost = step(1, "c9", odd, worse, score=math.nan, interval=[math.nan, math.nan], seconds=math.nan)
    told = section(report_html(result_of(START, history=(step(0, "c0"), lost))), "What each step changed, and why")
    assert "Step 1 75% → –" in told


def test_numbers_that_are_none_survive_the_file(tmp_path):
    odd = candidate("c1", score=math.nan, screened=math.inf)
    lost = step(1, "c1", odd, score=math.nan, interval=[math.nan, math.nan], seconds=-math.inf)
    book = START.model_copy(update={"score": Score(metric="mine", value=math.nan, rows=4)})
    mistake = {"row": "text: hm", "label": "yes", "prediction": "no", "confidence": math.nan}
    given = trained(rulebook=book, history=(lost,), mistakes=[mistake], about={"mine": {"worst": math.nan}})
    loaded = TrainingResult.load(given.save(tmp_path / "result.json"))
    assert repr(loaded) == repr(given)  # NaN is equal to nothing, but looks the same
    assert "nan" in repr(loaded.history[0]["candidates"][0]["score"])
    assert report_html(loaded) == report_html(given)


def test_parents_in_a_circle_end_the_walk():
    circle = step(0, "c0", candidate("c0", parent="c1"), candidate("c1", parent="c0"))
    walk = [record["id"] for _, record in islice(ancestors([circle]), 9)]
    assert walk == ["c0", "c1"]  # before the report, which would never end
    assert "there from the start" in report_html(result_of(START, history=(circle,)))


def test_without_matplotlib_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigurationError, match=r'pip install "langchain-model-alignment\[report\]"'):
        report_html(result_of(START))


# -- the file --------------------------------------------------------------------------------------------------


def test_equal_results_give_equal_bytes_whatever_style_the_caller_has_set(page):
    import matplotlib

    loaded = TrainingResult.model_validate_json(trained().model_dump_json())
    with matplotlib.rc_context({"font.size": 30, "axes.grid": True, "svg.fonttype": "path", "text.color": "red"}):
        assert report_html(loaded) == page


def test_drawing_leaves_the_callers_settings_as_they_were(page):
    import matplotlib

    before = dict(matplotlib.rcParams)
    report_html(result_of(START))
    assert dict(matplotlib.rcParams) == before


def test_it_is_written_to_the_path_that_is_returned(tmp_path: Path, page):
    path = write_report(trained(), tmp_path / "reports" / "run.html")
    assert path == tmp_path / "reports" / "run.html"
    assert path.read_text("utf-8") == page


def test_of_ordered_labels_it_tells_how_far_off_they_are():
    book = Rulebook.of(task_of(["low", "middle", "high"]).model_copy(update={"ordered": True}), {})
    card = make_scorecard(book.task, [0, 1, 2, 2], [0, 1, 2, 1])
    score = Score(metric="mae", value=-0.25, rows=4)
    page = report_html(result_of(book.model_copy(update={"score": score}), scorecard=card))
    assert "The labels stand in order: mean absolute error 0.250 of 2 steps, quadratic kappa 0.800." in page
    assert "Negative mean absolute error -0.250, 4 validation rows." in page
    assert "stand in order" not in report_html(result_of(START))
