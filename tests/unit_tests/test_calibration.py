"""From what an answer says to probabilities: the bias per label and the weight per principle, learned on rows."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_model_alignment.labeling.calibration import (
    Calibration,
    Signal,
    fit_calibration,
    probabilities,
    weighed,
)

FEW = settings(deadline=None, max_examples=60)
LOGPROBS = st.floats(-60, 0, allow_nan=False)


# -- the bias


@FEW
@given(st.lists(LOGPROBS, min_size=2, max_size=8), st.data())
def test_probabilities_add_up_to_one_and_keep_the_order(logprobs: list[float], data: st.DataObject):
    told = Signal(tuple(logprobs))
    plain = probabilities(told, None)
    assert sum(plain) == pytest.approx(1)
    assert plain[logprobs.index(max(logprobs))] == max(plain)
    bias = data.draw(st.tuples(*[st.floats(-20, 20)] * len(logprobs)))
    assert sum(probabilities(told, Calibration(bias=bias, slope=data.draw(st.floats(0.1, 10))))) == pytest.approx(1)


def test_a_slope_below_one_makes_a_model_less_sure():
    flat = Calibration(bias=(0.0, 0.0), slope=0.5)
    assert 0.5 < probabilities(Signal((-0.1, -3.0)), flat)[0] < probabilities(Signal((-0.1, -3.0)), None)[0]


def planted(bias: float, slope: float = 1.0, n: int = 400, seed: int = 0) -> tuple[list[Signal], list[int]]:
    """Rows of a model that leans to the first label by a known amount, with labels drawn as its odds are without it."""
    draw = random.Random(seed)
    scores, labels = [], []
    for _ in range(n):
        odds = draw.gauss(0, 2)
        labels.append(0 if draw.random() < 1 / (1 + math.exp(-odds)) else 1)
        told = (odds + bias) / slope
        scores.append(Signal((-math.log1p(math.exp(-told)), -math.log1p(math.exp(told)))))
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

    def right(rows: list[Signal], calibration: Calibration | None) -> float:
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
    fitted = fit_calibration([Signal((-0.1, -2.4))] * n, [0] * n)
    assert all(abs(value) < 8 for value in fitted.bias)
    assert math.isfinite(fitted.loss)


def test_equal_rows_give_equal_numbers():
    assert fit_calibration(*planted(1.0)) == fit_calibration(*planted(1.0))


def test_a_calibration_is_json_and_back():
    fitted = fit_calibration(*planted(1.0, n=20))
    assert Calibration.model_validate_json(fitted.model_dump_json()) == fitted


# -- the weights of principles


def checklists(
    telling: float, n: int = 200, seed: int = 0, lean: float = 0.0
) -> tuple[list[Signal], list[int], tuple[int, ...]]:
    """Rows whose label the first check tells by so many standard deviations, and the second and the model's own not."""
    draw = random.Random(seed)
    signals, labels = [], []
    for _ in range(n):
        label = draw.randrange(2)
        first = draw.gauss(telling * (0.5 - label), 1) - lean
        own = draw.gauss(0, 1)
        signals.append(Signal((own, -own), (2 * first, draw.gauss(0, 1))))
        labels.append(label)
    return signals, labels, (0, 1)


def accuracy(signals: list[Signal], labels: list[int], owners: tuple[int, ...], calibration: Calibration) -> float:
    shares = [probabilities(signal, calibration, owners) for signal in signals]
    return sum(share.index(max(share)) == label for share, label in zip(shares, labels, strict=True)) / len(labels)


def test_a_principle_that_tells_the_label_outweighs_one_that_does_not():
    fitted = fit_calibration(*checklists(telling=3.0))
    assert fitted.weights[0] * 2 > 3 * fitted.weights[1]


def test_forty_rows_are_enough_to_label_by_a_principle_that_tells():
    signals, labels, owners = checklists(telling=3.0, n=240, lean=2.0)
    fitted = fit_calibration(signals[:40], labels[:40], owners)
    assert accuracy(signals[40:], labels[40:], owners, fitted) > 0.85


def test_a_principle_never_speaks_against_its_own_label():
    fitted = fit_calibration(*checklists(telling=-3.0))
    assert fitted.weights[0] == 0


def test_the_loss_tells_a_principle_that_helps_from_one_that_fits_by_chance():
    with_it, labels, owners = checklists(telling=3.0, n=40)
    without = [Signal(signal.logprobs, signal.checks[1:]) for signal in with_it]
    alone = [Signal(signal.logprobs) for signal in with_it]
    helping = fit_calibration(with_it, labels, owners).loss
    assert helping < fit_calibration(alone, labels).loss - 0.1
    assert fit_calibration(without, labels, owners[1:]).loss > fit_calibration(alone, labels).loss - 0.05


def test_where_the_odds_of_a_check_stand_says_nothing():
    signals, labels, owners = checklists(telling=2.0, n=60)
    low = [Signal(signal.logprobs, tuple(check - 6.0 for check in signal.checks)) for signal in signals]
    as_told, lowered = (fit_calibration(said, labels, owners) for said in (signals, low))
    assert lowered.weights == pytest.approx(as_told.weights, abs=0.01)
    for signal, lower in zip(signals, low, strict=True):
        expected = probabilities(signal, as_told, owners)
        assert probabilities(lower, lowered, owners) == pytest.approx(expected, abs=0.01)


def test_checks_that_no_row_tells_apart_are_no_error():
    fitted = fit_calibration([Signal((-0.1, -2.4), (3.0,))] * 6, [0, 1] * 3, (0,))
    assert all(map(math.isfinite, [*fitted.bias, *fitted.weights, fitted.loss]))


def test_without_a_calibration_every_check_has_an_equal_say():
    told = Signal((-0.7, -0.7), (3.0, -3.0))
    assert weighed(told, None, (0, 1)) == pytest.approx([1.0, -1.0])
    assert probabilities(told, None, (0, 1))[0] > 0.8


# -- three labels and more


def leaning(n: int, seed: int = 0) -> tuple[list[Signal], list[int]]:
    """Rows of a model that mixes up two of three labels: where it says one of them, the other is right."""
    draw = random.Random(seed)
    labels = [draw.randrange(3) for _ in range(n)]
    said = [(0, 2, 1)[label] for label in labels]
    logprobs = [[2.0 * (at == word) + draw.gauss(0, 0.5) for at in range(3)] for word in said]
    return [Signal(tuple(value - 3.0 for value in row)) for row in logprobs], labels


def test_what_is_said_of_one_label_tells_of_another():
    signals, labels = leaning(160)
    fitted = fit_calibration(signals[:60], labels[:60])
    assert accuracy(signals[:60], labels[:60], (), Calibration(bias=(0.0, 0.0, 0.0))) < 0.5
    assert accuracy(signals[60:], labels[60:], (), fitted) > 0.9


def test_the_loss_that_is_told_is_that_of_the_probabilities():
    signals, labels = leaning(60)
    fitted = fit_calibration(signals, labels)
    seen = [-math.log(probabilities(signal, fitted)[label]) for signal, label in zip(signals, labels, strict=True)]
    assert sum(seen) / len(seen) < fitted.loss < sum(seen) / len(seen) + 0.1


def test_a_number_added_to_all_log_probabilities_of_a_row_changes_nothing():
    signals, labels = leaning(30)
    fitted = fit_calibration(signals, labels)
    for shift in (-30.0, -1.0, 30.0):
        moved = Signal(tuple(value + shift for value in signals[0].logprobs))
        assert probabilities(moved, fitted) == pytest.approx(probabilities(signals[0], fitted), abs=1e-3)


def test_two_labels_need_no_more_than_a_slope():
    assert fit_calibration(*planted(1.0)).cross == ()
