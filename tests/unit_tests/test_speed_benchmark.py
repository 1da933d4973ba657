"""The benchmark of speed: what is counted, and against which floor."""

import pytest

from tests.benchmarks import toy
from tests.benchmarks.speed.command import MANY, SYSTEMS, Work, floor, planned
from tests.benchmarks.speed.meter import Meter, label_of, prefix_share, tokens_in


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(toy, "LATENCY", 0.001)


def test_a_meter_tells_calls_tokens_and_the_share_of_prefixes():
    meter = Meter()

    taken = meter.measured(lambda: {"said": [meter.reply(f"same words {n}", str.upper) for n in range(4)]})

    assert taken["said"] == [f"SAME WORDS {n}" for n in range(4)]
    assert (taken["calls"], taken["tokens"], taken["in_flight"]) == (4, 12, 1)
    assert taken["prefix"] == pytest.approx(3 * 11 / (4 * 12))
    assert taken["seconds"] >= 4 * toy.LATENCY


async def test_tasks_that_wait_together_are_in_flight_together():
    import asyncio

    meter = Meter()
    await asyncio.gather(*(meter.areply("words", str) for _ in range(5)))

    assert meter.peak == 5


def test_a_prefix_is_that_of_the_nearest_earlier_request():
    assert prefix_share(["rules: a", "other", "rules: b"]) == pytest.approx(7 / 21)


def test_the_last_row_of_a_request_is_the_one_to_label():
    first, last = toy.rows(2, 1)
    assert label_of(f"{first['text']} is {first['label']}\n{last['text']}") == toy.answer(last["text"], "")


def test_tokens_are_words_and_marks():
    assert tokens_in("Did it work? Yes.") == 6


def test_the_floor_is_calls_by_width_times_the_latency():
    assert floor(Work("label", 32), {"calls": 100}) == pytest.approx(4 * toy.LATENCY)


def test_many_rows_are_labeled_only_where_that_was_asked_for():
    assert all(work.rows != MANY for work in planned([1, 32], many=False))
    assert [work.width for work in planned([1, 32], many=True) if work.rows == MANY] == [32]


def test_everyone_can_be_trained():
    assert all("train" in system.ways for system in SYSTEMS)


@pytest.mark.parametrize("way", ["label", "step", "train"])
def test_we_do_each_piece_of_work(way, monkeypatch):
    from tests.benchmarks.speed import ours

    taken = ours.work({"way": way, "rows": 20, "width": 8})

    assert taken["calls"] >= 20
    assert taken["in_flight"] <= 8
