"""What model-alignment did wrong when training a labeler: the same situation, the right outcome.

Each test is named after its line in the list of reproduced faults.
"""

import json
from typing import Any

import pandas as pd
import pytest
from langchain_core.messages import BaseMessage

from langchain_model_alignment.constitution import Delete
from langchain_model_alignment.errors import ArtifactError
from langchain_model_alignment.labeling.labeler import Labeler, create_labeler_graph
from langchain_model_alignment.labeling.records import TrainingHyperparameters
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.task import truncate
from tests.fakes import ScriptedChatModel
from tests.simulated import (
    TASK,
    SimulatedWorld,
    book_of,
    kind_of,
    maker_of,
    model_of,
    row_in,
    rows,
    rows_in,
)

TABLE, VALIDATION = rows(80), rows(40, seed=1)


def labeled(answer: str, *labels: Any) -> Any:
    maker = Labeler(["text"], "y", labels, train_model=ScriptedChatModel(answer))
    return maker.infer_checkpoint(maker.rulebook({}), [{"text": "a"}])[0]["prediction"]


# -- talking to models


class ChatGoogleGenerativeAI(ScriptedChatModel):
    """By its name, what the library takes for a Gemini model."""


def test_h1_gemini_takes_its_own_output_limit():
    """H1: every labeler call with the library's own Gemini helper was a TypeError."""
    gemini, unknown = ChatGoogleGenerativeAI("yes"), ScriptedChatModel("yes")
    for model in (gemini, unknown):
        maker_of(model=model).infer_checkpoint(book_of({}), [{"text": "a"}])
    assert set(gemini.last.kwargs) == {"max_output_tokens"}
    assert unknown.last.kwargs == {}


# -- reading the label


@pytest.mark.parametrize(
    ("labels", "answer", "wanted"),
    [
        (("toxic", "nontoxic"), "nontoxic", "nontoxic"),
        (("1", "10"), "10", "10"),
        ((1, 10), "10", 10),
        (("yes", "no"), "unknown", ""),
        (("yes", "no"), "cannot", ""),
    ],
)
def test_d01_a_label_inside_another_word_is_not_that_label(labels: Any, answer: str, wanted: Any):
    """D01: the first label that was a substring won."""
    assert labeled(answer, *labels) == wanted


def test_d02_a_label_with_a_space_matches():
    """D02: "not hate" never matched."""
    assert labeled("not hate", "hate", "not hate") == "not hate"
    assert labeled("It is not hate.", "hate", "not hate") == "not hate"


@pytest.mark.parametrize("answer", ["Yes", " yes", "YES.", '"yes"\n'])
def test_d03_case_space_and_punctuation_are_no_part_of_a_label(answer: str):
    """D03: "Yes" was recorded as nothing."""
    assert labeled(answer, "yes", "no") == "yes"


def test_d11_the_same_row_and_rulebook_are_the_same_request():
    """D11: the classes came in a new order each call, so that nothing could be cached."""
    first, second = model_of(), model_of()
    for model in (first, second):
        maker = maker_of(model=model)
        for _ in range(3):
            maker.infer_checkpoint(book_of({"yes": ["It purrs."]}), [{"text": "a"}])
    assert first.calls == second.calls == 1
    assert first.last.text == second.last.text


def test_d12_a_label_stays_when_its_last_principle_goes():
    """D12: the label vanished from the prompt."""
    book = book_of({"yes": ["It purrs."], "no": ["It stands."]})
    assert "yes, no" in book.apply([Delete(id="p1")]).system_text()


def test_d21_which_principle_decided_is_asked_where_it_is_told():
    """D21: never asked, though the diagnosis claimed to know."""
    model = ScriptedChatModel(lambda m: "2" if len(m) > 2 else "no")
    book = book_of({"yes": ["It purrs."], "no": ["It stands."]})
    (found,) = maker_of(model=model).infer_checkpoint(book, [{"text": "a chair"}], explain=True)
    assert found["principle_ids"] == ["p2"]
    assert model.last.messages[:2] == model.requests[0].messages


# -- training


def test_d04_a_parent_that_is_better_than_every_mutation_stays():
    """D04: the accuracy fell from 1.0 to 0.0."""

    class Worsening(SimulatedWorld):
        def label(self, system: str, row: str) -> str:
            right = super().label(system, row)
            return right if "poison" not in system else {"yes": "no", "no": "yes"}[right]

    maker = maker_of(Worsening(harm=1.0))
    book = book_of({"yes": [f"The text speaks of a {name}." for name in ("lynx", "yak", "emu", "koi")]})
    after = maker.train_step(book, TABLE, VALIDATION)
    assert after.constitution == book.constitution


def test_d05_as_many_mutations_are_tried_as_were_asked_for():
    """D05: n_mutations_to_try=7 used 2, and n_best was thrown away."""

    class Eager(SimulatedWorld):
        def __call__(self, messages: list[BaseMessage]) -> Any:
            if kind_of(messages) != "edits":
                return super().__call__(messages)
            names = ["ant", "bee", "cow", "eel", "fox", "gnu", "hen", "owl", "pig"]
            edits = [{"kind": "add", "label": "yes", "text": f"It speaks of one {name}."} for name in names]
            return json.dumps({"edits": edits})

    hparams = {"n_mutations_to_try": 7, "n_incorrect_predictions_to_sample": 1, "max_candidates": 20}
    result = maker_of(Eager(), hparams=hparams).train(TABLE, VALIDATION, steps=1)
    assert sum(c["origin"] == "proposal" for c in result.history[1]["candidates"]) == 7
    for n in (1, 3):
        graph = create_labeler_graph(maker_of(hparams={"n_best": n, "evaluation": "full"}), TABLE).compile()
        assert len(graph.invoke({"steps": 2})["best"]) == n


def test_d06_a_mutation_is_tried_once_and_running_out_of_them_is_no_error():
    """D06: two were asked for and the same one came twice; IndexError when options ran out."""
    same = json.dumps({"edits": [{"kind": "add", "label": "yes", "text": "The text speaks of a yak."}] * 2})

    class Stubborn(SimulatedWorld):
        def __call__(self, messages: list[BaseMessage]) -> Any:
            return same if kind_of(messages) == "edits" else super().__call__(messages)

    result = maker_of(Stubborn()).train(TABLE, VALIDATION, steps=3)
    tried = [change for record in result.history[1:] for c in record["candidates"] for change in c["changes"]]
    assert len(tried) == len(set(tried)) == 1


def test_d07_an_id_stands_for_one_principle():
    """D07: one edit rewrote both principles that shared an id."""
    value = json.loads(book_of({"yes": ["One.", "Two."]}).to_json())
    value["constitution"]["principles"][1]["id"] = "p1"
    with pytest.raises(ArtifactError, match="share an id"):
        Rulebook.from_dict(value)


def test_d08_the_number_that_is_shown_names_the_principle_that_is_stored():
    """D08: the id shown to the model for an added principle was not the one stored."""
    book = book_of({"yes": ["One.", "Two."], "no": ["Three."]}).apply([Delete(id="p1")])
    book = maker_of().train_step(book, TABLE, VALIDATION)
    lines = [line for line in book.system_text().splitlines() if line[:1].isdigit()]
    assert lines == [f"{n}. {p.label}: {p.text}" for n, p in enumerate(book.enabled(), 1)]
    model = ScriptedChatModel(lambda m: str(len(lines)) if len(m) > 2 else "yes")
    (found,) = maker_of(model=model).infer_checkpoint(book, [{"text": "a"}], explain=True)
    assert found["principle_ids"] == [book.enabled()[-1].id]


@pytest.mark.parametrize(
    ("text", "n", "wanted"), [("a b c", 3, "a b c"), ("a b c", 1, "a …"), ("a", 1, "a"), ("a b c d", 3, "a b … d")]
)
def test_d09_truncation_is_exact(text: str, n: int, wanted: str):
    """D09: a text of exactly n words was altered, n=1 returned everything."""
    assert truncate(text, n) == wanted


def test_d09_numbers_and_missing_values_are_read():
    """D09: they crashed."""
    frame = pd.DataFrame({"text": [1.5, None, 3], "label": ["yes", "no", "yes"]})
    assert [row.text for row in TASK.read(frame)] == ["text: 1.5", "", "text: 3"]


def test_d10_a_long_row_is_cut_in_training_requests_too():
    """D10: a row of 10,000 characters went into them whole."""
    table = [{**row, "text": f"{row['text']} {'word ' * 2_000}"} for row in TABLE]
    model = model_of(lambda messages: "The text is long." if kind_of(messages) != "label" else "no")
    maker_of(model=model).train(table, steps=1)
    assert {kind_of(r.messages) for r in model.requests} >= {"label", "edits", "sentence"}
    assert max(text.count("word word") for r in model.requests for text in r.text.splitlines()) <= 50


def test_d13_rows_set_apart_to_validate_on_are_not_learned_from():
    """D13: without a validation set it validated on the rows that it mined for mistakes."""
    model = model_of()
    maker = maker_of(model=model)
    maker.train(TABLE, steps=3)
    apart = {row.text.removeprefix("text: ") for row in maker.prepare(TABLE).validation}
    shown = {text for r in model.requests if kind_of(r.messages) != "label" for text in rows_in(r.messages)}
    assert apart
    assert shown
    assert not apart & shown


def test_d14_an_unreadable_answer_is_counted_as_empty():
    """D14: it was not."""
    maker = maker_of(model=ScriptedChatModel("As a language model I cannot."))
    predictions = maker.infer_checkpoint(book_of({}), VALIDATION)
    card = maker.get_scorecard(VALIDATION, predictions)
    assert (card["n_empty"], card["accuracy"], card["n_errors"]) == (40, 0, 0)


def test_d15_an_unreadable_answer_is_learned_from():
    """D15: it never was."""

    class Mumbling(SimulatedWorld):
        def label(self, system: str, row: str) -> str:
            return super().label(system, row) if chance_of(row) else "mumble"

    def chance_of(row: str) -> bool:
        return "yak" not in row

    model = model_of(Mumbling(knows=["cat", "dog", "newt", "lynx", "emu", "koi", "ibis"]))
    result = maker_of(model=model).train(TABLE, VALIDATION, steps=1)
    assert result.history[1]["abstained"] == result.history[1]["wrong"] > 0
    asked = [r for r in model.requests if kind_of(r.messages) == "edits"]
    assert asked
    assert all("mumble" in r.text and "yak" in rows_in(r.messages)[0] for r in asked)


def test_d16_some_hyperparameters_are_enough():
    """D16: a partial set of them was a KeyError."""
    maker = maker_of(hparams={"n_best": 5})
    assert (maker.hparams.n_best, maker.hparams.n_validation_examples, maker.hparams.score_fn) == (5, 100, "accuracy")
    assert TrainingHyperparameters() == TrainingHyperparameters(
        n_incorrect_predictions_to_sample=3,
        n_mutations_to_try=2,
        n_best=3,
        score_fn="accuracy",
        n_validation_examples=100,
        truncation_length=100,
    )


def test_d17_settings_of_one_labeler_do_not_leak_into_another():
    """D17: the defaults were shared and mutable."""
    given: dict[str, Any] = {"n_best": 5}
    maker_of(hparams=given)
    assert given == {"n_best": 5}
    assert maker_of().hparams == TrainingHyperparameters()
    with pytest.raises(ValueError, match="frozen"):
        maker_of().hparams.n_best = 9  # type: ignore[misc]


def test_d18_labels_in_a_column_of_floats_are_those_labels():
    """D18: 0 and 1 in a float column were a ValueError."""
    frame = pd.DataFrame({"text": ["a", "b", "c"], "y": [0.0, 1.0, 0.0]})
    maker = Labeler(["text"], "y", [0, 1], train_model=ScriptedChatModel("0"))
    predictions = maker.infer_checkpoint(maker.rulebook({}), frame)
    assert maker.get_scorecard(frame, predictions)["accuracy"] == pytest.approx(2 / 3)


def test_d19_timestamps_are_inputs_like_others():
    """D19: they were a TypeError."""
    frame = pd.DataFrame({"text": pd.to_datetime(["2024-01-01 00:00", "2024-01-02 10:30", None])})
    model = ScriptedChatModel("yes")
    maker_of(model=model).infer_checkpoint(book_of({}), frame)
    assert sorted(r.messages[-1].text for r in model.requests) == ["", "text: 2024-01-01", "text: 2024-01-02T10:30:00"]


def test_d20_a_scorecard_is_json():
    """D20: it was a TypeError."""
    maker = maker_of()
    card = maker.get_scorecard(VALIDATION, maker.infer_checkpoint(book_of({}), VALIDATION))
    assert json.loads(json.dumps(card, allow_nan=False)) == card


def test_d22_of_tied_candidates_the_shorter_and_older_stays():
    """D22: the last one won, however long."""

    class Indifferent(SimulatedWorld):
        def label(self, system: str, row: str) -> str:
            return "yes"

    book = book_of({"yes": ["It purrs."], "no": ["It stands."]})
    maker = maker_of(Indifferent(), hparams={"evaluation": "full"})
    assert maker.train_step(book, TABLE, VALIDATION).constitution == book.constitution


# -- everything, sequential


def test_everything_runs_side_by_side_and_a_step_takes_half_the_calls():
    """One train step was 621 calls, one after another: 31.5 s at 50 ms a call."""
    model = model_of(latency=0.002)
    maker = maker_of(model=model, max_concurrency=32)
    table, validation = rows(100), rows(100, seed=1)
    book = maker.initialize_checkpoint(table)
    before = model.calls
    maker.train_step(book, table, validation)
    assert model.calls - before < 621 / 1.6  # the benchmark holds the toy work itself to 320
    assert model.peak == 32


def test_rows_are_labeled_side_by_side_up_to_the_gate():
    """One row was labeled after another."""
    model = model_of(latency=0.002)
    maker_of(model=model, max_concurrency=7).infer_checkpoint(book_of({}), TABLE)
    assert model.peak == 7
    assert {row_in(r.messages[1]) for r in model.requests} == {row["text"] for row in TABLE}
