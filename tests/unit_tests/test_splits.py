"""Rows set apart: stable, stratified, and never on both sides."""

import random
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_model_alignment.errors import DataError, DataWarning
from langchain_model_alignment.labeling.splits import (
    blocks_of,
    check_labels,
    data_fingerprint,
    set_apart,
    stratified,
    without_shared,
)
from langchain_model_alignment.labeling.task import LabelingTask, Row

FEW = settings(deadline=None, max_examples=60)
TASK = LabelingTask(input_names=["text"], label_name="y", label_values=["a", "b", "c"])
# Few texts, so that many rows are equal, and some equal texts have different labels.
TABLES = st.lists(
    st.fixed_dictionaries({"text": st.integers(0, 12), "y": st.sampled_from(["a", "b", "c"])}), min_size=1, max_size=40
)


def read(table: Any) -> list[Row]:
    return TASK.read(table)


def distinct(n: int) -> list[Row]:
    return read([{"text": f"row {i}", "y": "abc"[i % 3]} for i in range(n)])


@FEW
@given(TABLES, st.integers(1, 20), st.integers(0, 3))
def test_no_text_is_on_both_sides_and_every_label_keeps_a_row(table: Any, n: int, seed: int):
    rows = read(table)
    training, validation = set_apart(rows, n, seed)
    assert not {row.text for row in training} & {row.text for row in validation}
    assert len(validation) <= min(n, 0.3 * len(rows))
    assert {row.label for row in training} == {row.label for row in rows}


@FEW
@given(TABLES, st.integers(1, 20))
def test_no_row_is_lost(table: Any, n: int):
    rows = read(table)
    training, validation = set_apart(rows, n, 0)
    assert Counter(row.id for row in [*training, *validation]) == Counter(row.id for row in rows)


@FEW
@given(TABLES, st.randoms(use_true_random=False))
def test_the_order_of_the_table_changes_nothing(table: Any, draw: random.Random):
    moved = draw.sample(table, len(table))
    sides, others = set_apart(read(table), 8, 1), set_apart(read(moved), 8, 1)
    assert [{row.id for row in side} for side in sides] == [{row.id for row in side} for side in others]
    assert stratified(read(table), 1, "x") == stratified(read(moved), 1, "x")


def test_the_rows_set_apart_have_the_labels_in_the_tables_shares():
    rows = read([{"text": i, "y": "a" if i % 10 else "b"} for i in range(200)] + [{"text": "c", "y": "c"}])
    _, validation = set_apart(rows, 50, 0)
    counted = Counter(row.label for row in validation)
    assert len(validation) == 50
    assert counted[1] == 5


def test_another_seed_sets_other_rows_apart():
    assert set_apart(distinct(60), 15, 0)[1] != set_apart(distinct(60), 15, 1)[1]


def test_at_most_three_tenths_are_set_apart():
    assert len(set_apart(distinct(50), 100, 0)[1]) == 15


@pytest.mark.parametrize("purpose", ["validation", "blocks"])
def test_every_beginning_has_the_labels_in_about_the_same_shares(purpose: str):
    ordered = stratified(distinct(90), 3, purpose)
    for end in range(9, 90, 9):
        counted = Counter(row.label for row in ordered[:end])
        assert max(counted.values()) - min(counted.values()) <= 2


def test_two_purposes_give_two_orders():
    assert stratified(distinct(30), 0, "step 1") != stratified(distinct(30), 0, "step 2")


def test_validation_rows_that_are_trained_on_are_left_out_and_told():
    rows = distinct(10)
    with pytest.warns(DataWarning, match="3 validation rows"):
        kept = without_shared(rows[:6], rows[3:])
    assert kept == rows[6:]


def test_validation_rows_that_are_all_trained_on_are_refused():
    with pytest.raises(DataError, match="All 4"):
        without_shared(distinct(10), distinct(4))


def test_a_label_without_a_row_is_named():
    with pytest.raises(DataError, match="no example of c"):
        check_labels(TASK, distinct(2))


@FEW
@given(st.integers(1, 500), st.integers(1, 100))
def test_blocks_end_with_the_last_row_and_grow(n: int, size: int):
    ends = blocks_of(n, size)
    assert ends[-1] == n
    assert ends == sorted(set(ends))
    assert all(later <= 3 * earlier for earlier, later in pairwise(ends))


def test_the_fingerprint_of_data_ignores_the_order_and_nothing_else():
    rows = distinct(9)
    assert data_fingerprint(rows) == data_fingerprint(rows[::-1])
    assert len({data_fingerprint(rows), data_fingerprint(rows[1:]), data_fingerprint(rows[:4], rows[4:])}) == 3
