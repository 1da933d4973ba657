"""Work side by side, a bounded number at a time."""

import asyncio
from collections.abc import Iterator

import pytest

from langchain_model_alignment.errors import BudgetError
from langchain_model_alignment.gathering import gather_from, stream_from


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


async def test_a_stream_hands_results_out_in_order_and_holds_a_bounded_number():
    taken = given = 0

    def source() -> Iterator[int]:
        nonlocal taken
        for number in range(1, 101):
            taken = number
            yield number

    async def work(number: int) -> int:
        await asyncio.sleep(0.02 if number == 5 else 0)
        return number

    seen: list[int] = []
    async for some in stream_from(source(), work, width=4, ahead=10):
        seen += some
        given = len(seen)
        assert taken - given <= 10
    assert seen == list(range(1, 101))


async def test_a_stream_hands_out_what_comes_before_a_failure():
    async def work(number: int) -> int:
        await asyncio.sleep(0.001 * (10 - number))
        if number == 3:
            raise BudgetError("spent")
        return number

    seen: list[int] = []

    async def read() -> None:
        async for some in stream_from(range(100), work, width=4):
            seen.extend(some)

    with pytest.raises(BudgetError, match="spent"):
        await read()
    assert seen == [0, 1, 2]


async def test_a_stream_that_is_closed_cancels_what_is_in_flight():
    cancelled: list[int] = []

    async def work(number: int) -> int:
        try:
            await asyncio.sleep(60 if number else 0)
        except asyncio.CancelledError:
            cancelled.append(number)
            raise
        return number

    stream = stream_from(range(100), work, width=3)
    assert await anext(stream) == [0]
    await stream.aclose()
    assert sorted(cancelled) == [1, 2, 3]


async def test_an_empty_stream_ends():
    assert [some async for some in stream_from([], asyncio.sleep, width=3)] == []
