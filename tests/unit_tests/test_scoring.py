"""Labels from log probabilities: codes, token mass, and a bias learned on rows."""

import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage

from langchain_model_alignment.labeling.scoring import (
    Calibration,
    codes_for,
    fit_calibration,
    label_logprobs,
    probabilities,
)
from tests.simulated import logprob_message

FEW = settings(deadline=None, max_examples=60)
LOGPROBS = st.floats(-60, 0, allow_nan=False)


# -- codes


@pytest.mark.parametrize(
    "labels",
    [
        ["1", "10"],
        ["not sure", "not hate"],
        ["toxic", "toxicity"],
        ["inter", "internal"],
        ["yes", "YES please"],
        ["12", "13"],
        ["antidote", "antibody"],
        ["a", "ab"],
    ],
)
def test_labels_whose_first_tokens_could_collide_are_answered_by_codes(labels: list[str]):
    assert codes_for(labels) == ("A", "B")


@pytest.mark.parametrize(
    "labels", [["yes", "no"], ["hate", "not_hate"], ["True", "False"], ["1", "2"], ["ham", "spam"]]
)
def test_labels_with_first_tokens_of_their_own_speak_for_themselves(labels: list[str]):
    assert codes_for(labels) is None


@FEW
@given(st.lists(st.text(min_size=1, max_size=6), min_size=2, max_size=20, unique_by=str.casefold))
def test_codes_are_one_for_each_label_and_differ(labels: list[str]):
    codes = codes_for(labels)
    assert codes is None or len(set(codes)) == len(labels)


# -- the mass of tokens


def mass(shares: dict[str, float], names: list[str]) -> list[float] | None:
    found = label_logprobs(logprob_message(shares), names)
    return None if found is None else [math.exp(value) for value in found]


def test_the_alternatives_of_a_label_add_up():
    found = mass({"yes": 0.4, " Yes": 0.2, "Y": 0.1, "no": 0.2, "maybe": 0.1}, ["yes", "no"])
    assert found == pytest.approx([0.7, 0.2])


def test_a_token_that_begins_several_labels_is_shared():
    assert mass({"n": 0.6, "yes": 0.4}, ["no", "never", "yes"]) == pytest.approx([0.3, 0.3, 0.4])


def test_a_token_that_is_a_label_and_more_speaks_for_it():
    assert mass({"no,": 0.5, "yes": 0.5}, ["yes", "no"]) == pytest.approx([0.5, 0.5])


def test_another_word_that_begins_with_a_label_does_not():
    assert mass({"nothing": 0.5, "yes": 0.4, "no": 0.1}, ["yes", "no"]) == pytest.approx([0.4, 0.1])


def test_a_label_that_no_alternative_names_is_below_the_least_likely():
    found = mass({"yes": 0.9, "hm": 0.1}, ["yes", "no"])
    assert found is not None
    assert 0 < found[1] < 0.1


@pytest.mark.parametrize(
    "message",
    [
        AIMessage("yes"),
        AIMessage("yes", response_metadata={"logprobs": None}),
        AIMessage("yes", response_metadata={"logprobs": {"content": []}}),
        AIMessage("yes", response_metadata={"logprobs": {"content": [{"token": "yes", "logprob": -0.1}]}}),
        logprob_message({"hm": 0.6, "": 0.4}),
    ],
)
def test_an_answer_that_speaks_for_no_label_says_nothing(message: AIMessage):
    assert label_logprobs(message, ["yes", "no"]) is None


def test_an_alternative_of_no_likelihood_is_no_error():
    top = [{"token": "yes", "logprob": 0.0}, {"token": "no", "logprob": -9999.0}]
    message = AIMessage("yes", response_metadata={"logprobs": {"content": [{"top_logprobs": top}]}})
    found = label_logprobs(message, ["yes", "no"])
    assert found is not None
    assert all(map(math.isfinite, found))


# -- probabilities and the bias


@FEW
@given(st.lists(LOGPROBS, min_size=2, max_size=8), st.data())
def test_probabilities_add_up_to_one_and_keep_the_order(logprobs: list[float], data: st.DataObject):
    plain = probabilities(logprobs, None)
    assert sum(plain) == pytest.approx(1)
    assert plain[logprobs.index(max(logprobs))] == max(plain)
    bias = data.draw(st.tuples(*[st.floats(-20, 20)] * len(logprobs)))
    assert sum(probabilities(logprobs, Calibration(bias=bias, slope=data.draw(st.floats(0.1, 10))))) == pytest.approx(1)


def test_a_slope_below_one_makes_a_model_less_sure():
    flat = Calibration(bias=(0.0, 0.0), slope=0.5)
    assert 0.5 < probabilities([-0.1, -3.0], flat)[0] < probabilities([-0.1, -3.0], None)[0]


def planted(bias: float, slope: float = 1.0, n: int = 400, seed: int = 0) -> tuple[list[Any], list[int]]:
    """Rows of a model that leans to the first label by a known amount, with labels drawn as its odds are without it."""
    draw = random.Random(seed)
    scores, labels = [], []
    for _ in range(n):
        odds = draw.gauss(0, 2)
        labels.append(0 if draw.random() < 1 / (1 + math.exp(-odds)) else 1)
        told = (odds + bias) / slope
        scores.append([-math.log1p(math.exp(-told)), -math.log1p(math.exp(told))])
    return scores, labels


@pytest.mark.parametrize("bias", [-3.0, -1.0, 2.0])
def test_a_planted_lean_is_found(bias: float):
    fitted = fit_calibration(*planted(bias))
    found = (fitted.bias[0] - fitted.bias[1]) / fitted.slope
    assert 0.6 < found / bias < 1.2  # drawn a little towards none, on purpose
    assert fitted.rows == 400


@pytest.mark.parametrize("bias", [-3.0, 0.0, 2.0])
def test_with_the_lean_taken_off_a_model_is_as_good_as_without_one(bias: float):
    scores, labels = planted(bias)
    fair, _ = planted(0.0)

    def right(rows: list[Any], calibration: Calibration | None) -> float:
        shares = [probabilities(row, calibration) for row in rows]
        return sum((share[0] < 0.5) == bool(label) for share, label in zip(shares, labels, strict=True)) / len(labels)

    assert right(scores, fit_calibration(scores, labels)) >= right(fair, None) - 0.02


def test_a_model_that_is_too_sure_gets_a_slope_below_one():
    assert fit_calibration(*planted(0.0, slope=0.25)).slope == pytest.approx(0.25, abs=0.1)


def test_the_bias_makes_the_right_labels_likelier():
    scores, labels = planted(3.0)

    def right(calibration: Calibration | None) -> float:
        return sum(probabilities(s, calibration)[y] for s, y in zip(scores, labels, strict=True)) / len(labels)

    assert right(fit_calibration(scores, labels)) > right(None) + 0.05


@pytest.mark.parametrize("n", [1, 2, 5])
def test_few_rows_of_one_label_give_a_mild_bias(n: int):
    fitted = fit_calibration([[-0.1, -2.4]] * n, [0] * n)
    assert all(abs(value) < 8 for value in fitted.bias)
    assert math.isfinite(fitted.loss)


def test_equal_rows_give_equal_numbers():
    assert fit_calibration(*planted(1.0)) == fit_calibration(*planted(1.0))


def test_a_calibration_is_json_and_back():
    fitted = fit_calibration(*planted(1.0, n=20))
    assert Calibration.model_validate_json(fitted.model_dump_json()) == fitted
