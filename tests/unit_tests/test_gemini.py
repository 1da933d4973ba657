"""Gemini: structured answers, refusals, candidates, rate limits and counts, over HTTP as it is documented."""

import asyncio
import json
import time
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from pydantic import BaseModel

from langchain_model_alignment import AlignableSingleRun, Budget, Caller, Labeler, MemoryCache, Usage
from langchain_model_alignment.errors import (
    AuthenticationError,
    BadRequestError,
    RateLimitError,
    RefusalError,
    UnavailableError,
)
from langchain_model_alignment.structured import ask_structured
from langchain_model_alignment.traits import limit_of, traits_of
from tests.gemini import COUNTS, Gemini, blocked, failed, over_quota, said, stopped

ASKED = [HumanMessage("The capital of France?")]


class City(BaseModel):
    name: str
    country: str = ""


def ask(llm: Any, **settings: Any) -> Any:
    return asyncio.run(Caller(llm, **settings).ask(ASKED))


# -- structured answers


def test_a_structured_answer_is_asked_for_with_the_schema():
    gemini = Gemini(said('{"name": "Paris", "country": "France"}'))
    city = asyncio.run(ask_structured(Caller(gemini.model()), ASKED, City))
    assert city == City(name="Paris", country="France")
    settings = gemini.requests[0]["generationConfig"]
    assert settings["responseMimeType"] == "application/json"
    assert "name" in json.dumps(settings["responseJsonSchema"])


def test_one_that_does_not_fit_is_repaired_once():
    gemini = Gemini([said('{"town": "Paris"}'), said('{"name": "Paris"}')])
    assert asyncio.run(ask_structured(Caller(gemini.model()), ASKED, City)) == City(name="Paris")
    assert len(gemini.requests) == 2


def test_a_structured_answer_is_cached():
    gemini = Gemini(said('{"name": "Paris"}'))
    caller = Caller(gemini.model(), cache=MemoryCache())
    for _ in range(2):
        asyncio.run(ask_structured(caller, ASKED, City))
    assert len(gemini.requests) == 1


# -- refusals


@pytest.mark.parametrize("reason", ["SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "RECITATION", "LANGUAGE"])
def test_an_answer_that_a_filter_stopped_is_a_refusal(reason: str):
    gemini = Gemini(stopped(reason))
    with pytest.raises(RefusalError, match=reason):
        ask(gemini.model())
    assert len(gemini.requests) == 1


def test_a_half_answer_that_a_filter_stopped_is_a_refusal_too():
    with pytest.raises(RefusalError, match="SAFETY"):
        ask(Gemini(said("Well, first you", reason="SAFETY")).model())


@pytest.mark.parametrize("reason", ["SAFETY", "PROHIBITED_CONTENT", "OTHER"])
def test_a_prompt_that_a_filter_stopped_is_a_refusal(reason: str):
    with pytest.raises(RefusalError, match=f"blocked prompt: {reason}"):
        ask(Gemini(blocked(reason)).model())


@pytest.mark.parametrize("body", [stopped("SAFETY"), blocked("SAFETY")], ids=["answer", "prompt"])
def test_a_refusal_out_of_the_cache_is_still_a_refusal(body: Any):
    gemini, cache = Gemini(body), MemoryCache()
    for _ in range(2):
        with pytest.raises(RefusalError):
            ask(gemini.model(), cache=cache)
    assert len(gemini.requests) == 1


def test_a_blocked_prompt_does_not_make_the_model_unmeasurable():
    caller = Caller(Gemini([blocked("SAFETY"), said("Paris")]).model(), budget=Budget(max_tokens=1000))
    with pytest.raises(RefusalError):
        asyncio.run(caller.ask(ASKED))
    assert asyncio.run(caller.ask(ASKED)).text == "Paris"


def test_a_row_that_is_refused_is_that_rows_failure():
    """Hate-speech labelling meets this daily."""

    def label(asked: Any) -> Any:
        return stopped("SAFETY") if "vile" in json.dumps(asked["contents"]) else said("no")

    maker = Labeler(["comment"], "hate", ["yes", "no"], "Is it hateful?", Gemini(label).model())
    found = maker.infer_checkpoint(maker.rulebook({}), [{"comment": "nice"}, {"comment": "vile"}])
    assert [f["prediction"] for f in found] == ["no", ""]
    assert found[0]["error"] is None
    assert "would not answer (SAFETY)" in str(found[1]["error"])


# -- candidates


def test_several_candidates_are_several_answers():
    gemini = Gemini([said("one"), said("two"), said("three")])
    run = AlignableSingleRun(gemini.model())
    run.set_model_description("Name a use for {item}.")
    assert sorted(run.send_input("rope", n=3)) == ["one", "three", "two"]


def test_of_an_answer_with_several_candidates_the_first_counts_and_all_are_paid_for_once():
    usage = Usage()
    gemini = Gemini(said("one", "two"))
    assert ask(gemini.model(n=2), usage=usage).text == "one"
    assert gemini.requests[0]["generationConfig"]["candidateCount"] == 2
    assert usage.tokens == COUNTS["totalTokenCount"]


# -- rate limits and failures


def test_over_the_quota_the_whole_gate_waits_as_long_as_gemini_asks():
    times: list[float] = []

    def reply(asked: Any) -> Any:
        times.append(time.monotonic())
        return over_quota("0.5s") if len(times) == 1 else said("Paris")

    usage = Usage()
    caller = Caller(Gemini(reply).model(), usage=usage)

    async def crowd() -> list[Any]:
        first = asyncio.create_task(caller.ask(ASKED))
        await asyncio.sleep(0.2)  # it is turned away
        return await asyncio.gather(first, caller.ask([HumanMessage("Another?")]))

    assert [answer.text for answer in asyncio.run(crowd())] == ["Paris", "Paris"]
    assert min(times[1:]) - times[0] >= 0.5
    assert (usage.calls, usage.retries) == (3, 1)


def test_there_is_one_layer_of_retries():
    gemini = Gemini(over_quota("0.01s"))
    with pytest.raises(RateLimitError):
        ask(gemini.model(), max_retries=2)
    assert len(gemini.requests) == 3


def test_the_retries_of_a_model_that_was_made_elsewhere_are_turned_off():
    gemini = Gemini(failed(503, "UNAVAILABLE", "The model is overloaded. Please try again later."))
    with pytest.raises(UnavailableError):
        ask(gemini.model(max_retries=6), max_retries=1)
    assert len(gemini.requests) == 2


def test_a_quota_for_the_day_is_not_waited_for():
    gemini = Gemini(over_quota("30000s", quota="GenerateRequestsPerDayPerProjectPerModel-FreeTier"))
    with pytest.raises(RateLimitError):
        ask(gemini.model())
    assert len(gemini.requests) == 1


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (failed(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."), AuthenticationError),
        (failed(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers."), AuthenticationError),
        (failed(404, "NOT_FOUND", "models/gemini-0 is not found for API version v1beta."), BadRequestError),
        (
            failed(
                400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens allowed (8)."
            ),
            BadRequestError,
        ),
    ],
    ids=["wrong key", "no permission", "no such model", "too long"],
)
def test_what_cannot_get_better_fails_at_once_and_repeats_no_key(reply: Any, error: type[Exception]):
    gemini = Gemini(reply)
    with pytest.raises(error) as caught:
        ask(gemini.model())
    assert len(gemini.requests) == 1
    assert "AIzaSy" not in str(caught.value)


# -- counts and limits


def test_thoughts_are_counted_and_what_was_cached_is_known():
    usage = Usage()
    ask(Gemini(said("Paris")).model(), usage=usage)
    assert (usage.input_tokens, usage.output_tokens, usage.cached_input_tokens) == (7, 8, 4)


@pytest.mark.parametrize(
    ("name", "settings", "limited"),
    [
        ("gemini-2.5-flash", {}, False),
        ("gemini-3-pro-preview", {}, False),
        ("gemini-2.5-flash", {"thinking_budget": 0}, True),
        ("gemini-2.0-flash", {}, True),
    ],
)
def test_a_model_that_thinks_gets_no_short_limit_which_its_thoughts_would_use_up(
    name: str, settings: dict[str, Any], limited: bool
):
    gemini = Gemini(said("keep"))
    llm = gemini.model(name, **settings)
    assert limit_of(llm, 24) == ({"max_output_tokens": 24} if limited else {})


def test_the_models_limit_reaches_gemini():
    gemini = Gemini(said("Paris"))
    llm = gemini.model("gemini-2.0-flash")
    asyncio.run(Caller(llm).ask(ASKED, **limit_of(llm, 24)))
    assert gemini.requests[0]["generationConfig"]["maxOutputTokens"] == 24


def test_the_key_is_no_part_of_the_identity():
    assert "AIzaSy" not in traits_of(Gemini(said("x")).model()).identity


def test_a_picture_reaches_gemini():
    gemini = Gemini(said("A cat."))
    picture = {"type": "image", "base64": "iVBORw0KGgo=", "mime_type": "image/png"}
    message = HumanMessage([{"type": "text", "text": "What is it?"}, picture])
    asyncio.run(Caller(gemini.model()).ask([message]))
    parts = gemini.requests[0]["contents"][0]["parts"]
    assert parts[0] == {"text": "What is it?"}
    assert "image/png" in json.dumps(parts[1]["inlineData"])
