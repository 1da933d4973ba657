"""A batch of feedback becomes a constitution in one go."""

import asyncio
import inspect
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage

from langchain_model_alignment.cache import SQLiteCache
from langchain_model_alignment.calls import Caller
from langchain_model_alignment.constitution import Add
from langchain_model_alignment.errors import (
    AuthenticationError,
    BadRequestError,
    BudgetError,
    ConfigurationError,
    DataError,
    PromptError,
)
from langchain_model_alignment.feedback.batch.align import aalign_batch, align_batch, create_batch_chain
from langchain_model_alignment.feedback.batch.groups import groups_of, wordings_of
from langchain_model_alignment.feedback.batch.records import BatchResult, FeedbackRecord
from langchain_model_alignment.feedback.exchanges import Feedback
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.gate import Gate
from langchain_model_alignment.usage import Budget
from tests.fakes import ScriptedChatModel, http_error

PROMPT = "Answer the customer: {message}"


def record(number: int, text: str, kind: str = "critique", **more: Any) -> FeedbackRecord:
    feedback = Feedback.model_validate({"kind": kind, "text": text, **more})
    return FeedbackRecord(id=f"r{number}", inputs={"message": f"{number}?"}, response="It depends.", feedback=feedback)


def records(*texts: str) -> list[FeedbackRecord]:
    return [record(number, text) for number, text in enumerate(texts, 1)]


class Mind:
    """A model that makes each person's words a principle, merges to the first rule, and weaves faithfully."""

    def __init__(self, merge: Any = None, weave: Any = None, extract: Any = None) -> None:
        self.asked: list[str] = []
        self._merge, self._weave, self._extract = merge, weave, extract

    def __call__(self, messages: list[BaseMessage]) -> Any:
        system, last = messages[0].text, messages[-1].text
        if "list of principles" in system:
            self.asked.append("extract")
            said = re.findall(r"Feedback \(\w+\):\n(.*?)(?:\n\nAnswer with one JSON|\Z)", last, re.DOTALL)[0]
            if self._extract:
                return self._extract(said)
            return json.dumps({"reason": "asked", "action": "add", "principle": said})
        if "Many people gave feedback" in system:
            self.asked.append("merge")
            return self._merge or last.splitlines()[0].split(": ", 1)[1]
        self.asked.append("weave")
        if self._weave:
            return self._weave
        rules = re.findall(r"^- (.*)$", last.split("Rules:\n")[-1], re.MULTILINE)
        return json.dumps({"text": f"{PROMPT} {' '.join(rules)}"})


def aligned(
    given: Any, prompt: Any = PROMPT, *, mind: Mind | None = None, **options: Any
) -> tuple[BatchResult, list[str]]:
    mind = mind or Mind()
    return align_batch(ScriptedChatModel(mind), prompt, given, **options), mind.asked


def texts(result: BatchResult) -> list[tuple[str, int]]:
    return [(group.text, len(group.records)) for group in result.groups]


# -- from records to principles --------------------------------------------------------------------------------


def test_each_record_costs_one_call_and_all_principles_are_woven_in_with_one_more():
    result, asked = aligned(records("Be polite.", "Name the price.", "End with a question."))
    assert asked == ["extract"] * 3 + ["weave"]
    assert result.calls == 4
    assert result.prompt.description == f"{PROMPT} Be polite. Name the price. End with a question."


def test_a_batch_is_one_revision_of_the_principles_and_one_of_the_text():
    result, _ = aligned(records("Be polite.", "Name the price."))
    first, second = result.prompt.history.revisions
    assert [edit.op for edit in first.edits] == ["add", "add"]
    assert [edit.op for edit in second.edits] == ["template"]
    assert first.reason == "a batch of 2 records"
    assert result.prompt.history.undo().undo().document.constitution.principles == ()


def test_near_duplicates_are_one_principle_without_a_call():
    result, asked = aligned(records("Do not use emojis.", "Be polite.", "Don't use emojis!", "Avoid emojis."))
    assert texts(result) == [("Do not use emojis.", 3), ("Be polite.", 1)]
    assert "merge" not in asked


def test_a_group_of_several_wordings_is_merged_in_one_call_that_sees_how_many_said_each():
    mind = Mind(merge="Name the price of the product in euros.")
    said = ["Name the price in euros.", "Always state the price in euros.", "Give the price of the product in euros."]
    model = ScriptedChatModel(mind)
    result = align_batch(model, PROMPT, records(*said[:2], *said))
    assert texts(result) == [("Name the price of the product in euros.", 5)]
    assert mind.asked.count("merge") == 1
    merging = next(r.messages[-1].text for r in model.requests if "Many people" in r.messages[0].text)
    assert merging.splitlines()[0] == "2 people: Name the price in euros."
    assert merging.splitlines()[-1] == "1 person: Give the price of the product in euros."


def test_a_group_may_become_two_principles():
    mind = Mind(merge="- Name the price in euros.\n- Name the price of the product.")
    result, _ = aligned(
        records("Name the price in euros.", "Give the price of the product in euros."), mind=mind, max_principles=5
    )
    assert texts(result) == [("Name the price in euros.", 2), ("Name the price of the product.", 2)]


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "Name the price in dollars and never in euros, at most 3 times.",
        "Name the price.\nName the size.\nName the colour.",
        "Never name the price in euros.",
        http_error(400, "too long"),
    ],
)
def test_where_merging_fails_the_wording_that_says_best_what_all_say_stands(bad: Any):
    said = ["Give the price of the product in euros.", "Name the price in euros.", "Always state the price in euros."]
    result, _ = aligned(records(*said), mind=Mind(merge=bad or "- "))
    assert [count for _, count in texts(result)] == [3]
    assert result.groups[0].text in said


def test_evidence_names_the_records_and_each_record_is_an_exchange_of_the_prompt():
    result, _ = aligned(records("Be polite.", "Name the price.", "be polite"))
    polite = result.prompt.constitution.get("p1")
    assert (polite.text, polite.evidence, polite.reason) == (
        "Be polite.",
        ("r1.f1", "r3.f1"),
        "asked for in 2 of 3 records",
    )
    assert result.groups[0].records == ("r1", "r3")
    assert result.groups[0].id == "p1"
    exchange = result.prompt.exchanges[2]
    assert (exchange.id, exchange.inputs, exchange.response) == ("r3", {"message": "3?"}, "It depends.")
    assert (exchange.feedback[0].text, exchange.feedback[0].response) == ("be polite", "It depends.")


def test_principles_are_ordered_by_how_many_records_ask_for_them():
    result, _ = aligned(records("Be polite.", "Name the price.", "Name the price!"))
    assert [p.text for p in result.prompt.principles] == ["Name the price.", "Be polite."]


def test_principles_beyond_the_most_that_are_allowed_are_left_out_and_told():
    result, _ = aligned(records("Be polite.", "Name the price.", "Name the price!"), max_principles=1)
    assert texts(result) == [("Name the price.", 2)]
    assert [(group.text, group.records, group.id) for group in result.left_out] == [("Be polite.", ("r1",), None)]


def test_kudos_rewrites_preferences_and_scores_are_feedback_too():
    mind = Mind(extract=lambda said: json.dumps({"reason": "x", "action": "add", "principle": "Name the price."}))
    given = [
        record(1, "It names the price", "kudos"),
        record(2, "It costs 5 euros.", "rewrite"),
        record(3, "It names the price", "preference", rejected="Perhaps."),
        record(4, "Name the price", "score", score=0.2),
    ]
    result, _ = aligned(given, mind=mind)
    assert result.failed == ()
    assert {id for group in result.groups for id in group.records} == {"r1", "r2", "r3", "r4"}
    assert result.prompt.exchanges[3].feedback[0].score == 0.2


def test_braces_in_a_record_stay_text():
    given = [
        FeedbackRecord(
            id="{id}",
            inputs={"message": "{not_a_variable}"},
            response="{'a': 1}",
            feedback=Feedback(kind="critique", text='Write {"a": 1} as JSON.'),
        )
    ]
    result, _ = aligned(given)
    assert result.prompt.to_prompt().input_variables == ["message"]
    assert 'Write {"a": 1} as JSON.' in result.prompt.effective.text


def grouped(*said: str) -> list[set[str]]:
    return [{wording.text for wording in group.wordings} for group in groups_of(wordings_of(enumerate(said)))]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Use a friendly tone.", "Write in a warmer, friendlier tone."),
        ("Never promise refunds.", "Do not promise a refund before the case was checked."),
        ("Start with an apology for the delay.", "Apologise for the delay first."),
        ("Nenne den Preis in Euro.", "Gib immer den Preis in Euro an."),
        ("请写日期。", "请每次都写日期。"),
    ],
)
def test_principles_about_one_matter_are_grouped(one: str, other: str):
    assert grouped(one, other) == [{one, other}]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Use emojis.", "Leave out emojis."),
        ("Use at most 40 words.", "Stay under 60 words."),
        ("Mention the price.", "Mention the delivery date."),
        ("End with a question.", "End with a greeting."),
        ("Explain technical terms in plain words.", "Do not use technical terms."),
    ],
)
def test_principles_that_contradict_each_other_or_share_a_verb_only_are_not(one: str, other: str):
    assert grouped(one, other) == [{one}, {other}]


# -- contradictions --------------------------------------------------------------------------------------------


def test_of_two_that_contradict_each_other_the_better_supported_one_stands():
    result, _ = aligned(records("Write at least 200 words.", "Use at most 40 words.", "Use at most 40 words!"))
    assert texts(result) == [("Use at most 40 words.", 2)]
    assert result.conflicts == (
        "“Write at least 200 words.” (asked once) contradicts “Use at most 40 words.” (asked 2 times) and was dropped: "
        "fewer asked for it.",
    )


def test_between_equals_what_was_said_first_stands():
    result, _ = aligned(records("Use emojis.", "Never use emojis."))
    assert texts(result) == [("Use emojis.", 1)]
    assert result.conflicts[0].endswith("was dropped: the other was there first.")


def test_what_a_loser_asks_besides_stays():
    said = ["Use emojis and mention the price.", "Never use emojis.", "Do not use emojis."]
    result, _ = aligned(records(*said))
    assert texts(result) == [("Never use emojis.", 2), ("Mention the price.", 1)]
    assert "became “Mention the price.”" in result.conflicts[0]


def test_an_old_principle_gives_way_to_a_majority_only():
    prompt = AlignedPrompt.from_prompt(PROMPT).commit([Add(text="Use emojis."), Add(text="Be polite.")])
    one, _ = aligned(records("Never use emojis."), prompt)
    assert [p.text for p in one.prompt.principles] == ["Use emojis.", "Be polite."]
    assert "(there already)" in one.conflicts[0]
    two, _ = aligned(records("Never use emojis.", "Do not use emojis."), prompt)
    assert [p.text for p in two.prompt.principles] == ["Be polite.", "Never use emojis."]


def test_an_old_principle_that_records_ask_for_again_keeps_its_id_and_gains_evidence():
    prompt = AlignedPrompt.from_prompt(PROMPT).commit(
        [Add(text="Be polite."), Add(text="Be brief.", evidence=("e1.f1",))]
    )
    result, _ = aligned(records("be brief"), prompt)
    assert [(p.id, p.text) for p in result.prompt.principles] == [("p1", "Be polite."), ("p2", "Be brief.")]
    assert result.prompt.constitution.get("p2").evidence == ("e1.f1", "r1.f1")
    assert [(group.id, group.records) for group in result.groups] == [("p2", ("r1",))]


def test_old_principles_stay_where_there_is_no_room_for_new_ones():
    prompt = AlignedPrompt.from_prompt(PROMPT).commit([Add(text="Be polite."), Add(text="Be brief.")])
    result, _ = aligned(records("Name the price."), prompt, max_principles=1)
    assert [p.text for p in result.prompt.principles] == ["Be polite.", "Be brief."]
    assert [group.text for group in result.left_out] == ["Name the price."]


# -- what goes wrong -------------------------------------------------------------------------------------------


def odd(said: str) -> Any:
    if said == "fail":
        return http_error(400, "too odd")
    return json.dumps({"reason": "asked", "action": "add", "principle": said})


def test_one_records_failure_is_that_records_failure():
    result, _ = aligned(records("Be polite.", "fail", "Name the price."), mind=Mind(extract=odd))
    assert texts(result) == [("Be polite.", 1), ("Name the price.", 1)]
    assert [r.id for r in result.failed] == ["r2"]
    assert "too odd" in result.failed[0].reason
    assert [exchange.id for exchange in result.prompt.exchanges] == ["r1", "r3"]


def test_a_record_that_failed_is_tried_again_by_the_same_batch_and_the_others_are_not():
    given = records("Be polite.", "fail", "Name the price.")
    first, _ = aligned(given, mind=Mind(extract=odd))
    mind = Mind(extract=lambda _: json.dumps({"reason": "x", "action": "add", "principle": "Name the size."}))
    second, asked = aligned(given, first.prompt, mind=mind)
    assert asked.count("extract") == 1
    assert [(r.id, r.reason) for r in second.skipped] == [
        (id, "It is there already, among the prompt's exchanges or earlier in the batch.") for id in ("r1", "r3")
    ]
    assert texts(second) == [("Name the size.", 1)]


def test_an_id_that_another_exchange_has_gets_a_number():
    first, _ = aligned(records("Be polite."))
    second, _ = aligned(records("Name the price."), first.prompt)
    assert [exchange.id for exchange in second.prompt.exchanges] == ["r1", "r1-2"]
    assert second.groups[0].records == ("r1-2",)


def test_a_score_without_words_asks_for_nothing():
    result, asked = aligned([record(1, "", "score", score=0.1), record(2, "Be polite.")])
    assert [(r.id, r.reason) for r in result.skipped] == [
        ("r1", "It is a score without words, so there is no wish in it.")
    ]
    assert asked == ["extract", "weave"]


def test_a_batch_of_which_all_is_skipped_changes_nothing():
    first, _ = aligned(records("Be polite."))
    again, asked = aligned(records("Be polite."), first.prompt)
    assert (again.prompt, again.calls, asked) == (first.prompt, 0, [])


def test_where_every_record_fails_the_batch_does():
    with pytest.raises(BadRequestError, match=r"All 2 records failed; the first one: .*too odd"):
        aligned(records("fail", "fail"), mind=Mind(extract=odd))


def test_a_wrong_key_ends_the_batch_at_once():
    model = ScriptedChatModel(http_error(401, "bad key"))
    caller = Caller(model, gate=Gate(2))
    with pytest.raises(AuthenticationError):
        align_batch(caller, PROMPT, records(*(f"Name colour {n}." for n in range(50))))
    assert model.calls <= 2


def test_a_spent_budget_ends_the_batch_and_says_what_to_do():
    caller = Caller(ScriptedChatModel(Mind()), budget=Budget(max_calls=3))
    with pytest.raises(BudgetError, match=r"max_calls=3 is spent .* raise it"):
        align_batch(caller, PROMPT, records(*(f"Name colour {n}." for n in range(10))))


def test_a_prompt_that_cannot_be_written_anew_gets_its_principles_listed_below():
    result, _ = aligned(records("Be polite."), mind=Mind(weave=http_error(400, "no")))
    assert result.prompt.description == f"{PROMPT}\n\nFollow these principles:\n- Be polite."
    assert "listed below the text" in result.prompt.history.revisions[-1].reason


@pytest.mark.parametrize(
    ("given", "prompt", "most", "error", "words"),
    [
        ([], PROMPT, 30, DataError, "at least one record"),
        (records("Be polite."), AlignedPrompt(), 30, PromptError, "no prompt yet"),
        (records("Be polite."), PROMPT, 0, ConfigurationError, "at least 1"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_paid(
    given: Any, prompt: Any, most: int, error: type[Exception], words: str
):
    mind = Mind()
    with pytest.raises(error, match=words):
        align_batch(ScriptedChatModel(mind), prompt, given, max_principles=most)
    assert mind.asked == []


def test_one_unreadable_answer_does_not_change_how_the_other_records_are_asked():
    def mumble(said: str) -> str:
        return "hm" if said == "Name the size." else json.dumps({"reason": "", "action": "add", "principle": said})

    mind = Mind(extract=mumble)
    caller = Caller(ScriptedChatModel(mind), gate=Gate(1))
    said = ["Be polite.", "Name the size.", "Name the colour.", "End with a question."]
    result = align_batch(caller, PROMPT, records(*said))
    assert {"Be polite.", "Name the colour.", "End with a question."} <= {group.text for group in result.groups}
    assert mind.asked.count("extract") == 5  # one more: the repair; the short steps ask in other words


# -- a thousand records ----------------------------------------------------------------------------------------

MATTERS = [
    ("Name the price in euros.", "Always state the price in euros.", "Give the price of the product in euros."),
    ("Use at most 60 words.", "Write no more than 60 words in the answer.", "Limit answers to 60 words."),
    ("Do not use emojis.", "Leave out emojis.", "Never put emojis into the text."),
    ("Never promise refunds.", "Do not promise a refund.", "Make no promise of refunds."),
    ("Avoid jargon and technical terms.", "Do not use technical terms.", "Use no technical terms."),
    ("Mention the delivery date.", "Give the delivery date of the parcel.", "Always name the delivery date."),
    ("Start with an apology.", "Begin with an apology for the delay.", "Apologise first, with an apology."),
    ("Use a friendly tone.", "Write in a warmer, friendlier tone.", "Be friendly in tone."),
]


def thousand() -> Iterator[FeedbackRecord]:
    for number in range(1_000):
        matter = MATTERS[(number * number) % len(MATTERS)] if number % 3 else MATTERS[number % 5]
        yield record(number, matter[number % 7 % len(matter)])


def test_a_thousand_records_take_a_call_each_and_a_twentieth_more_at_most():
    result, asked = aligned(thousand())
    assert asked.count("extract") == 1_000
    assert result.calls <= 1_050
    assert len(asked) - asked.count("extract") <= 50
    assert sum(count for _, count in texts(result)) == 1_000
    assert len(result.groups) <= 12
    assert len(result.prompt.exchanges) == 1_000


def test_even_where_every_record_is_about_something_else_a_twentieth_is_kept():
    words = [f"{a}{b}" for a in ("amber", "birch", "cedar", "dahlia", "elder") for b in range(100, 160)]
    said = [f"{verb} the {word} {more}." for word in words for verb, more in (("Name", "twice"), ("Describe", ""))]
    result, asked = aligned(records(*said))
    assert len(asked) - asked.count("extract") <= len(said) // 20
    assert len(result.groups) <= 30
    assert len(result.groups) + len(result.left_out) > 30


def test_of_very_many_records_the_first_stay_as_exchanges(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("langchain_model_alignment.feedback.batch.align._MOST_EXCHANGES", 2)
    result, _ = aligned(records("Be polite.", "Name the price.", "be polite"))
    assert [exchange.id for exchange in result.prompt.exchanges] == ["r1", "r2"]
    assert result.groups[0].records == ("r1", "r3")


def test_a_thousand_wordings_that_contradict_each_other_are_grouped_in_seconds():
    wordings = wordings_of([(n, f"Use at most {n} words in the summary of the order.") for n in range(10, 1_010)])
    start = time.perf_counter()
    groups = groups_of(wordings)
    assert len(groups) == len(wordings)
    assert time.perf_counter() - start < 20


def test_only_as_many_records_are_taken_as_are_in_flight():
    mind, pulled, ahead = Mind(), 0, 0

    def source() -> Iterator[FeedbackRecord]:
        nonlocal pulled, ahead
        for one in thousand():
            pulled += 1
            ahead = max(ahead, pulled - model.calls + model.active)
            yield one

    # Equal requests share one call, so each record here has an input of its own.
    model = ScriptedChatModel(mind, latency=0.0005)
    align_batch(Caller(model, gate=Gate(8)), PROMPT, source())
    assert pulled == 1_000
    assert model.peak == 8
    assert ahead <= 2 * 8


def test_after_a_kill_the_same_batch_pays_only_for_the_rest(tmp_path: Path):
    class Killed(Mind):
        def __call__(self, messages: list[BaseMessage]) -> Any:
            return http_error(401, "killed") if len(self.asked) >= 120 else super().__call__(messages)

    given = [record(n, f"Name the colour number {n}.") for n in range(300)]
    width = 8
    first = Mind()
    with SQLiteCache(tmp_path / "whole.sqlite") as cache:
        whole = align_batch(Caller(ScriptedChatModel(first), cache=cache), PROMPT, given)
    with SQLiteCache(tmp_path / "answers.sqlite") as cache:
        with pytest.raises(AuthenticationError):
            align_batch(Caller(ScriptedChatModel(Killed()), gate=Gate(width), cache=cache), PROMPT, given)
        kept = len(cache)
        model = ScriptedChatModel(Mind())
        result = align_batch(Caller(model, gate=Gate(width), cache=cache), PROMPT, given)
    assert 120 - width <= kept <= 120
    assert model.calls == result.calls == whole.calls - kept
    assert timeless(result) == timeless(whole)


def timeless(result: BatchResult) -> Any:
    value = result.model_dump(mode="json", exclude={"calls"})
    for revision in value["prompt"]["history"]["revisions"]:
        revision["time"] = ""
    return value


def test_the_order_of_arrival_changes_nothing():
    class Jumbled(ScriptedChatModel):
        async def _agenerate(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
            await asyncio.sleep(hash(messages[-1].text) % 7 / 1000)
            return await super()._agenerate(messages, *args, **kwargs)

    given = list(thousand())[:200]
    jumbled = align_batch(Jumbled(Mind()), PROMPT, given)
    in_order = align_batch(Caller(ScriptedChatModel(Mind()), gate=Gate(1)), PROMPT, given)
    assert timeless(jumbled) == timeless(in_order)


# -- its forms -------------------------------------------------------------------------------------------------


async def test_all_forms_give_the_same_inside_a_running_loop_too():
    given = records("Be polite.", "Name the price.", "be polite")
    model = ScriptedChatModel(Mind())
    wanted = timeless(align_batch(model, PROMPT, given))
    assert timeless(await aalign_batch(model, PROMPT, given)) == wanted
    chain = create_batch_chain(model)
    assert timeless(await chain.ainvoke({"prompt": PROMPT, "records": given})) == wanted
    assert timeless(chain.invoke({"prompt": AlignedPrompt.from_prompt(PROMPT), "records": given})) == wanted


def test_the_async_twin_takes_the_same_parameters():
    sync, twin = inspect.signature(align_batch), inspect.signature(aalign_batch)
    assert list(sync.parameters.values()) == list(twin.parameters.values())
    assert sync.return_annotation == twin.return_annotation


def test_a_config_reaches_every_call():
    class Seen(BaseCallbackHandler):
        def __init__(self) -> None:
            self.tags: list[list[str]] = []

        def on_chat_model_start(self, *_: Any, tags: list[str] | None = None, **__: Any) -> None:
            self.tags.append(tags or [])

    seen = Seen()
    given = records("Name the price in euros.", "Give the price of the product in euros.")
    _, asked = aligned(given, config={"callbacks": [seen], "tags": ["mine"]})
    assert len(seen.tags) == len(asked) == 4
    assert all("mine" in tags for tags in seen.tags)


def test_the_chain_shows_its_schemas():
    chain = create_batch_chain(ScriptedChatModel())
    assert {"prompt", "records"} <= set(chain.get_input_jsonschema()["properties"])
    assert "conflicts" in chain.get_output_jsonschema()["properties"]


def test_progress_is_told_for_each_record():
    told: list[int] = []
    aligned(records("Be polite.", "Name the price."), progress=told.append)
    assert told == [1, 2]


def test_a_small_model_is_asked_in_short_steps():
    def reply(messages: list[BaseMessage]) -> str:
        if "rewrite instructions" in messages[0].text:
            return f"{PROMPT} Be polite."
        return "yes" if "Answer yes or no" in messages[0].text else "Be polite."

    model = ScriptedChatModel(reply, model_name="qwen2.5-coder-1.5b")
    result = align_batch(model, PROMPT, records("be polite"))
    assert texts(result) == [("Be polite.", 1)]
    assert all("JSON" not in request.text for request in model.requests)


def test_a_result_round_trips_through_json():
    result, _ = aligned(records("Be polite.", "Name the price."))
    assert BatchResult.model_validate_json(result.model_dump_json()) == result
