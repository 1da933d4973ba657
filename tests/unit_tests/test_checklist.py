"""A rulebook whose principles a small model checks one by one, in one answer."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from langchain_model_alignment.constitution import Add
from langchain_model_alignment.errors import ArtifactError, EditError
from langchain_model_alignment.labeling.calibration import Calibration
from langchain_model_alignment.labeling.classifier import create_classifier_chain
from langchain_model_alignment.labeling.graph import create_training_graph
from langchain_model_alignment.labeling.mutate import thinning
from langchain_model_alignment.labeling.precedents import AddPrecedent
from langchain_model_alignment.labeling.records import TrainingHyperparameters
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.scoring import MOST_CHECKS
from langchain_model_alignment.loop import run_sync
from langchain_model_alignment.usage import Budget
from tests.simulated import (
    ANIMALS,
    TASK,
    ChecklistWorld,
    LogprobModel,
    book_of,
    checklist_message,
    maker_of,
    rows,
    small_model,
)

RULES = {"yes": ["It names a cat."], "no": ["It names a chair."]}
EVEN = [("label", {}), (":", {}), (" yes", {"yes": 0.5, "no": 0.5})]


def answer(*shares: float) -> Any:
    """An answer that says how likely it is that each statement is true, and nothing of the label."""
    tokens: list[Any] = []
    for number, share in enumerate(shares, 1):
        tokens += [(str(number), {}), (" yes", {" yes": share, " no": 1 - share}), ("\n", {})]
    return checklist_message([*tokens, *EVEN])


def predict(said: Any, book: Rulebook, **options: Any) -> tuple[Any, LogprobModel]:
    model = LogprobModel(said)
    return create_classifier_chain(model, TASK, book, **options).invoke({"text": "a cat"}), model


def checklist(**fields: Any) -> Rulebook:
    return book_of(RULES, scoring="checks", **fields)


def test_a_principle_that_is_true_of_the_row_speaks_for_its_label():
    assert predict(answer(0.9, 0.1), checklist())[0]["prediction"] == "yes"
    assert predict(answer(0.1, 0.9), checklist())[0]["prediction"] == "no"


def test_the_learned_weights_decide_between_principles_that_disagree():
    heavy = Calibration(bias=(0.0, 0.0), weights=(0.1, 1.0))
    assert predict(answer(0.9, 0.8), checklist(calibration=heavy))[0]["prediction"] == "no"


def test_all_is_asked_in_one_call_that_ends_with_the_row():
    found, model = predict(answer(0.9, 0.1), checklist(), explain=True)
    assert model.calls == 1
    assert found["request"].endswith(
        "Labels: yes, no\nStatements:\n1. It names a cat.\n2. It names a chair.\nText: text: a cat"
    )


def test_the_answer_has_room_for_every_line_and_no_more():
    _, model = predict(answer(0.9, 0.1), checklist())
    assert model.last.kwargs["max_tokens"] == 4 + 4 + 4
    many = book_of({"yes": [f"It names a {n}." for n in range(11)]}, scoring="checks")
    assert predict(answer(*[0.5] * 11), many)[1].last.kwargs["max_tokens"] == 9 * 4 + 2 * 5 + 4


def test_the_principles_that_decided_are_those_of_the_label_that_are_true():
    found, _ = predict(answer(0.9, 0.8), checklist(), explain=True)
    assert (found["prediction"], found["principle_ids"]) == ("yes", ["p1"])


def test_the_prefix_is_the_same_for_all_rows():
    book = checklist()
    assert book.prefix() == book.prefix()
    first, second = book.human_text("text: a cat"), book.human_text("text: a chair")
    assert first.removesuffix("text: a cat") == second.removesuffix("text: a chair")


def test_an_answer_without_a_checklist_is_read_by_its_words():
    assert predict("label: no", checklist())[0]["prediction"] == "no"
    assert predict("I cannot say.", checklist())[0]["prediction"] == ""


@pytest.mark.parametrize("n", [0, MOST_CHECKS + 1])
def test_nothing_or_too_much_to_check_is_asked_as_one_question(n: int):
    book = book_of({"yes": [f"It names a {n}." for n in range(n)]}, scoring="checks")
    assert not book.is_checklist
    assert predict("yes", book)[1].last.kwargs["max_tokens"] == 1


def test_principles_that_are_switched_off_are_not_checked():
    book = checklist()
    off = book.model_copy(
        update={
            "constitution": book.constitution.model_copy(
                update={
                    "principles": tuple(
                        p.model_copy(update={"enabled": p.id != "p1"}) for p in book.constitution.principles
                    )
                }
            )
        }
    )
    assert off.owners() == (1,)
    assert "1. It names a chair." in off.human_text("text: a")


def test_as_a_prompt_it_asks_for_the_label_in_plain_words():
    assert "Answer with one label" in checklist().to_prompt().invoke({"text": "a cat"}).to_messages()[0].text


def test_a_small_model_is_trained_by_checklists_and_gains():
    maker = maker_of(model=small_model(), hparams={"block_size": 10})
    result = maker.train(rows(160), rows(60, seed=1), steps=4)
    assert result.rulebook.scoring == "checks"
    assert result.rulebook.calibration is not None
    assert len(result.rulebook.calibration.weights) == len(result.rulebook.enabled())
    assert result.zero_shot is not None
    assert result.scorecard["accuracy"] > result.zero_shot["accuracy"] + 0.1


def test_training_asks_no_further_call_for_what_decided():
    model = small_model()
    maker = maker_of(model=model)
    book = maker.train_step(maker.rulebook({"yes": [f"It names a {ANIMALS[5]}."]}), rows(160))
    assert not any("Which principle" in request.messages[-1].text for request in model.requests)
    assert any(found.decided for found in book.evidence.values())


def test_a_model_that_does_not_keep_to_the_form_is_asked_one_question():
    def babbling(messages: list[Any]) -> Any:
        if messages[-1].text.startswith("Question: "):
            return "Well, the first statement is about animals."
        return ChecklistWorld()(messages)

    result = maker_of(model=LogprobModel(babbling, model_name="tiny-135m")).train(rows(100), steps=1)
    assert result.rulebook.scoring == "logprob"


class PuzzledByForms(ChecklistWorld):
    """It knows an animal by the question alone, and finds every statement and label as likely under a checklist."""

    def __call__(self, messages: list[Any]) -> Any:
        self.alone = not messages[-1].text.startswith("Question: ")
        return super().__call__(messages)

    def checks(self, statements: Sequence[str], row: str) -> list[tuple[str, Mapping[str, float]]]:
        lines = [[(str(n), {}), (" no", {" yes": 0.4, " no": 0.6}), ("\n", {})] for n in range(1, len(statements) + 1)]
        return [token for line in lines for token in line]

    def own(self, row: str) -> tuple[str, Mapping[str, float]]:
        yes = (0.95 if set(row.split()) & set(ANIMALS) else 0.05) if self.alone else 0.5
        return "yes", {"yes": yes, "no": 1 - yes}


def test_a_model_that_a_checklist_makes_worse_is_asked_one_question():
    model = LogprobModel(PuzzledByForms(), model_name="tiny-135m")
    assert maker_of(model=model).train(rows(100), steps=1).rulebook.scoring == "logprob"


def test_the_beginning_without_principles_keeps_its_bias():
    asked = small_model()
    maker = maker_of(model=asked)
    training = maker.prepare(rows(100))
    graph = create_training_graph(training).compile()
    state = run_sync(graph.ainvoke({"steps": 1}))
    zero_shot = next(c for c in state["candidates"].values() if c["record"]["origin"] == "zero-shot")
    book = Rulebook.model_validate(zero_shot["rulebook"])
    assert book.scoring == "checks"
    assert book.fitted is not None
    empty = run_sync(training.begin(None)).calibration
    assert empty is not None
    assert (book.fitted.bias, book.fitted.slope) == (empty.bias, empty.slope)


def test_a_rulebook_by_hand_is_read_by_one_token_until_it_is_trained():
    maker = maker_of(model=small_model())
    book = maker.rulebook({"yes": ["It names a cat."]})
    assert book.scoring == "logprob"
    assert maker.train_step(book, rows(100)).scoring == "checks"


# -- a rulebook that was changed by hand


def test_a_calibration_of_other_principles_is_left_aside():
    book = checklist()
    of_it = Calibration(bias=(0.0, 0.0), weights=(0.0, 9.0), of=book.fingerprint())
    assert book.model_copy(update={"calibration": of_it}).fitted is of_it
    turned = book.model_dump(mode="json")
    turned["calibration"] = of_it.model_dump(mode="json")
    turned["constitution"]["principles"][0]["enabled"] = False
    by_hand = Rulebook.from_dict(turned)
    assert by_hand.fitted is None
    assert predict(answer(0.9), by_hand)[0]["prediction"] == "no"


def test_a_calibration_without_weights_gives_every_check_an_equal_say():
    assert predict(answer(0.9, 0.1), checklist(calibration=Calibration(bias=(0.0, 0.0))))[0]["prediction"] == "yes"


def test_a_principle_with_another_tasks_label_is_refused_in_one_sentence():
    odd = checklist().model_dump(mode="json")
    odd["constitution"]["principles"][0]["label"] = "perhaps"
    with pytest.raises(ArtifactError, match="p1 has the label 'perhaps', which is none of this task"):
        Rulebook.from_dict(odd)
    with pytest.raises(EditError, match="'perhaps' is no label of this task"):
        checklist().apply([Add(text="It is long.", label="perhaps")])


def test_a_principle_for_no_label_in_particular_is_not_checked():
    book = checklist().apply([Add(text="Read twice.")])
    assert len(book.owners()) == 2
    assert "Read twice." not in book.human_text("text: a")


# -- an answer that is not whole


@pytest.mark.parametrize(("said", "label"), [("1 yes\n2 no", ""), ("1 no\n2 no\nLabel: no", "no"), ("yes", "")])
def test_only_the_labels_line_is_read_as_a_label(said: str, label: str):
    assert predict(said, checklist())[0]["prediction"] == label


def test_below_a_threshold_words_are_not_enough():
    assert predict("label: yes", checklist(), threshold=0.9)[0]["prediction"] == ""


def test_rows_that_told_nothing_do_not_drop_out_of_the_loss():
    def mute(messages: list[Any]) -> Any:
        asked = messages[-1].text
        return "hm" if asked.startswith("Question: ") and "poison" in asked else ChecklistWorld()(messages)

    training = maker_of(model=LogprobModel(mute, model_name="tiny-1.5b")).prepare(rows(100))
    bad = book_of({"yes": ["A poison."]}, scoring="checks")
    fitted = run_sync(training.calibrate(bad, None)).calibration
    assert fitted is not None
    assert fitted.loss == pytest.approx(math.log(2))


def test_principles_whose_checks_say_nothing_are_put_up_for_deletion():
    book = checklist()
    idle = Calibration(bias=(0.0, 0.0), weights=(0.4, 0.0), of=book.fingerprint())
    proposal = thinning(book.model_copy(update={"calibration": idle}))
    assert proposal is not None
    assert [edit.id for edit in proposal.edits] == ["p2"]
    assert thinning(book) is None


@pytest.mark.parametrize("n", [1, 3, 8, MOST_CHECKS])
def test_the_examples_have_as_many_lines_as_the_checklist(n: int):
    book = book_of({"yes": [f"It names a {i}." for i in range(n)]}, scoring="checks")
    answers = [message.text for message in book.prefix() if message.type == "ai"]
    assert [len(text.splitlines()) for text in answers] == [n + 1] * 3
    assert all(text.splitlines()[n - 1].startswith(f"{n} ") for text in answers)


# -- of which label a description is typical


def checked(text: str, reason: str) -> Rulebook:
    """A principle that was written for the label no, after its worth was learned from training rows."""
    training = maker_of(model=small_model()).prepare(rows(100))
    wrong = Rulebook(task=TASK, scoring="checks").apply([Add(text=text, label="no", reason=reason)])
    return run_sync(training.calibrate(wrong, None))


def test_a_description_comes_to_speak_for_the_label_whose_rows_it_is_truest_of():
    book = checked(f"It names a {', '.join(ANIMALS)}.", "describes a row")
    assert [p.label for p in book.checked()] == ["yes"]
    assert book.fitted is not None


def test_what_a_person_said_of_a_label_stays_with_it():
    assert [p.label for p in checked(f"It names a {', '.join(ANIMALS)}.", "a person said so").checked()] == ["no"]


def test_a_checklist_is_fitted_on_three_times_the_rows_of_a_bias():
    training = maker_of(model=small_model(), hparams={"n_calibration_examples": 20}).prepare(rows(200))
    book, empty = (run_sync(training.calibrate(book, None)) for book in (checklist(), book_of({}, scoring="checks")))
    assert (book.calibration.rows, empty.calibration.rows) == (60, 20)  # type: ignore[union-attr]
    large = maker_of(model=LogprobModel(ChecklistWorld(), model_name="large")).prepare(rows(200))
    assert len(large.calibration) == 40


def test_all_rulebooks_of_a_training_are_fitted_on_the_same_rows():
    result = maker_of(model=small_model(), hparams={"block_size": 10, "n_calibration_examples": 20}).train(
        rows(160), rows(60, seed=1), steps=2
    )
    assert result.rulebook.calibration is not None
    assert result.rulebook.calibration.rows == 60


def test_a_rulebook_that_shows_every_row_it_would_be_tried_on_is_trained_as_a_checklist():
    maker = maker_of(model=small_model(), hparams={"n_calibration_examples": 2})
    training = maker.prepare(rows(100))
    cited = [AddPrecedent(row=row.id, text=row.text, label=TASK.labels[row.label or 0]) for row in training.first_rows]
    shown = maker.rulebook({"yes": ["It names a cat."]}).apply(cited)
    empty = run_sync(training.begin(None))
    assert run_sync(training.settle(shown, empty, None)).scoring == "checks"


def test_a_step_from_an_empty_checklist_is_paid_for_as_one_that_fits_checks():
    asked = small_model()
    training = maker_of(model=asked, budget=Budget(max_calls=250), hparams=TrainingHyperparameters()).prepare(rows(400))
    empty = Rulebook(task=TASK, scoring="checks")
    alone = Rulebook(task=TASK, scoring="logprob")
    assert training.affordable(empty) <= training.affordable(alone)
    assert len(training.calibration) == 3 * len(training.first_rows)
    assert training.affordable(empty) == training.affordable(empty.apply([Add(text="It is long.", label="yes")]))
