"""Counting is exact, and budgets hold."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_model_alignment.errors import BudgetError
from langchain_model_alignment.usage import Budget, Usage


def test_usage_is_json_and_back():
    usage = Usage(calls=2, input_tokens=10, cost=0.5)
    assert Usage.model_validate_json(usage.model_dump_json()) == usage
    assert set(usage.model_dump()) == {
        *("calls", "input_tokens", "output_tokens", "cached_input_tokens"),
        *("cache_hits", "joined", "retries", "failures", "seconds", "cost"),
    }


def test_counting_from_many_threads_loses_nothing():
    usage = Usage()

    def work() -> None:
        for _ in range(500):
            usage.add(calls=1, output_tokens=2)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (usage.calls, usage.output_tokens) == (4000, 8000)


def test_reserving_from_many_threads_never_passes_max_calls():
    usage, budget, refused = Usage(), Budget(max_calls=100), []

    def work() -> None:
        for _ in range(50):
            try:
                usage.reserve(budget)
            except BudgetError as error:
                refused.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert usage.calls == 100
    assert len(refused) == 300


@given(limit=st.integers(0, 20), wanted=st.integers(0, 40))
def test_exactly_max_calls_are_let_through(limit: int, wanted: int):
    usage, budget = Usage(), Budget(max_calls=limit)
    for number in range(wanted):
        if number < limit:
            usage.reserve(budget)
        else:
            with pytest.raises(BudgetError, match=f"max_calls={limit} is spent"):
                usage.reserve(budget)
    assert usage.calls == min(limit, wanted)


def test_tokens_and_cost_are_limits_too():
    with pytest.raises(BudgetError, match=r"max_tokens=10 is spent \(12 used\)"):
        Budget(max_tokens=10).check(Usage(input_tokens=6, output_tokens=6))
    with pytest.raises(BudgetError, match="max_cost"):
        Budget(max_cost=0.01, input_price=1, output_price=2).check(Usage(cost=0.01))


def test_seconds_run_from_the_first_call_on():
    usage, budget = Usage(), Budget(max_seconds=0.03)
    time.sleep(0.05)
    usage.reserve(budget)
    time.sleep(0.05)
    with pytest.raises(BudgetError, match="max_seconds"):
        usage.reserve(budget)


def test_no_budget_means_no_limit():
    Budget().check(Usage(calls=10**9, input_tokens=10**12, cost=1e9))


def test_cost_is_counted_per_million_tokens():
    assert Budget(input_price=0.5, output_price=2.0).cost_of(1_000_000, 500_000) == 1.5


@pytest.mark.parametrize("prices", [{}, {"input_price": 1.0}, {"output_price": 1.0}])
def test_max_cost_without_prices_is_refused_at_once(prices: dict[str, float]):
    with pytest.raises(BudgetError, match="input_price and output_price"):
        Budget(max_cost=1.0, **prices)


def test_a_negative_limit_is_refused():
    with pytest.raises(BudgetError, match="max_calls=-1"):
        Budget(max_calls=-1)


def test_a_snapshot_stands_still():
    usage = Usage(calls=1)
    before = usage.snapshot()
    usage.add(calls=1)
    assert (before.calls, usage.calls) == (1, 2)
