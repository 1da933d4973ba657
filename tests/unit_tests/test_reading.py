"""Reading a label out of an answer: exactly, or not at all."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_model_alignment.labeling.reading import LabelReader, read_numbers

FEW = settings(deadline=None, max_examples=60)
# Letters that come back from their capitals; the Turkish dotless i does not.
PLAIN = st.characters(exclude_categories=["C", "Z"]).filter(lambda c: c.upper().casefold() == c.casefold())
ANY_LABEL = st.text(st.one_of(PLAIN, st.just(" ")), min_size=1, max_size=12).map(str.strip).filter(bool)
WORD_LABEL = st.text(st.sampled_from("abcnotxyz019 -_"), min_size=1, max_size=8).filter(
    lambda label: label[0].isalnum() and label[-1].isalnum()
)


def sets_of(labels: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(labels, min_size=2, max_size=6, unique_by=str.casefold)


def read(labels: list[str], answer: str) -> str | None:
    index = LabelReader(labels).read(answer)
    return None if index is None else labels[index]


@FEW
@given(sets_of(ANY_LABEL), st.sampled_from([str, str.upper, str.lower, str.swapcase, str.title]))
def test_any_label_in_any_case_reads_back(labels: list[str], change: type[str]):
    for label in labels:
        if change(label).casefold() == label.casefold():
            assert read(labels, f"  {change(label)}\n") == label


@FEW
@given(
    sets_of(WORD_LABEL),
    st.sampled_from(["{}.", '"{}"', "'{}'!", "**{}**", " ({})\n", "«{}»", "`{}`", "[{}];", "{}\n\n"]),
)
def test_a_label_in_any_punctuation_reads_back(labels: list[str], around: str):
    for label in labels:
        assert read(labels, around.format(label.upper())) == label


@FEW
@given(sets_of(ANY_LABEL), st.text())
def test_whatever_a_model_says_is_read_without_an_error(labels: list[str], answer: str):
    assert read(labels, answer) in (*labels, None)


@FEW
@given(sets_of(WORD_LABEL))
def test_two_labels_in_one_answer_are_none(labels: list[str]):
    assert read(labels, f"{labels[0]} / {labels[1]}") is None or " " in "".join(labels)


@FEW
@given(sets_of(WORD_LABEL), st.text(st.sampled_from("qwuv "), max_size=20))
def test_a_whole_word_in_a_sentence_is_found(labels: list[str], words: str):
    assert read(labels, f"{words} : {labels[0]}, {words}") == labels[0] or " " in "".join(labels)


@pytest.mark.parametrize(
    ("labels", "answer", "wanted"),
    [
        (["toxic", "nontoxic"], "nontoxic", "nontoxic"),
        (["toxic", "non-toxic"], "The comment is non-toxic.", "non-toxic"),
        (["toxic", "clean"], "The comment is non-toxic.", None),
        (["toxic", "clean"], "It is not toxic", None),
        (["toxic", "clean"], "It isn't really toxic.", None),
        (["toxic", "clean"], "not toxic, it is clean", None),
        (["hate", "not hate"], "Not hate.", "not hate"),
        (["hate", "not hate"], "This is not hate", "not hate"),
        (["hate", "not hate"], "This is hate", "hate"),
        (["1", "10"], "10", "10"),
        (["1", "10"], "Rating: 1.", "1"),
        (["1", "10"], "1.5", None),
        (["1", "10"], "100", None),
        (["1", "10"], "-1", None),
        (["1", "10"], "1 or 10", None),
        (["yes", "no"], "unknown", None),
        (["yes", "no"], "I cannot say", None),
        (["yes", "no"], "Yes, it does.", "yes"),
        (["yes", "no"], "yes yes YES", "yes"),
        (["yes", "no"], "Yes and no", None),
        (["yes", "no"], "", None),
        (["True", "False"], "true", "True"),
        (["c", "c++"], "It is C++.", "c++"),
        (["spam", "ham"], "spam/ham", None),
        (["a", "b"], "**B**", "b"),
        (["sicher", "unsicher"], "nicht sicher", None),
        (["是", "不是"], "不是", "不是"),
    ],
)
def test_answers_as_models_give_them(labels: list[str], answer: str, wanted: str | None):
    assert read(labels, answer) == wanted


def test_a_long_answer_is_read_in_no_time():
    assert read(["yes", "no"], "not " * 20_000 + "maybe") is None


@FEW
@given(st.text(), st.integers(1, 30))
def test_numbers_are_in_range_and_each_once(answer: str, most: int):
    found = read_numbers(answer, most)
    assert len(set(found)) == len(found)
    assert all(1 <= number <= most for number in found)


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [("2", [2]), ("Principles 3, 1 and 3", [3, 1]), ("0", []), ("7", []), ("none", []), ("p2.", [2]), ("1.5", [1])],
)
def test_numbers_as_models_give_them(answer: str, wanted: list[int]):
    assert read_numbers(answer, 5) == wanted
