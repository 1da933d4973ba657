"""The scorecard says what scikit-learn says, without holes, and is plain JSON."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from langchain_model_alignment.errors import DataError
from langchain_model_alignment.labeling.scorecard import (
    METRICS,
    ORDERED_METRICS,
    distance_text,
    interval,
    make_metric,
    make_scorecard,
)
from langchain_model_alignment.labeling.task import LabelingTask

FEW = settings(deadline=None, max_examples=20)
TASK = LabelingTask(input_names=["x"], label_name="y", label_values=["a", "b", "c"])
ORDERED = LabelingTask(input_names=["x"], label_name="y", label_values=["low", "middle", "high"], ordered=True)
PAIRS = st.lists(st.tuples(st.integers(0, 2), st.integers(-1, 2)), min_size=1, max_size=30)


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [n for item in value.values() for n in numbers(item)]
    if isinstance(value, list):
        return [n for item in value for n in numbers(item)]
    return [value] if isinstance(value, int | float) else []


@FEW
@given(PAIRS)
def test_it_says_what_scikit_learn_says(pairs: list[tuple[int, int]]):
    true, given_ = [list(side) for side in zip(*pairs, strict=True)]
    card = make_scorecard(TASK, true, given_)
    told = metrics.precision_recall_fscore_support(true, given_, labels=[0, 1, 2], zero_division=0)
    for name, values in zip(("precision", "recall", "fscore", "support"), told, strict=True):
        assert card[name] == pytest.approx(list(values))  # type: ignore[literal-required]
    assert card["accuracy"] == pytest.approx(metrics.accuracy_score(true, given_))
    seen = sorted(set(true))
    assert card["f1"] == pytest.approx(metrics.f1_score(true, given_, labels=seen, average="macro", zero_division=0))
    assert card["balanced_accuracy"] == pytest.approx(
        metrics.recall_score(true, given_, labels=seen, average="macro", zero_division=0)
    )


@FEW
@given(PAIRS)
def test_it_is_json_without_holes(pairs: list[tuple[int, int]]):
    card = make_scorecard(TASK, [t for t, _ in pairs], [g for _, g in pairs], 1)
    assert json.loads(json.dumps(card, allow_nan=False)) == card
    assert all(map(math.isfinite, numbers(card)))


@FEW
@given(PAIRS)
def test_the_confusion_holds_every_row(pairs: list[tuple[int, int]]):
    card = make_scorecard(TASK, [t for t, _ in pairs], [g for _, g in pairs])
    assert sum(map(sum, card["confusion"])) == card["n"] == len(pairs)
    assert [len(row) for row in card["confusion"]] == [4, 4, 4]
    assert sum(row[-1] for row in card["confusion"]) == card["n_empty"]


def test_an_abstention_counts_as_wrong():
    card = make_scorecard(TASK, [0, 1, 2], [0, -1, -1], 1)
    assert (card["accuracy"], card["n_empty"], card["n_errors"]) == (pytest.approx(1 / 3), 2, 1)


def test_one_class_only_has_every_number():
    card = make_scorecard(TASK, [1, 1, 1], [1, 1, 1])
    assert (card["accuracy"], card["f1"], card["balanced_accuracy"]) == (1, 1, 1)
    assert math.isfinite(card["kappa"])


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_best_when_all_is_right(name: str):
    metric = make_metric(name, ORDERED)
    true = [0, 1, 2, 0, 1, 2]
    assert metric(true, true) == pytest.approx(0 if name == "mae" else 1)
    assert metric(true, true) > metric(true, [0, 1, 2, 0, 1, 0]) > metric(true, [-1] * 6)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_has_a_number_for_abstentions_alone(name: str):
    assert math.isfinite(make_metric(name, ORDERED)([0, 1], [-1, -1]))


def test_f1_of_one_label():
    true, given_ = [0, 0, 1, 1, 2], [0, 1, 1, 1, 2]
    wanted = metrics.f1_score(true, given_, labels=[1], average="macro")
    assert make_metric("f1_binary", TASK, "b")(true, given_) == pytest.approx(wanted)
    assert make_metric("f1_binary", TASK)(true, given_) == pytest.approx(2 / 3)
    with pytest.raises(DataError, match="pos_label"):
        make_metric("f1_binary", TASK, "z")


def test_kappa_is_scikit_learns():
    true, given_ = [0, 0, 1, 1, 2, 2], [0, 1, 1, 1, 2, -1]
    assert make_metric("kappa", TASK)(true, given_) == pytest.approx(metrics.cohen_kappa_score(true, given_))


def test_a_function_of_yours_sees_the_label_values():
    seen: list[Any] = []

    def mine(true: Any, given_: Any) -> float:
        seen.extend([true, given_])
        return 0.25

    assert make_metric(mine, TASK)([0, 2], [1, -1]) == 0.25
    assert seen == [["a", "c"], ["b", ""]]


def test_an_unknown_metric_lists_the_known_ones():
    with pytest.raises(DataError, match="accuracy, f1"):
        make_metric("auc", TASK)


@FEW
@given(st.integers(0, 200), st.integers(0, 200))
def test_the_interval_holds_the_share(right: int, wrong: int):
    low, high = interval(right, right + wrong)
    assert 0 <= low <= high <= 1
    if right + wrong:
        assert low <= right / (right + wrong) + 1e-9
        assert high >= right / (right + wrong) - 1e-9


# -- ordered labels --------------------------------------------------------------------------------------------


@FEW
@given(PAIRS)
def test_of_ordered_labels_it_says_what_scikit_learn_says(pairs: list[tuple[int, int]]):
    answered = [(true, given_) for true, given_ in pairs if given_ >= 0] or [(0, 1)]
    true, given_ = [list(side) for side in zip(*answered, strict=True)]
    card = make_scorecard(ORDERED, true, given_)
    assert card["mean_absolute_error"] == pytest.approx(metrics.mean_absolute_error(true, given_))
    if len({*true, *given_}) > 1:
        wanted = metrics.cohen_kappa_score(true, given_, labels=[0, 1, 2], weights="quadratic")
        assert card["quadratic_kappa"] == pytest.approx(wanted)
    assert json.loads(json.dumps(card, allow_nan=False)) == card


@pytest.mark.parametrize(("true", "error"), [(0, 2.0), (1, 1.0), (2, 2.0)])
def test_an_abstention_is_as_far_off_as_a_label_can_be(true: int, error: float):
    assert make_scorecard(ORDERED, [true], [-1])["mean_absolute_error"] == error


@pytest.mark.parametrize("name", ORDERED_METRICS)
@FEW
@given(PAIRS)
def test_an_abstention_never_scores_more_than_the_right_label(name: str, pairs: list[tuple[int, int]]):
    metric = make_metric(name, ORDERED)
    true, given_ = [0, 1, 2, *(t for t, _ in pairs)], [0, 1, 2, *(g for _, g in pairs)]
    answered = [t if g < 0 else g for t, g in zip(true, given_, strict=True)]
    assert metric(true, given_) <= metric(true, answered) + 1e-9


def test_labels_without_an_order_have_no_distances():
    card = make_scorecard(TASK, [0, 1], [0, 2])
    assert not {"mean_absolute_error", "quadratic_kappa"} & set(card)
    assert distance_text(card) == ""


def test_to_be_compared_by_the_error_is_turned_round():
    metric = make_metric("mae", ORDERED)
    assert metric([0, 2], [1, 2]) == -0.5
    assert metric([0, 0, 2], [0, 1, 2]) > metric([0, 0, 2], [0, 2, 2])  # as many are right, but nearer


@pytest.mark.parametrize("name", ORDERED_METRICS)
def test_a_metric_of_ordered_labels_is_refused_without_an_order(name: str):
    with pytest.raises(DataError, match=f"{name} needs labels in order.*ordered=True"):
        make_metric(name, TASK)


def test_the_order_changes_no_fingerprint():
    plain = ORDERED.model_copy(update={"ordered": False})
    assert ORDERED.fingerprint() == plain.fingerprint()
    assert LabelingTask(**{k: v for k, v in plain.model_dump().items() if k != "ordered"}) == plain
