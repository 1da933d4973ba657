"""What is labeled: columns, labels, missing values, and texts cut to some words."""

import datetime
import math
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_model_alignment.errors import DataError
from langchain_model_alignment.labeling.task import LabelingTask, truncate

FEW = settings(deadline=None, max_examples=40)
WORDS = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=6)
SPACED = st.lists(st.tuples(WORDS, st.sampled_from([" ", "  ", "\n", "\t"])), max_size=30)


def task_of(labels: Any = ("yes", "no"), inputs: Any = ("text",), **more: Any) -> LabelingTask:
    return LabelingTask(input_names=inputs, label_name="y", label_values=labels, **more)


def shown(value: Any, **more: Any) -> str:
    return task_of(**more).show({"text": value})


# -- what a model is shown of a row


def test_several_inputs_are_a_line_each_in_the_order_of_the_task():
    row = {"body": "Hello", "title": "Hi", "extra": "no"}
    assert task_of(inputs=["title", "body"]).show(row) == "title: Hi\nbody: Hello"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (3.0, "3"),
        (3.25, "3.25"),
        (pd.Series([3.0])[0], "3"),
        (True, "True"),
        (pd.Series([True])[0], "True"),
        (datetime.date(2024, 5, 1), "2024-05-01"),
        (datetime.datetime(2024, 5, 1, 12, 30), "2024-05-01T12:30:00"),
        (pd.Timestamp("2024-05-01"), "2024-05-01"),
        (["a", 1], "['a', 1]"),
    ],
)
def test_a_value_that_is_no_text_is_written_as_a_person_would(value: Any, text: str):
    assert shown(value) == f"text: {text}"


@pytest.mark.parametrize("value", [None, math.nan, pd.NaT, pd.NA, "", "  ", pd.Series([1.0, None])[1]], ids=repr)
def test_a_missing_value_is_left_out(value: Any):
    assert shown(value) == ""
    assert task_of(inputs=["text", "more"]).show({"text": value, "more": "x"}) == "more: x"


def test_an_infinite_number_is_written():
    assert shown(math.inf) == "text: inf"


def test_a_row_of_missing_values_is_still_a_row():
    assert [row.text for row in task_of().read([{"text": None, "y": "yes"}, {"text": "x", "y": "no"}])] == [
        "",
        "text: x",
    ]


def test_braces_in_a_row_are_text():
    assert shown('{"a": 1} {name} {{x}} %s') == 'text: {"a": 1} {name} {{x}} %s'


@FEW
@given(st.lists(st.fixed_dictionaries({"text": st.one_of(st.text(), st.none()), "y": st.sampled_from(["yes", "no"])})))
def test_a_data_frame_and_dicts_are_read_alike(table: list[dict[str, Any]]):
    task = task_of()
    if not table:
        return
    assert task.read(pd.DataFrame(table)) == task.read(table) == task.read(iter(table))


def test_a_missing_key_in_some_dicts_is_a_missing_value():
    assert [row.text for row in task_of().read([{"text": "a", "y": "yes"}, {"y": "no"}])] == ["text: a", ""]


def test_columns_that_are_numbers_are_named_by_their_text():
    frame = pd.DataFrame([["hello", "yes"], ["bye", "no"]])
    task = LabelingTask(input_names=[0], label_name="1", label_values=["yes", "no"])
    assert [row.text for row in task.read(frame)] == ["0: hello", "0: bye"]


def test_one_input_name_may_be_a_plain_text():
    assert task_of(inputs="text").input_names == ("text",)


# -- truncation


@FEW
@given(SPACED, st.integers(1, 12))
def test_a_text_is_cut_to_its_first_and_last_words_and_never_altered_below_that(parts: Any, n: int):
    text = "".join(word + space for word, space in parts)
    words, cut = text.split(), truncate(text, n)
    if len(words) <= n:
        assert cut == text
        return
    first = math.ceil(n / 2)
    assert cut.split() == [*words[:first], "…", *words[len(words) - n // 2 :]]
    assert text.startswith(cut.split(" … ")[0] if n > 1 else cut.removesuffix(" …"))


def test_one_word_means_the_first_word():
    assert truncate("one two three", 1) == "one …"
    assert truncate("one", 1) == "one"


def test_no_limit_keeps_everything():
    text = "word " * 5_000
    assert truncate(text, None) == text


def test_each_input_is_cut_by_itself():
    task = task_of(inputs=["a", "b"], truncation_length=2)
    assert task.show({"a": "one two three", "b": "four five"}) == "a: one … three\nb: four five"


@pytest.mark.parametrize("length", [0, -1])
def test_a_length_that_keeps_nothing_is_refused(length: int):
    with pytest.raises(DataError, match="truncation_length"):
        task_of(truncation_length=length)


# -- labels


def indices(values: list[Any], labels: Any) -> list[int | None]:
    frame = pd.DataFrame({"text": "x", "y": pd.Series(values)})
    task = task_of(labels)
    found = [row.label for row in task.read(frame)]
    assert found == [row.label for row in task.read([{"text": "x", "y": value} for value in values])]
    return found


@pytest.mark.parametrize(
    ("values", "labels", "wanted"),
    [
        ([0.0, 1.0, 0.0], [0, 1], [0, 1, 0]),
        ([1, 0], [0.0, 1.0], [1, 0]),
        (["0", "1"], [0, 1], [0, 1]),
        ([0, 1], ["0", "1"], [0, 1]),
        ([True, False], [True, False], [0, 1]),
        (["True", " false"], [True, False], [0, 1]),
        ([1, 0], [True, False], [0, 1]),
        ([True, False], ["true", "false"], [0, 1]),
        (["NOT HATE", "hate"], ["hate", "not hate"], [1, 0]),
        (["a", "ab", "abc"], ["abc", "ab", "a"], [2, 1, 0]),
        ([1, 10, 100], [100, 10, 1], [2, 1, 0]),
        ([0.5, 0.25], [0.25, 0.5], [1, 0]),
    ],
    ids=str,
)
def test_a_label_is_found_by_its_value_or_its_text(values: list[Any], labels: Any, wanted: list[int]):
    assert indices(values, labels) == wanted


def test_two_hundred_labels_are_told_apart():
    labels = [f"class {n}" for n in range(200)]
    assert indices(labels[::-1], labels) == list(range(199, -1, -1))


def test_labels_out_of_pandas_are_plain_values():
    frame = pd.DataFrame({"text": ["a", "b"], "y": [True, False]})
    labels = task_of(frame["y"].unique()).label_values
    assert [type(value) for value in labels] == [bool, bool]


@FEW
@given(st.lists(st.one_of(st.integers(), st.text(min_size=1), st.booleans()), min_size=2, max_size=8))
def test_every_label_that_a_task_takes_finds_itself(values: list[Any]):
    try:
        task = task_of(values)
    except DataError:  # empty, or two that read the same
        return
    if len({*values}) == len(values):  # 1 and True are one key to Python
        assert [task.index_of(value) for value in values] == list(range(len(values)))
    assert [task.index_of(text) for text in task.labels] == list(range(len(values)))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: task_of(inputs=[]), "no input"),
        (lambda: task_of(["yes"]), "at least two"),
        (lambda: task_of(["yes", "YES"]), "read the same"),
        (lambda: task_of([1, 1.0]), "read the same"),
        (lambda: task_of(["yes", " "]), "empty"),
        (lambda: task_of(inputs=["text", "y"]), "among the inputs"),
    ],
)
def test_a_task_that_makes_no_sense_says_what_to_change(make: Callable[[], Any], words: str):
    with pytest.raises(DataError, match=words):
        make()


def test_a_task_without_a_description_asks_for_its_label():
    assert task_of().question == "What is the y?"
    assert task_of(task_description=" Is it rude? ").question == "Is it rude?"


# -- rows and their names


def test_rows_are_named_by_their_content_not_by_their_place():
    task, table = task_of(), [{"text": t, "y": "yes"} for t in ("a", "b", "c")]
    forward, back = task.read(table), task.read(table[::-1])
    assert [row.id for row in forward] == [row.id for row in back[::-1]]


def test_equal_rows_have_names_of_their_own():
    ids = [row.id for row in task_of().read([{"text": "a", "y": "yes"}] * 3)]
    assert len(set(ids)) == 3


def test_lone_surrogates_are_read():
    assert len(task_of().read([{"text": "\ud800", "y": "yes"}])) == 1


# -- what does not fit


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ([{"txt": "a", "y": "yes"}], "no column 'text'"),
        ([{"text": "a"}], "no column 'y'"),
        ([{"text": "a", "y": None}], "no y"),
        ([{"text": "a", "y": "maybe"}], "'maybe'"),
        ([{"text": "a", "y": ["yes"]}], r"\['yes'\]"),
        ([], "no rows"),
    ],
)
def test_a_table_that_does_not_fit_is_one_sentence(table: list[dict[str, Any]], words: str):
    for data in (table, pd.DataFrame(table, columns=list(table[0]) if table else ["text", "y"])):
        with pytest.raises(DataError, match=words) as caught:
            task_of().read(data)
        assert "\n" not in str(caught.value)


def test_a_column_that_is_there_twice_is_refused():
    frame = pd.DataFrame([["a", "b", "yes"]], columns=["text", "text", "y"])
    with pytest.raises(DataError, match="twice"):
        task_of().read(frame)


def test_rows_to_label_need_no_label_and_may_be_none():
    assert task_of().read([], labeled=False) == []
    assert [row.label for row in task_of().read([{"text": "a"}], labeled=False)] == [None]


def test_the_fingerprint_knows_what_a_model_is_shown():
    same = [task_of(), task_of(task_description="What is the y?")]
    assert len({task.fingerprint() for task in same}) == 1
    others = [task_of(["no", "yes"]), task_of(inputs=["texts"]), task_of(task_description="?")]
    assert len({task.fingerprint() for task in [*same, *others, task_of(truncation_length=5)]}) == 5


@pytest.mark.parametrize("field", ["input_names", "label_name", "label_values", "task_description"])
def test_half_of_a_character_is_told_in_a_sentence(field: str):
    given: dict[str, Any] = {"input_names": ["text"], "label_name": "label", "label_values": ["yes", "no"]}
    given |= {field: ["\ud800", "\ud800"] if field in ("input_names", "label_values") else "\ud800"}
    with pytest.raises(DataError, match="half of a character"):
        LabelingTask(**given)
