"""The parts of labeling on Ray that run without it."""

import itertools
import sys
import time

import pytest

from langchain_model_alignment.errors import AuthenticationError, ConfigurationError, DataError, UnavailableError
from langchain_model_alignment.integrations.ray import check_columns, label_dataset
from langchain_model_alignment.integrations.ray_models import Pace
from langchain_model_alignment.integrations.ray_session import one_sentence
from tests.simulated import TASK, book_of


def test_without_ray_one_sentence_names_the_command(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigurationError) as caught:
        label_dataset(None, book_of(), "local")  # type: ignore[arg-type]
    assert str(caught.value) == (
        'Labeling on several machines needs Ray: pip install "langchain-model-alignment[ray]".'
    )


def test_a_pace_spreads_calls_evenly():
    pace = Pace(600)
    waits = [pace.wait() for _ in range(50)]
    assert waits[0] == 0
    gaps = [later - earlier for earlier, later in itertools.pairwise(waits)]
    assert all(0.09 <= gap <= 0.1 for gap in gaps)


def test_a_pace_that_was_idle_lets_nobody_catch_up():
    pace = Pace(6000)
    pace.wait()
    time.sleep(0.05)
    assert pace.wait() == 0
    assert pace.wait() > 0.005


def test_a_table_must_have_the_inputs_and_none_of_the_new_columns():
    check_columns(TASK, ["id", "text"])
    with pytest.raises(DataError, match=r"no column 'text'; its columns are: id\."):
        check_columns(TASK, ["id"])
    with pytest.raises(DataError, match="'prediction' already"):
        check_columns(TASK, ["text", "prediction"])


def test_one_sentence_keeps_the_kind_of_an_error_and_drops_what_ray_adds():
    passed_on = type("Passed", (AuthenticationError,), {})("The key was not accepted.\nFailed to apply UDF transform")
    said = one_sentence(passed_on)
    assert type(said) is AuthenticationError
    assert str(said) == "The key was not accepted."
    assert type(one_sentence(RuntimeError())) is UnavailableError
