"""A small model labels, a large one is asked where it is not sure; and what that saved."""

from typing import Any

import pytest
from langchain_core.messages import BaseMessage

from langchain_model_alignment.calls import Caller
from langchain_model_alignment.errors import AuthenticationError, ConfigurationError
from langchain_model_alignment.labeling.cascade import Cascade
from langchain_model_alignment.usage import Budget
from tests.fakes import ScriptedChatModel, http_error
from tests.simulated import ANIMALS, LogprobModel, SimulatedWorld, book_of, logprob_message, row_in, rows, truth

BOOK = book_of({"yes": [f"The text speaks of a {name}." for name in ANIMALS]}, scoring="logprob")


def small(messages: list[BaseMessage]) -> Any:
    """Sure of what names no animal; else it says no, hardly surer than not."""
    sure = 0.95 if truth(row_in(messages[1])) == "no" else 0.55
    return logprob_message({"no": sure, "yes": 1 - sure})


def cascade(reply: Any = small, large: Any = None, **settings: Any) -> Cascade:
    prices = Budget(input_price=1.0, output_price=1.0), Budget(input_price=10.0, output_price=10.0)
    callers = Caller(LogprobModel(reply), budget=prices[0], max_retries=0), Caller(large or model(), budget=prices[1])
    return Cascade(*callers, BOOK, **{"below": 0.8, **settings})


def model() -> ScriptedChatModel:
    return ScriptedChatModel(SimulatedWorld())


async def test_only_rows_of_which_the_small_model_is_not_sure_go_to_the_large_one():
    both = cascade()
    table = rows(20)
    found = [await both.label(f"text: {row['text']}") for row in table]
    assert [BOOK.task.labels[f.label or 0] for f in found] == [row["label"] for row in table]
    saved = both.saved()
    assert (saved.rows, saved.large_rows, saved.large_calls, saved.small_calls) == (20, 10, 10, 20)


async def test_what_was_saved_is_the_large_models_share_less_what_the_small_one_cost():
    both = cascade()
    for row in rows(20):
        await both.label(f"text: {row['text']}")
    small, large, saved = both.small.caller.usage, both.large.caller.usage, both.saved()
    assert saved.large_tokens == large.tokens  # as many rows were spared as asked
    assert saved.money == pytest.approx(large.cost - small.cost)
    assert saved.money is not None
    assert saved.money > 0


async def test_without_a_row_for_the_large_model_its_tokens_are_not_guessed():
    both = cascade()
    await both.label("text: chair lamp road")
    assert (both.saved().large_tokens, both.saved().money) == (None, None)


async def test_a_small_model_that_is_down_does_not_send_everything_to_the_large_one():
    large = model()
    both = cascade(lambda _: http_error(500), large)
    assert (await both.label("text: a cat")).kind == "UnavailableError"
    assert large.calls == 0


async def test_a_large_model_with_a_wrong_key_ends_it():
    with pytest.raises(AuthenticationError):
        await cascade(large=ScriptedChatModel(http_error(401))).label("text: a cat")


async def test_principles_are_asked_of_the_model_that_decided():
    large, both = model(), cascade(explain=True)
    both.large.caller.llm.reply = large.reply  # type: ignore[attr-defined]
    found = await both.label("text: a newt")
    assert found.principle_ids == (f"p{ANIMALS.index('newt') + 1}",)
    assert (both.small.caller.usage.calls, both.large.caller.usage.calls) == (1, 2)


def test_a_rulebook_without_confidences_and_a_bound_that_is_none_are_refused():
    caller = Caller(model())
    with pytest.raises(ConfigurationError, match="how sure the small model is"):
        Cascade(caller, caller, BOOK.model_copy(update={"scoring": "text"}), below=0.8)
    with pytest.raises(ConfigurationError, match="bound"):
        cascade(below=1.5)
