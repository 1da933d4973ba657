"""Work side by side, a bounded number at a time."""

import asyncio
from collections.abc import Iterator

import pytest

from langchain_model_alignment.errors import BudgetError
from langchain_model_alignment.gathering import gather_from


async def test_results_come_in_the_order_of_the_source_whatever_the_order_of_arrival():
    async def work(number: int) -> int:
        await asyncio.sleep(0.01 / (number + 1))
        return number

    assert await gather_from(range(20), work, width=5) == list(range(20))


async def test_no_more_is_taken_out_of_the_source_than_is_worked_on():
    taken = done = ahead = 0

    def source() -> Iterator[int]:
        nonlocal taken
        for number in range(100):
            taken += 1
            yield number

    async def work(_: int) -> None:
        nonlocal done, ahead
        ahead = max(ahead, taken - done)
        await asyncio.sleep(0)
        done += 1

    await gather_from(source(), work, width=7)
    assert (taken, done, ahead) == (100, 100, 7)


async def test_after_a_failure_nothing_new_is_begun_and_what_is_in_flight_is_finished():
    begun: list[int] = []
    finished: list[int] = []

    async def work(number: int) -> None:
        begun.append(number)
        await asyncio.sleep(0.001 if number == 1 else 0.02)
        if number == 1:
            raise BudgetError("spent")
        finished.append(number)

    with pytest.raises(BudgetError, match="spent"):
        await gather_from(range(100), work, width=4)
    assert (begun, finished) == ([0, 1, 2, 3], [0, 2, 3])


async def test_a_source_that_fails_is_a_failure_like_any_other():
    finished: list[int] = []

    def source() -> Iterator[int]:
        yield 0
        raise OSError("the disk is gone")

    async def work(number: int) -> None:
        await asyncio.sleep(0.005)
        finished.append(number)

    with pytest.raises(OSError, match="the disk is gone"):
        await gather_from(source(), work, width=4)
    assert finished == [0]


async def test_an_empty_source_gives_nothing():
    assert await gather_from([], asyncio.sleep, width=3) == []
