"""The rulebook: JSON and back, a prompt for anywhere, and a fingerprint of what a model is shown."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import BaseMessage

from langchain_model_alignment.constitution import Add, Constitution, Delete, Edit, Move, Principle, Set
from langchain_model_alignment.errors import ArtifactError, DataError
from langchain_model_alignment.labeling.calibration import Calibration
from langchain_model_alignment.labeling.rulebook import Evidence, Rulebook, Score
from langchain_model_alignment.labeling.task import LabelingTask
from tests.simulated import QUESTION, TASK, book_of

FEW = settings(deadline=None, max_examples=30)
SENTENCES = st.lists(st.text(min_size=1, max_size=30).filter(lambda text: text.strip()), max_size=4)
NASTY = ['Says {"a": 1} or {name} or {{x}}.', "Holds {text} or {0} or {}.", "Uses %s, $y and {{", "A } and a {."]


@FEW
@given(SENTENCES, SENTENCES, st.sampled_from([None, 0.5]))
def test_a_rulebook_is_json_and_back(yes: list[str], no: list[str], threshold: float | None):
    book = book_of(
        {"yes": yes, "no": no},
        scoring="logprob",
        layout="question",
        calibration=Calibration(bias=(0.5, -0.5), slope=1.25, loss=0.3, rows=9),
        threshold=threshold,
        evidence={"p1": Evidence(decided=3, right=2)},
        score=Score(metric="f1", value=0.75, rows=40, data="x"),
    )
    assert Rulebook.from_dict(json.loads(book.to_json())) == book
    assert Rulebook.from_dict(json.loads(book.to_json())).to_json() == book.to_json()


def test_labels_keep_their_types_in_a_file(tmp_path: Path):
    task = LabelingTask(input_names=["x"], label_name="y", label_values=[True, 2, 0.5, "a"])
    loaded = Rulebook.load(Rulebook.of(task, {}).save(tmp_path / "rulebook.json"))
    assert [(type(v), v) for v in loaded.task.label_values] == [(bool, True), (int, 2), (float, 0.5), (str, "a")]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"task": 1}', '{"version": 2}'])
def test_a_file_that_is_no_rulebook_is_named(tmp_path: Path, text: str):
    file = tmp_path / "odd.json"
    file.write_text(text)
    with pytest.raises(ArtifactError, match=r"odd\.json"):
        Rulebook.load(file)


def test_a_task_in_a_file_that_makes_no_sense_is_refused():
    value = json.loads(book_of({}).to_json())
    value["task"]["label_values"] = ["yes"]
    with pytest.raises(ArtifactError, match="label"):
        Rulebook.from_dict(value)


def test_two_principles_with_one_id_are_refused():
    value = json.loads(book_of({"yes": ["One.", "Two."]}).to_json())
    value["constitution"]["principles"][1]["id"] = "p1"
    with pytest.raises(ArtifactError, match="share an id"):
        Rulebook.from_dict(value)


@pytest.mark.parametrize("text", ["half \ud800", "\\\udfff", "\\ud800"])
def test_half_of_a_character_is_saved_and_read_as_it_is(text: str, tmp_path: Path):
    book = book_of({"yes": [text]})
    assert Rulebook.load(book.save(tmp_path / "rulebook.json")) == book


def test_a_rulebook_whose_label_is_half_of_a_character_is_none(tmp_path: Path):
    value = json.loads(book_of({"yes": ["It is."]}).to_json())
    value["constitution"]["principles"][0]["label"] = "\ud800"
    with pytest.raises(ArtifactError, match="no rulebook"):
        Rulebook.from_dict(value)


# -- written by hand


def test_a_label_is_named_by_its_value_or_its_text():
    task = LabelingTask(input_names=["x"], label_name="y", label_values=[True, False])
    assert Rulebook.of(task, {True: ["A."], "false": "B."}).by_label()["False"][0].text == "B."
    with pytest.raises(DataError, match="maybe"):
        Rulebook.of(task, {"maybe": ["A."]})


@pytest.mark.parametrize("sentences", [[""], ["A.", "  "], "\n", [None], [3]])
def test_a_principle_without_words_is_told_in_a_sentence(sentences: Any):
    with pytest.raises(DataError, match="A principle for yes has no words"):
        Rulebook.of(TASK, {"yes": sentences})


def test_a_label_without_principles_is_still_an_answer():
    book = book_of({"yes": ["Meows."]}).apply([Delete(id="p1")])
    assert "yes" in book.system_text()
    assert "Attributes for: yes" in book.as_text()


def test_principles_are_numbered_as_they_are_shown():
    book = book_of({"yes": ["One.", "Two."], "no": ["Three."]}).apply([Set(id="p1", field="enabled", value=False)])
    assert "1. yes: Two.\n2. no: Three." in book.system_text()
    assert "One." not in book.system_text()
    assert "p1: One. (switched off)" in book.as_text()


# -- the fingerprint


def test_the_fingerprint_ignores_ids_reasons_and_evidence():
    book = book_of({"yes": ["One."], "no": ["Two."]})
    principles = [
        Principle(id=f"p{n}", text=p.text, label=p.label, evidence=("row",), reason="because")
        for n, p in enumerate(book.constitution, 7)
    ]
    other = book.model_copy(
        update={"constitution": Constitution(principles=tuple(principles)), "evidence": {"p7": Evidence(decided=1)}}
    )
    assert other.fingerprint() == book.fingerprint()
    scored = book.model_copy(update={"score": Score(metric="accuracy", value=1.0, rows=3)})
    assert scored.fingerprint() == book.fingerprint()


@pytest.mark.parametrize(
    "edit",
    [
        Add(text="Three.", label="no"),
        Edit(id="p1", text="Uno."),
        Delete(id="p1"),
        Move(id="p1", to=1),
        Set(id="p1", field="enabled", value=False),
        Set(id="p1", field="condition", value="it rains"),
    ],
    ids=lambda edit: type(edit).__name__,
)
def test_the_fingerprint_knows_every_edit_that_a_model_sees(edit: Any):
    book = book_of({"yes": ["One."], "no": ["Two."]})
    assert book.apply([edit]).fingerprint() != book.fingerprint()


def test_the_fingerprint_knows_the_way_of_asking():
    ways = [{}, {"scoring": "logprob"}, {"layout": "question"}, {"scoring": "logprob", "layout": "question"}]
    assert len({book_of({"yes": ["One."]}, **way).fingerprint() for way in ways}) == 4


def test_a_rulebook_of_another_task_is_refused_with_both_fingerprints():
    other = TASK.model_copy(update={"task_description": "Is it a plant?"})
    with pytest.raises(ArtifactError) as caught:
        book_of({}).check_task(other)
    assert TASK.fingerprint() in str(caught.value)
    assert other.fingerprint() in str(caught.value)


def test_an_edit_leaves_behind_what_was_learned_with_the_old_words():
    book = book_of(
        {"yes": ["One.", "Two."]},
        calibration=Calibration(bias=(0.0, 0.0)),
        evidence={"p1": Evidence(decided=4), "p2": Evidence(decided=5)},
        score=Score(metric="accuracy", value=1.0, rows=3),
    )
    after = book.apply([Edit(id="p1", text="Uno.")])
    assert (after.calibration, after.score, set(after.evidence)) == (None, None, {"p2"})
    assert book.evidence["p1"].decided == 4


# -- as a prompt


def shown(book: Rulebook, **row: Any) -> list[BaseMessage]:
    return book.to_prompt().format_messages(**row)


@pytest.mark.parametrize("layout", ["row", "question"])
def test_the_prompt_is_what_the_classifier_sends(layout: Any):
    book = book_of({"yes": NASTY, "no": ["Two."]}, layout=layout)
    system, human = shown(book, text="a {cat} {{")
    assert system.text == book.system_text()
    assert human.text == book.human_text(TASK.show({"text": "a {cat} {{"}))


@FEW
@given(SENTENCES, st.text(max_size=30))
def test_no_principle_and_no_row_is_read_as_a_template(sentences: list[str], row: str):
    book = book_of({"yes": sentences})
    system, human = shown(book, text=row)
    assert system.text == book.system_text()
    assert human.text == f"text: {row}"


@pytest.mark.parametrize(
    "names", [["my column"], ["1st", "2nd"], ["rulebook"], ["a-b", "c.d"], ["größe"], ["{x}"], ["class"], ["a b", "c"]]
)
def test_odd_input_names_become_variables(names: list[str]):
    task = LabelingTask(input_names=names, label_name="y", label_values=["yes", "no"], task_description="Is {it}?")
    prompt = Rulebook.of(task, {"yes": ["It {is}."]}).to_prompt()
    assert len(prompt.input_variables) == len(names)
    system, human = prompt.format_messages(**dict.fromkeys(prompt.input_variables, "v"))
    assert "Is {it}?" in system.text
    assert human.text == "\n".join(f"{name}: v" for name in names)


def test_input_names_that_differ_only_in_odd_characters_stay_apart():
    task = LabelingTask(input_names=["a b", "a-b", "a_b"], label_name="y", label_values=["yes", "no"])
    assert len(Rulebook.of(task, {}).to_prompt().input_variables) == 3


def test_braces_in_the_question_are_text_below_the_row_too():
    task = TASK.model_copy(update={"task_description": "Is it {text} or {other}?"})
    human = shown(Rulebook.of(task, {}, layout="question"), text="cat")[1]
    assert human.text == "text: cat\n\nIs it {text} or {other}?"


def test_the_prompt_answers_in_the_labels_own_words():
    task = LabelingTask(input_names=["text"], label_name="y", label_values=["1", "10"])
    book = Rulebook.of(task, {"10": ["It is long."]}, scoring="logprob")
    assert book.codes == ("A", "B")
    assert "B: It is long." in book.system_text()
    assert "10: It is long." in shown(book, text="x")[0].text


def test_the_prefix_says_the_question_first():
    assert book_of({"yes": ["One."]}).system_text().startswith(QUESTION)
