"""Whether an answer follows each principle, told by a strong model, by a small one, and by code."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage

from langchain_model_alignment.constitution import Add, Constitution, Set
from langchain_model_alignment.errors import AuthenticationError, FeedbackError
from langchain_model_alignment.feedback.adherence import (
    Adherence,
    AdherenceReport,
    AdherenceRequest,
    adherence_table,
    check_adherence,
    create_adherence_chain,
)
from langchain_model_alignment.feedback.exchanges import Exchange
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.feedback.visible import seen_in
from tests.fakes import ScriptedChatModel, http_error

RESPONSE = "Good day, Ann! Cut paper\n  with care. It costs 5 euros."
PRINCIPLES = Constitution.of("Name the day.", "Name the price.", "Do not talk about money.")


def judged(*items: dict[str, Any]) -> str:
    return json.dumps({"items": items})


def item(id: str, followed: bool | None = True, **more: Any) -> dict[str, Any]:
    return {"principle_id": id, "applies": True, "followed": followed, **more}


def one_call(*replies: Any) -> tuple[Any, ScriptedChatModel]:
    """A strong model that plays a script."""
    model = ScriptedChatModel(list(replies))
    return create_adherence_chain(model, strategy="one_call"), model


def short_steps(has: str | Callable[[str], Any] = "yes", **more: Any) -> tuple[Any, ScriptedChatModel]:
    """A small model that says whether a text has to do with a thing, and with which words."""

    def reply(messages: list[BaseMessage]) -> Any:
        if "Copy the strongest one" in messages[0].text:
            return "5 euros"
        return has if isinstance(has, str) else has(messages[-1].text)

    model = ScriptedChatModel(reply, **more)
    return create_adherence_chain(model, strategy="short_steps"), model


def request(constitution: Constitution = PRINCIPLES, response: str = RESPONSE, **more: Any) -> AdherenceRequest:
    return AdherenceRequest(constitution=constitution, response=response, **more)


def verdicts(report: AdherenceReport) -> list[tuple[str, bool, bool | None]]:
    return [(item.principle_id, item.applies, item.followed) for item in report.items]


# -- one call --------------------------------------------------------------------------------------------------


def test_one_call_judges_all_principles_of_an_exchange():
    told = judged(
        item("p1", words="Good day, Ann!", reason="it greets"),
        {"principle_id": "p2", "applies": False},
        item("p3", False, words="It costs 5 euros."),
    )
    chain, model = one_call(told)
    report = chain.invoke(request(id="e1"))
    assert verdicts(report) == [("p1", True, True), ("p2", False, None), ("p3", True, False)]
    assert (report.id, report.items[0].words, report.items[0].reason) == ("e1", "Good day, Ann!", "it greets")
    assert model.calls == 1


def test_an_unknown_model_is_asked_in_one_call_and_a_small_one_in_short_steps():
    strong = ScriptedChatModel([judged(item("p1"), item("p2"), item("p3"))])
    create_adherence_chain(strong).invoke(request())
    small = ScriptedChatModel("yes", model_name="qwen2.5-coder-1.5b")
    create_adherence_chain(small).invoke(request())
    assert (strong.calls, small.calls) == (1, 4)


def test_the_model_sees_all_and_the_answer_comes_after_what_stays_the_same():
    chain, model = one_call(judged(item("p1"), item("p2"), item("p3")))
    chain.invoke(request(prompt="Uses of {item}?", inputs={"item": "{item} }{ {{7*7}}"}, response="{a} {{b}} {"))
    text = model.last.messages[-1].text
    order = ["Uses of {item}?", "p1: Name the day.", "item: {item} }{ {{7*7}}", "{a} {{b}} {", "Judge p1, p2, p3"]
    assert sorted(order, key=text.index) == order


def test_words_that_stand_in_the_answer_but_for_white_space_are_kept():
    chain, _ = one_call(judged(item("p1", words="“Cut paper with care.”"), item("p2"), item("p3")))
    assert chain.invoke(request()).items[0].words == "Cut paper with care."


@pytest.mark.parametrize("words", ["Good morning, Ann!", "cut PAPER", " ", "...", None])
def test_words_that_do_not_stand_in_the_answer_are_dropped(words: str | None):
    chain, _ = one_call(judged(item("p1", words=words, reason=None), item("p2"), item("p3")))
    assert chain.invoke(request()).items[0].words == ""


def test_what_the_model_forgot_is_asked_for_once_more_and_alone():
    chain, model = one_call(judged(item("p1"), item("p2", None)), judged(item("p3", False), item("p2")))
    assert verdicts(chain.invoke(request())) == [("p1", True, True), ("p2", True, True), ("p3", True, False)]
    assert "Judge p2, p3:" in model.last.text
    assert model.calls == 2


@pytest.mark.parametrize("second", [judged(), "no idea"])
def test_what_it_forgets_twice_is_not_judged(second: str):
    chain, _ = one_call(judged(item("p1"), item("p3")), second, second)
    forgotten = chain.invoke(request()).items[1]
    assert (forgotten.principle_id, forgotten.followed, forgotten.reason) == ("p2", None, "not judged")


def test_ids_that_it_invents_and_second_words_are_ignored():
    told = judged(item("p9"), item("p1"), item("p1", False), item("p2"), item("p3"))
    chain, model = one_call(told)
    assert verdicts(chain.invoke(request())) == [("p1", True, True), ("p2", True, True), ("p3", True, True)]
    assert model.calls == 1


def test_principles_that_are_switched_off_are_not_judged():
    chain, _ = one_call(judged(item("p1"), item("p3")))
    report = chain.invoke(request(PRINCIPLES.apply(Set(id="p2", field="enabled", value=False))))
    assert [item.principle_id for item in report.items] == ["p1", "p3"]


def test_what_code_sees_is_not_asked():
    chain, model = one_call(judged(item("p2")))
    principles = Constitution.of("Use at most 5 words.", "Be kind.", "Never mention Ann.")
    assert verdicts(chain.invoke(request(principles))) == [("p1", True, False), ("p2", True, True), ("p3", True, False)]
    assert "Judge p2:" in model.last.text


@pytest.mark.parametrize("constitution", [Constitution(), Constitution.of("Never mention Ann.", "Use over 2 words.")])
def test_where_nothing_is_left_to_ask_nothing_is_asked(constitution: Constitution):
    for chain, model in (one_call(), short_steps()):
        assert len(chain.invoke(request(constitution)).items) == len(constitution)
        assert model.calls == 0


def test_an_unreadable_judgement_goes_down_to_short_steps_and_is_said_once(caplog: pytest.LogCaptureFixture):
    model = ScriptedChatModel(lambda messages: "yes" if "yes or no" in messages[0].text else "no idea")
    chain = create_adherence_chain(model, strategy="one_call")
    with caplog.at_level(logging.WARNING, logger="langchain_model_alignment"):
        assert [found.followed for found in chain.invoke(request()).items] == [True, True, False]
        before = model.calls
        chain.invoke(request())
    assert model.calls == before + 4
    assert len([r for r in caplog.records if "short steps" in r.getMessage()]) == 1


def test_without_a_response_nothing_is_asked():
    chain, model = one_call()
    with pytest.raises(FeedbackError, match="send an input first"):
        chain.invoke(request(response=" \n"))
    assert model.calls == 0


@pytest.mark.parametrize("strategy", ["one_call", "short_steps"])
def test_a_failed_call_is_raised_as_itself(strategy: Any):
    model = ScriptedChatModel(lambda _: http_error(401))
    with pytest.raises(AuthenticationError):
        create_adherence_chain(model, strategy=strategy).invoke(request())


# -- short steps -----------------------------------------------------------------------------------------------


def test_a_small_model_is_asked_for_the_thing_of_each_principle():
    chain, model = short_steps(lambda asked: "no" if "Thing: day" in asked else "yes")
    report = chain.invoke(request())
    assert verdicts(report) == [("p1", True, False), ("p2", True, True), ("p3", True, False)]
    assert report.items[2].words == "5 euros"
    assert model.calls == 4


def test_of_a_manner_a_small_model_tells_nothing():
    chain, model = short_steps()
    report = chain.invoke(request(Constitution.of("Be creative.")))
    assert verdicts(report) == [("p1", True, None)]
    assert model.calls == 0


def test_all_questions_are_in_flight_together():
    chain, model = short_steps(latency=0.02)
    chain.invoke(request())
    assert model.peak == 3


def test_whether_it_applies_is_asked_only_of_a_principle_with_a_condition():
    principles = Constitution.of("Name the day.").apply(
        Add(text="Name the price.", condition="the user asks for a tour")
    )
    for met, wanted in (("yes", ("p2", True, True)), ("no", ("p2", False, None))):
        chain, model = short_steps(lambda asked, met=met: met if "Thing: a tour" in asked else "yes")
        assert verdicts(chain.invoke(request(principles, inputs={"place": "Rome"})))[1] == wanted
        assert any("place: Rome" in r.messages[-1].text for r in model.requests)


def test_a_condition_is_asked_of_a_model_even_where_code_sees_the_rest():
    principles = Constitution().apply(Add(text="Never mention Ann.", condition="the user is a child"))
    chain, model = short_steps("no")
    assert verdicts(chain.invoke(request(principles))) == [("p1", False, None)]
    assert model.calls == 1


def test_log_probabilities_decide_where_a_model_has_them():
    top = [{"token": " No", "logprob": -0.1}, {"token": "yes", "logprob": -3.0}]
    answer = AIMessage("yes", response_metadata={"logprobs": {"content": [{"top_logprobs": top}]}})
    chain, _ = short_steps(lambda _: answer)
    assert [found.followed for found in chain.invoke(request()).items] == [False, False, True]


def test_the_words_of_a_small_model_are_the_sentence_that_shares_most():
    chain, _ = short_steps()
    report = chain.invoke(request(Constitution.of("Name the costs in euros.", "Name the day.")))
    assert [found.words for found in report.items] == ["It costs 5 euros.", "Good day, Ann!"]


def test_braces_are_text_for_a_small_model_too():
    chain, model = short_steps()
    chain.invoke(request(Constitution.of("Name {item} {0}."), response="{a} {{b}} {"))
    assert "{a} {{b}} {" in model.last.text
    assert "{item} {0}" in model.last.text


@pytest.mark.parametrize("make", [short_steps, lambda: one_call(*[judged(item("p1"), item("p2"), item("p3"))] * 2)])
def test_sync_and_async_agree(make: Callable[[], tuple[Any, ScriptedChatModel]]):
    chain, _ = make()
    assert chain.invoke(request()) == asyncio.run(chain.ainvoke(request()))


# -- what code sees --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "principle", "followed"),
    [
        ("Cut the paper.", "Use at most 3 words.", True),
        ("Cut all the paper.", "Use at most 3 words.", False),
        ("Cut all the paper.", "Answer in fewer than five words.", True),
        ("Cut the paper.", "Write at least 10 words.", False),
        ("Cut. Fold. Glue.", "Use at most two sentences.", False),
        ("Cut. Fold.", "Reply with exactly 2 sentences.", True),
        ("Ask at Zalando's shop.", "Never mention Zalando.", False),
        ("Ask at a shop.", "Don't mention Zalando.", True),
        ("It is, of course, safe.", 'Do not use the phrase "of course".', False),
        ("Bye. Best wishes!", "Always say “best wishes”.", True),
        ("Bye.", "Mention Best Buy.", False),
    ],
)
def test_code_judges_what_it_sees_for_certain(response: str, principle: str, followed: bool):
    seen = seen_in(response, principle)
    assert seen is not None
    assert seen[0] is followed


@pytest.mark.parametrize(
    ("response", "principle"),
    [
        ("A well-known trick.", "Use at most 3 words."),  # three words, or four
        ("Title\n- one\n- two", "Use at most 2 sentences."),
        ("Ask Dr. Weber.", "Use exactly 1 sentences."),
        ("剪纸。", "Use at most 3 words."),
        ("Under pressure.", 'Never say "sure".'),
        ("Cut paper.", "Use at most 3 words per item."),
        ("Cut paper.", "Mention Ann or her sister."),
        ("Cut paper.", "Be kind."),
        ("Cut paper.", "Mention prices."),
    ],
)
def test_code_leaves_what_is_not_certain_to_a_model(response: str, principle: str):
    assert seen_in(response, principle) is None


# -- many exchanges --------------------------------------------------------------------------------------------


def test_exchanges_with_a_response_are_checked_in_order():
    prompt = AlignedPrompt.from_prompt("Uses of {item}?").commit([Add(text="Be kind.")])
    for exchange in (
        Exchange(id="e1", inputs={"item": "a rope"}, response="Tie it.", revision="r1"),
        Exchange(id="e2", inputs={"item": "glue"}, revision="r1"),
        Exchange(id="e3", response="Fold it.", after="e1", message="And paper?", revision="r1"),
    ):
        prompt = prompt.with_exchange(exchange)
    chain, model = one_call(judged(item("p1")), judged(item("p1", False)))
    reports = asyncio.run(check_adherence(chain, prompt, prompt.exchanges))
    assert [(r.id, r.items[0].followed) for r in reports] == [("e1", True), ("e3", False)]
    assert "And paper?" in model.last.text
    assert "item: a rope" in model.last.text


def test_an_answer_is_not_held_against_a_principle_that_came_later():
    prompt = AlignedPrompt.from_prompt("Uses of {item}?").with_exchange(
        Exchange(id="e1", inputs={"item": "a rope"}, response="Tie it.")
    )
    chain, model = one_call()
    (report,) = asyncio.run(check_adherence(chain, prompt.commit([Add(text="Be kind.")]), prompt.exchanges))
    assert report.items == ()
    assert model.calls == 0


def test_the_table_counts_where_a_principle_applied_and_was_judged():
    def report(*followed: bool | None) -> AdherenceReport:
        found = (Adherence(principle_id=f"p{n}", applies=f is not None, followed=f) for n, f in enumerate(followed, 1))
        return AdherenceReport(items=tuple(found))

    reports = [report(True, None, False), report(True, None, True), report(False, None)]
    table = adherence_table(reports, PRINCIPLES)
    assert table.to_dict("records") == [
        {"principle_id": "p1", "principle": "Name the day.", "applied": 3, "followed": 2, "share": 2 / 3},
        {"principle_id": "p2", "principle": "Name the price.", "applied": 0, "followed": 0, "share": None},
        {"principle_id": "p3", "principle": "Do not talk about money.", "applied": 2, "followed": 1, "share": 0.5},
    ]


def test_a_table_of_nothing_has_its_columns():
    table = adherence_table([], Constitution())
    assert list(table.columns) == ["principle_id", "principle", "applied", "followed", "share"]
    assert table.empty


def test_a_report_goes_through_json():
    chain, _ = one_call(judged(item("p1"), {"principle_id": "p2", "applies": False}, item("p3", False)))
    report = chain.invoke(request(id="e1"))
    assert AdherenceReport.model_validate_json(report.model_dump_json()) == report


def test_the_schemas_say_what_each_field_is():
    for model in (AdherenceRequest, AdherenceReport, Adherence):
        assert all("description" in field for field in model.model_json_schema()["properties"].values())
