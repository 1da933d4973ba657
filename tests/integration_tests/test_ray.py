"""Labeling on Ray: what the rows get, what the workers share, and what is said when something is wrong."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage

pytest.importorskip("ray", reason='needs Ray: pip install "langchain-model-alignment[ray]"')
import pyarrow as pa

from langchain_model_alignment.errors import AuthenticationError, ConfigurationError, DataError
from langchain_model_alignment.integrations.ray import label_dataset
from langchain_model_alignment.integrations.ray_session import one_sentence, ray_session
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.task import LabelingTask
from tests.fakes import ScriptedChatModel, http_error
from tests.integration_tests.ray_cases import RAY_WARNINGS, Call, calls_in, dying_once, noting
from tests.simulated import SimulatedWorld, book_of, rows

pytestmark = pytest.mark.filterwarnings(*RAY_WARNINGS)

BOOK = book_of({"yes": ["The text speaks of a lynx."]})
KEY = "sk-abcdef1234567890"


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    with ray_session() as session:
        session.data.DataContext.get_current().enable_progress_bars = False
        yield session


def keyed(n: int, seed: int = 0) -> list[dict[str, Any]]:
    return [{"id": at, **row} for at, row in enumerate(rows(n, seed))]


def world() -> ScriptedChatModel:
    return ScriptedChatModel(SimulatedWorld())


def wrong_key() -> ScriptedChatModel:
    return ScriptedChatModel(http_error(401, f"Incorrect API key provided: {KEY}"))


def no_key() -> ScriptedChatModel:
    raise ValueError(f"no idea what to do with {KEY}")


def failing_odd(messages: list[BaseMessage]) -> Any:
    return http_error(400, "too odd") if "0x7 " in f"{messages[1].text} " else SimulatedWorld()(messages)


def only_failures() -> ScriptedChatModel:
    return ScriptedChatModel(http_error(400, "too odd"))


def partly_failing() -> ScriptedChatModel:
    return ScriptedChatModel(failing_odd)


def test_each_row_keeps_its_columns_and_gets_its_own_label(ray: Any):
    given = keyed(300)
    labeled = label_dataset(ray.data.from_items(given), BOOK, world).take_all()
    assert len(labeled) == 300
    found = {row["id"]: row for row in labeled}
    for row in given:
        said = SimulatedWorld().label(BOOK.system_text(), row["text"])
        assert found[row["id"]] == {**row, "prediction": said, "confidence": None, "principle_ids": [], "error": None}


def test_the_types_are_the_same_in_a_block_of_nulls(ray: Any):
    task = LabelingTask(input_names=["text"], label_name="label", label_values=[True, False])
    few = ray.data.from_items(keyed(3))
    for made in (only_failures, lambda: ScriptedChatModel("True")):
        schema = label_dataset(few, Rulebook.of(task, {}), made).materialize().schema()
        types = dict(zip(schema.names, schema.types, strict=True))
        assert types["prediction"] == pa.bool_()
        assert types["confidence"] == pa.float64()
        assert types["principle_ids"] == pa.list_(pa.string())
        assert types["error"] == pa.string()


def test_a_call_that_fails_is_the_error_of_its_row(ray: Any):
    labeled = label_dataset(ray.data.from_items(keyed(20)), BOOK, partly_failing).take_all()
    assert [row["id"] for row in labeled if row["error"]] == [7]
    assert next(row["error"] for row in labeled if row["error"]).startswith("The request was refused by the model")
    assert all(row["prediction"] for row in labeled if row["id"] != 7)


def test_a_worker_that_dies_is_replaced(ray: Any, tmp_path: Path):
    labeled = label_dataset(ray.data.from_items(keyed(300)), BOOK, dying_once(tmp_path / "died"), workers=1)
    assert sorted(row["id"] for row in labeled.take_all() if row["prediction"]) == list(range(300))
    assert (tmp_path / "died").exists()


def test_a_worker_asks_once_for_equal_rows(ray: Any, tmp_path: Path):
    equal = [{"id": at, "text": f"a cat number {at % 3}"} for at in range(400)]
    labeled = label_dataset(ray.data.from_items(equal), BOOK, noting(tmp_path), workers=1)
    assert labeled.count() == 400
    assert len(calls_in(tmp_path)) == 3


def test_the_workers_keep_one_pace_and_one_limit_together(ray: Any, tmp_path: Path):
    paced = label_dataset(
        ray.data.from_items(keyed(400)).repartition(8),
        BOOK,
        noting(tmp_path, latency=0.05),
        workers=2,
        max_concurrency=9,
        calls_per_minute=6000,
    )
    assert paced.count() == 400
    calls = calls_in(tmp_path)
    assert len({call.pid for call in calls}) == 2
    begun = [call.begun for call in calls]
    assert max(begun) - min(begun) >= 0.9 * 399 * 60 / 6000
    assert 4 < peak(calls) <= 9


def peak(calls: list[Call]) -> int:
    """How many calls ran at once, at most."""
    moments = sorted([(call.begun, 1) for call in calls] + [(call.ended, -1) for call in calls])
    running = [0]
    for _, change in moments:
        running.append(running[-1] + change)
    return max(running)


def test_a_wrong_key_ends_the_run_with_our_error_and_without_the_key(ray: Any):
    with pytest.raises(AuthenticationError) as caught:
        label_dataset(ray.data.from_items(keyed(5)), BOOK, wrong_key).materialize()
    assert KEY not in str(caught.value)
    said = one_sentence(caught.value)
    assert type(said) is AuthenticationError
    assert str(said).startswith("The key was not accepted; check it for the model scripted (401): ")
    assert "\n" not in str(said)


def test_a_function_that_makes_no_model_is_one_sentence_without_the_key(ray: Any):
    with pytest.raises(ConfigurationError) as caught:
        label_dataset(ray.data.from_items(keyed(5)), BOOK, no_key).materialize()
    assert KEY not in str(caught.value)
    assert str(one_sentence(caught.value)) == (
        "The function that makes the model failed with ValueError: no idea what to do with [secret]."
    )


def test_a_rulebook_for_other_columns_is_refused_before_anything_runs(ray: Any):
    with pytest.raises(DataError, match=r"no column 'text'; its columns are: id, comment"):
        label_dataset(ray.data.from_items([{"id": 1, "comment": "A cat."}]), BOOK, world)
    with pytest.raises(DataError, match="'error' already"):
        label_dataset(ray.data.from_items([{"text": "A cat.", "error": ""}]), BOOK, world)


def test_columns_that_only_running_tells_are_checked_there(ray: Any):
    unknown = ray.data.from_items([{"id": 1}]).map(lambda row: {"comment": "A cat."})
    with pytest.raises(DataError, match=r"no column 'text'; its columns are: comment"):
        label_dataset(unknown, BOOK, world).materialize()


@pytest.mark.parametrize("wrap", [lambda llm: llm, lambda llm: lambda: llm], ids=["as it is", "in a function"])
def test_a_live_model_is_not_sent(ray: Any, wrap: Callable[[Any], Any]):
    with pytest.raises(ConfigurationError, match="A ScriptedChatModel would be sent to the workers, and its key"):
        label_dataset(ray.data.from_items(keyed(1)), BOOK, wrap(world()))


def test_numbers_that_do_not_fit_are_refused(ray: Any):
    data = ray.data.from_items(keyed(1))
    with pytest.raises(ConfigurationError, match="workers is 3 and max_concurrency is 2"):
        label_dataset(data, BOOK, world, workers=3, max_concurrency=2)
    with pytest.raises(ConfigurationError, match="calls_per_minute is 0"):
        label_dataset(data, BOOK, world, calls_per_minute=0)


def test_no_word_about_its_use_goes_to_the_makers_of_ray(ray: Any):
    from ray._common.usage import usage_lib

    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert not usage_lib.usage_stats_enabled()


def test_a_session_inside_a_session_leaves_it_running(ray: Any):
    with ray_session("127.0.0.1:1") as same:
        assert same is ray
    assert ray.is_initialized()
