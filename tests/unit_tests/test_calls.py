"""The one door to a model: cache, joining, budget, gate, retries, usage, typed failures."""

import asyncio
import logging
import time
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.runnables import RunnableLambda
from pydantic import SecretStr

from langchain_model_alignment import errors
from langchain_model_alignment.cache import MemoryCache, SQLiteCache
from langchain_model_alignment.calls import Answer, Caller, Gate, as_caller
from langchain_model_alignment.usage import Budget, Usage
from tests.fakes import APIConnectionError, ScriptedChatModel, SyncOnlyChatModel, http_error


def say(text: str = "hello") -> list[BaseMessage]:
    return [HumanMessage(text)]


async def many(caller: Caller, count: int, **kwargs: Any) -> list[Any]:
    """Asks `count` different questions at once; failures are values."""
    return await asyncio.gather(*(caller.ask(say(f"q {i}"), **kwargs) for i in range(count)), return_exceptions=True)


async def test_an_answer_has_its_text_and_its_message():
    model = ScriptedChatModel("Paris")
    answer = await Caller(model).ask(say("The capital?"), stop=["\n"], logprobs=True)
    assert isinstance(answer, Answer)
    assert (answer.text, answer.message.text, answer.cached) == ("Paris", "Paris", False)
    assert model.last.messages == say("The capital?")
    assert model.last.kwargs == {"stop": ["\n"], "logprobs": True}


async def test_reasoning_is_not_text():
    model = ScriptedChatModel(AIMessage([{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "yes"}]))
    assert (await Caller(model).ask(say())).text == "yes"
    assert (await Caller(ScriptedChatModel("<think>hm</think>\nyes")).ask(say())).text == "yes"


async def test_callbacks_reach_the_model():
    seen: list[Any] = []

    class Recorder(BaseCallbackHandler):
        def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
            seen.append(kwargs["tags"])

    for model in (ScriptedChatModel(), SyncOnlyChatModel()):
        await Caller(model).ask(say(), config={"callbacks": [Recorder()], "tags": ["blue"]})
    assert seen == [["blue"], ["blue"]]


# --- the cache


async def test_a_cached_answer_costs_nothing_and_says_so():
    model, cache = ScriptedChatModel("yes"), MemoryCache()
    first = await Caller(model, cache=cache).ask(say())
    caller = Caller(model, cache=cache)
    second = await caller.ask(say())
    assert (first.cached, second.cached, second.text) == (False, True, "yes")
    assert model.calls == 1
    assert (caller.usage.calls, caller.usage.tokens, caller.usage.cache_hits) == (0, 0, 1)


async def test_the_cache_outlives_the_process_with_metadata(tmp_path: Any):
    message = AIMessage("yes", response_metadata={"logprobs": {"content": [{"token": "yes", "logprob": -0.1}]}})
    model = ScriptedChatModel(message)
    with SQLiteCache(tmp_path / "answers.sqlite") as cache:
        await Caller(model, cache=cache).ask(say())
    with SQLiteCache(tmp_path / "answers.sqlite") as cache:
        answer = await Caller(model, cache=cache).ask(say())
    assert answer.cached
    assert answer.message.response_metadata["logprobs"]["content"][0]["logprob"] == -0.1
    assert answer.message.usage_metadata is not None


async def test_other_models_messages_kwargs_and_samples_are_other_requests():
    cache, model = MemoryCache(), ScriptedChatModel("a", model_name="one")
    other = ScriptedChatModel("b", model_name="two")
    await Caller(model, cache=cache).ask(say())
    assert (await Caller(other, cache=cache).ask(say())).text == "b"
    caller = Caller(model, cache=cache)
    for kwargs in ({"sample": 1}, {"stop": ["x"]}, {"temperature": 0.5}):
        assert not (await caller.ask(say(), **kwargs)).cached
    assert not (await caller.ask([AIMessage("hello")])).cached


async def test_a_damaged_entry_is_asked_again():
    class Damaged(MemoryCache):
        def get(self, key: str) -> str | None:
            return "{not json"

    assert not (await Caller(ScriptedChatModel("yes"), cache=Damaged()).ask(say())).cached


async def test_failures_are_not_cached():
    model, cache = ScriptedChatModel([http_error(400), "yes"]), MemoryCache()
    caller = Caller(model, cache=cache)
    with pytest.raises(errors.BadRequestError):
        await caller.ask(say())
    assert (await caller.ask(say())).text == "yes"


async def test_a_request_that_has_no_json_form_is_asked_but_not_kept():
    model, cache = ScriptedChatModel("yes"), MemoryCache()
    caller = Caller(model, cache=cache)
    await asyncio.gather(*(caller.ask(say(), callback=print) for _ in range(2)))
    assert (model.calls, len(cache)) == (2, 0)


# --- joining


async def test_equal_requests_in_flight_are_one_call():
    model = ScriptedChatModel("yes", latency=0.02)
    caller = Caller(model)
    answers = await asyncio.gather(*(caller.ask(say()) for _ in range(10)))
    assert [answer.text for answer in answers] == ["yes"] * 10
    assert (model.calls, caller.usage.calls, caller.usage.joined) == (1, 1, 9)


async def test_without_a_cache_a_later_equal_request_is_a_new_call():
    model = ScriptedChatModel(["one", "two"])
    caller = Caller(model)
    assert [(await caller.ask(say())).text for _ in range(2)] == ["one", "two"]


async def test_samples_are_not_joined():
    model = ScriptedChatModel(["a", "b", "c"], latency=0.01)
    caller = Caller(model)
    answers = await asyncio.gather(*(caller.ask(say(), sample=number) for number in range(3)))
    assert sorted(answer.text for answer in answers) == ["a", "b", "c"]


async def test_a_cancelled_waiter_leaves_the_others_waiting():
    model = ScriptedChatModel("yes", latency=0.03)
    caller = Caller(model)
    waiters = [asyncio.create_task(caller.ask(say())) for _ in range(3)]
    await asyncio.sleep(0.01)
    waiters[0].cancel()  # the one that started the call
    results = await asyncio.gather(*waiters, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert [result.text for result in results[1:]] == ["yes", "yes"]
    assert model.calls == 1


async def test_when_nobody_waits_any_more_the_call_is_cancelled_and_its_place_freed():
    model = ScriptedChatModel("yes", latency=30)
    caller = Caller(model, gate=Gate(1))
    waiters = [asyncio.create_task(caller.ask(say())) for _ in range(2)]
    await asyncio.sleep(0.01)
    for waiter in waiters:
        waiter.cancel()
    await asyncio.gather(*waiters, return_exceptions=True)
    model.latency = 0
    assert (await asyncio.wait_for(caller.ask(say()), 1)).text == "yes"
    assert model.active == 0


async def test_a_failure_reaches_everyone_who_waits():
    caller = Caller(ScriptedChatModel(http_error(400), latency=0.01))
    results = await asyncio.gather(*(caller.ask(say()) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [errors.BadRequestError] * 3
    assert caller.usage.failures == 1


# --- the budget


async def test_max_calls_is_exact_under_concurrency():
    model = ScriptedChatModel("yes", latency=0.005)
    results = await many(Caller(model, gate=Gate(8), budget=Budget(max_calls=13)), 40)
    assert model.calls == 13
    assert sum(isinstance(result, errors.BudgetError) for result in results) == 27


async def test_retries_count_as_calls():
    model = ScriptedChatModel(http_error(503))
    with pytest.raises(errors.BudgetError, match="max_calls=3"):
        await Caller(model, budget=Budget(max_calls=3)).ask(say())
    assert model.calls == 3


@pytest.mark.parametrize(
    "budget", [Budget(max_tokens=30), Budget(max_cost=30, input_price=1e6, output_price=1e6), Budget(max_seconds=0.03)]
)
async def test_no_other_budget_is_passed_by_more_than_the_calls_in_flight(budget: Budget):
    model = ScriptedChatModel("yes", latency=0.01)  # 3 tokens a call
    caller = Caller(model, gate=Gate(4), budget=budget)
    results = await many(caller, 100)
    assert any(isinstance(result, errors.BudgetError) for result in results)
    assert model.calls <= (10 + 4 if budget.max_seconds is None else 40)


async def test_callers_that_share_a_usage_share_the_budget():
    usage, budget = Usage(), Budget(max_calls=3)
    one, two = (Caller(ScriptedChatModel(), usage=usage, budget=budget) for _ in range(2))
    results = [*await many(one, 2), *await many(two, 2)]
    assert usage.calls == 3
    assert isinstance(results[-1], errors.BudgetError)


@pytest.mark.parametrize("budget", [Budget(max_tokens=9), Budget(max_cost=9, input_price=1, output_price=1)])
async def test_a_budget_that_this_model_cannot_measure_ends_after_the_first_answer(budget: Budget):
    model, cache = ScriptedChatModel("yes", with_usage=False), MemoryCache()
    caller = Caller(model, budget=budget, cache=cache)
    with pytest.raises(errors.BudgetError, match="cannot be measured with this model"):
        await caller.ask(say("a"))
    with pytest.raises(errors.BudgetError, match="cannot be measured"):
        await caller.ask(say("b"))
    assert model.calls == 1
    assert len(cache) == 1  # it was paid for


async def test_one_stray_answer_without_a_count_ends_nothing():
    def reply(messages: list[BaseMessage]) -> Any:
        model.with_usage = messages[-1].text != "b"
        return "yes"

    model = ScriptedChatModel(reply)
    caller = Caller(model, budget=Budget(max_tokens=90))
    for text in "abc":
        await caller.ask(say(text))
    assert caller.usage.tokens == 4


async def test_max_calls_needs_no_token_counts():
    caller = Caller(ScriptedChatModel("yes", with_usage=False), budget=Budget(max_calls=2))
    assert (await caller.ask(say())).text == "yes"


# --- the gate


async def test_the_gate_bounds_the_calls_in_flight_and_is_kept_full():
    model = ScriptedChatModel("yes", latency=0.01)
    await many(Caller(model, gate=Gate(7)), 40)
    assert model.peak == 7


async def test_two_callers_may_share_a_gate():
    gate, model = Gate(5), ScriptedChatModel("yes", latency=0.01)
    await asyncio.gather(many(Caller(model, gate=gate), 20, stop=["a"]), many(Caller(model, gate=gate), 20))
    assert model.peak == 5


def test_one_gate_serves_several_event_loops():
    caller = Caller(ScriptedChatModel("yes", latency=0.001), gate=Gate(2))
    for _ in range(3):
        assert len(asyncio.run(many(caller, 6))) == 6


async def test_a_model_with_only_the_sync_method_keeps_the_gate_full():
    model = SyncOnlyChatModel("yes", latency=0.05)
    await many(Caller(model, gate=Gate(32)), 100)
    assert model.peak == 32


async def test_retry_after_holds_everybody_back():
    times: list[float] = []

    def reply(messages: list[BaseMessage]) -> Any:
        times.append(time.monotonic())
        return http_error(429, retry_after=0.15) if len(times) == 1 else "yes"

    caller = Caller(ScriptedChatModel(reply), gate=Gate(1))
    results = await many(caller, 5)
    assert [result.text for result in results] == ["yes"] * 5
    assert times[1] - times[0] >= 0.15
    assert times[-1] - times[1] < 0.1
    assert caller.usage.retries == 1


# --- retries and failures


async def test_what_may_pass_is_tried_again():
    model = ScriptedChatModel([http_error(429), http_error(500), TimeoutError(), APIConnectionError("gone"), "yes"])
    caller = Caller(model)
    assert (await caller.ask(say())).text == "yes"
    assert (caller.usage.calls, caller.usage.retries, caller.usage.failures) == (5, 4, 0)


@pytest.mark.parametrize(
    ("error", "expected", "calls"),
    [
        (http_error(401), errors.AuthenticationError, 1),
        (http_error(400), errors.BadRequestError, 1),
        (http_error(429), errors.RateLimitError, 3),
        (http_error(429, retry_after=86_400), errors.RateLimitError, 1),
        (http_error(503), errors.UnavailableError, 3),
        (ConnectionResetError("gone"), errors.UnavailableError, 3),
        (KeyError("odd"), errors.ModelError, 1),
    ],
)
async def test_what_stays_is_raised_as_one_of_ours(error: Exception, expected: type[Exception], calls: int):
    model = ScriptedChatModel(error, model_name="clever-1")
    caller = Caller(model, max_retries=2)
    with pytest.raises(expected, match="clever-1") as raised:
        await caller.ask(say())
    assert type(raised.value) is expected
    assert raised.value.__cause__ is error
    assert model.calls == calls
    assert caller.usage.failures == 1


@pytest.mark.parametrize("model_class", [ScriptedChatModel, SyncOnlyChatModel])
async def test_a_refusal_is_not_tried_again(model_class: Any):
    model = model_class(AIMessage("", response_metadata={"finish_reason": "SAFETY"}))
    with pytest.raises(errors.RefusalError, match="SAFETY"):
        await Caller(model).ask(say())
    assert model.calls == 1


async def test_a_cached_refusal_is_still_one():
    model = ScriptedChatModel(AIMessage("", response_metadata={"finish_reason": "SAFETY"}))
    caller = Caller(model, cache=MemoryCache())
    for _ in range(2):
        with pytest.raises(errors.RefusalError):
            await caller.ask(say())
    assert model.calls == 1


async def test_one_failure_stays_one():
    def reply(messages: list[BaseMessage]) -> Any:
        return http_error(400) if messages[-1].text == "q 3" else "yes"

    results = await many(Caller(ScriptedChatModel(reply)), 6)
    assert [isinstance(result, errors.BadRequestError) for result in results] == [False] * 3 + [True] + [False] * 2


async def test_cancelling_is_not_swallowed_while_waiting_to_retry(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("langchain_model_alignment.calls._FIRST_WAIT", 30)
    caller = Caller(ScriptedChatModel(http_error(503)))
    task = asyncio.create_task(caller.ask(say()))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 1)


async def test_no_message_and_no_log_shows_a_secret(caplog: pytest.LogCaptureFixture):
    class Keyed(ScriptedChatModel):
        api_key: SecretStr = SecretStr("very-private-0815")

    caplog.set_level(logging.DEBUG, logger="langchain_model_alignment")
    model = Keyed(http_error(503, "Bearer abcdef123456, sk-abcdef123456, very-private-0815 failed"))
    with pytest.raises(errors.UnavailableError) as raised:
        await Caller(model, max_retries=1).ask(say())
    for secret in ("abcdef123456", "0815"):
        assert secret not in str(raised.value)
        assert secret not in caplog.text


# --- usage


async def test_usage_is_counted():
    details = {"input_tokens": 100, "output_tokens": 5, "total_tokens": 105, "input_token_details": {"cache_read": 80}}
    caller = Caller(
        ScriptedChatModel(AIMessage("yes", usage_metadata=details)), budget=Budget(input_price=10, output_price=100)
    )
    await caller.ask(say())
    usage = caller.usage
    assert (usage.calls, usage.input_tokens, usage.output_tokens, usage.cached_input_tokens) == (1, 100, 5, 80)
    assert usage.cost == pytest.approx(0.0015)
    assert usage.seconds > 0


async def test_hits_of_langchains_own_cache_are_not_spent():
    model = ScriptedChatModel("yes", cache=InMemoryCache())
    caller = Caller(model)
    for _ in range(2):
        await caller.ask(say())
    assert (model.calls, caller.usage.calls, caller.usage.cache_hits, caller.usage.tokens) == (1, 1, 1, 2)


# --- making one


def test_as_caller_passes_a_caller_through_and_wraps_a_model():
    caller = Caller(ScriptedChatModel())
    assert as_caller(caller) is caller
    gate, model = Gate(3), ScriptedChatModel()
    made = as_caller(model, gate=gate)
    assert (made.llm, made.gate) == (model, gate)


def test_as_caller_resolves_a_name(monkeypatch: pytest.MonkeyPatch):
    model = ScriptedChatModel()
    monkeypatch.setattr("langchain_model_alignment.models.resolve_chat_model", {"local:tiny": model}.get)
    assert as_caller("local:tiny").llm is model


def test_what_is_no_chat_model_is_refused():
    with pytest.raises(errors.ConfigurationError, match="RunnableLambda is not a chat model"):
        as_caller(RunnableLambda(str))  # type: ignore[arg-type]
    with pytest.raises(errors.ConfigurationError, match="max_concurrency is 0"):
        Gate(0)


async def test_the_fake_models_of_langchain_core_work():
    assert (await Caller(FakeListChatModel(responses=["yes"])).ask(say())).text == "yes"


def test_a_bound_model_keeps_what_is_bound_to_it() -> None:
    model = ScriptedChatModel(reply=["yes"])
    caller = as_caller(model.bind(stop=["."]).with_config(tags=["mine"]))
    asyncio.run(caller.ask([HumanMessage("hello")]))
    assert model.last.kwargs["stop"] == ["."]
