"""A model that fails by plan: what `python -m tests.benchmarks faults` is made of."""

import json
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage

from langchain_model_alignment import Caller, Gate, label_file
from tests.benchmarks.faults.answers import answer
from tests.benchmarks.faults.model import error_of, faulty_model
from tests.benchmarks.faults.plan import KINDS, PASSING, SAID, Plan, spoiled
from tests.simulated import book_of, rows

BOOK = book_of({"yes": ["The text speaks of a newt."]})


def test_equal_seeds_strike_the_same_calls():
    struck = [
        [plan.strike(f"request {n % 50}") for n in range(200)] for plan in (Plan(1, 0.3), Plan(1, 0.3), Plan(2, 0.3))
    ]
    assert struck[0] == struck[1] != struck[2]


def test_every_fault_is_given_and_counted():
    plan = Plan(0, 0.5)
    for n in range(400):
        plan.strike(f"request {n}")
    assert set(plan.given) == set(KINDS)
    assert plan.given.total() < plan.calls == 400


def test_what_is_said_is_spoiled_and_what_fails_on_the_way_is_not():
    good = answer([AIMessage("What is it?")])
    assert all(spoiled(fault, good, 1) == good for fault in PASSING)
    assert all(spoiled(fault, good, 1) != good for fault in SAID)
    assert all(error_of(fault) is None for fault in SAID)


def test_a_labeling_by_a_model_that_fails_writes_every_row_and_tells_every_failure(tmp_path: Path):
    table = rows(150)
    source = tmp_path / "rows.jsonl"
    source.write_text("\n".join(json.dumps(row) for row in table), encoding="utf-8")
    plan = Plan(0, 0.4)
    found = label_file(source, BOOK, Caller(faulty_model(plan), gate=Gate(16)), tmp_path / "labels.jsonl")
    written = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text(encoding="utf-8").splitlines()]
    failed = sum(found.tally.failures.values())
    assert [row["text"] for row in written] == [row["text"] for row in table]
    assert failed == sum(row["error"] is not None for row in written) > 0
    assert found.failures is not None
    assert len(found.failures.read_text(encoding="utf-8").splitlines()) == failed


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_of_the_way_is_tried_again(fault: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    plan = Plan(0, 0.0)
    first = iter([fault])
    monkeypatch.setattr(plan, "strike", lambda _: next(first, ""))
    source = tmp_path / "rows.jsonl"
    source.write_text(json.dumps(rows(1)[0]), encoding="utf-8")
    caller = Caller(faulty_model(plan))
    found = label_file(source, BOOK, caller, tmp_path / "labels.jsonl")
    assert not found.tally.failures
    assert caller.usage.retries == (fault != "slow body")
