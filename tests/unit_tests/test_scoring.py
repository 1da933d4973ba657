"""Labels from log probabilities: codes, the mass of tokens, and the answers of a checklist."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage

from langchain_model_alignment.labeling.calibration import Signal
from langchain_model_alignment.labeling.scoring import codes_for, read_signal
from tests.simulated import checklist_message, logprob_message

FEW = settings(deadline=None, max_examples=60)
LABELS = ["hate", "not"]


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
    found = read_signal(logprob_message(shares), names)
    return None if found is None else [math.exp(value) for value in found.logprobs]


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
    assert read_signal(message, ["yes", "no"]) is None


def test_an_alternative_of_no_likelihood_is_no_error():
    top = [{"token": "yes", "logprob": 0.0}, {"token": "no", "logprob": -9999.0}]
    message = AIMessage("yes", response_metadata={"logprobs": {"content": [{"top_logprobs": top}]}})
    found = read_signal(message, ["yes", "no"])
    assert found is not None
    assert all(map(math.isfinite, found.logprobs))


# -- a checklist


def checked(answer: list[tuple[str, dict[str, float]]], n: int = 2) -> Signal | None:
    return read_signal(checklist_message(answer), LABELS, n)


YES, NO = {" yes": 0.8, " no": 0.2}, {" no": 0.9, "Yes": 0.1}
HATE = [("label", {}), (":", {}), (" hate", {" hate": 0.7, " not": 0.3})]


def test_each_line_tells_the_odds_of_its_principle_and_the_last_the_label():
    found = checked([("1", {}), (" yes", YES), ("\n", {}), ("2", {}), (" no", NO), ("\n", {}), *HATE])
    assert found is not None
    assert found.checks == pytest.approx([math.log(4), math.log(1 / 9)], abs=1e-4)
    assert [math.exp(value) for value in found.logprobs] == pytest.approx([0.7, 0.3])


def test_lines_are_told_by_their_number_not_by_their_place():
    found = checked([("2", {}), (".", {}), (" yes", {"yes": 1.0}), ("\n", {}), *HATE])
    assert found is not None
    assert found.checks[0] == 0
    assert found.checks[1] > 5


def test_numbers_of_several_digits_are_read_whole():
    found = checked([("1", {}), ("2", {}), (" yes", {"yes": 1.0}), ("\n", {}), *HATE], n=12)
    assert found is not None
    assert [at for at, check in enumerate(found.checks) if check] == [11]


def test_a_number_that_was_not_asked_about_is_ignored():
    found = checked([("9", {}), (" yes", {"yes": 1.0}), ("\n", {}), *HATE])
    assert found is not None
    assert found.checks == (0, 0)


@pytest.mark.parametrize(
    "answer",
    [
        [("1", {}), (" yes", YES)],
        [("1", {}), (" yes", YES), ("\n", {}), ("label", {}), (":", {}), (" perhaps", {" perhaps": 1.0})],
        [("hate", {"hate": 1.0})],
        [],
    ],
    ids=["no label", "another label", "no checks", "nothing"],
)
def test_a_checklist_without_a_label_says_nothing(answer: list[tuple[str, dict[str, float]]]):
    assert checked(answer) is None


@FEW
@given(
    st.lists(st.tuples(st.text(max_size=4), st.dictionaries(st.text(max_size=4), st.floats(1e-9, 1.0), max_size=3))),
    st.integers(1, 26),
)
def test_any_answer_is_read_without_an_error(answer: list[tuple[str, dict[str, float]]], n: int):
    found = checked(answer, n)
    assert found is None or (len(found.checks) == n and all(map(math.isfinite, [*found.checks, *found.logprobs])))
