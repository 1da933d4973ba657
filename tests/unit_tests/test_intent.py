"""Is the wish kept? Answers judged by what was said, and a principle written anew where its wish was lost.

The models are scripted: they say what a model may say, so that what the library does with it can be seen.
"""

import asyncio
import json
import logging
from typing import Any

import pytest

from langchain_model_alignment.calls import Caller
from langchain_model_alignment.constitution import Delete, Edit
from langchain_model_alignment.errors import AuthenticationError
from langchain_model_alignment.feedback.exchanges import Feedback, Verdict
from langchain_model_alignment.feedback.judging import create_intent_chain
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.feedback.single_run import AlignableSingleRun
from tests.fakes import ScriptedChatModel, http_error

NO_ALCOHOL = {"kind": "critique", "text": "I do not want any alcohol", "response": "Stew in red wine."}


def judged(*sayings: bool, worse: bool = False, reason: str = "It says so.") -> str:
    listed = [{"number": at, "kept": kept, "reason": reason} for at, kept in enumerate(sayings, 1)]
    return json.dumps({"sayings": listed, "worse": worse, "reason": "It is off the request." if worse else ""})


def added(principle: str) -> str:
    return json.dumps({"reason": "asked", "action": "add", "principle": principle})


def rewritten(text: str) -> str:
    return json.dumps({"text": text})


# -- the chain -------------------------------------------------------------------------------------------------


def test_a_strong_model_judges_in_one_call():
    model = ScriptedChatModel([judged(False, reason="It suggests port wine.")])
    verdict = create_intent_chain(model).invoke({"feedback": NO_ALCOHOL, "response": "Stew in port wine."})
    assert verdict == Verdict(kept=False, reason="It suggests port wine.")
    assert "I do not want any alcohol" in model.last.text
    assert "Stew in port wine." in model.last.text


def test_a_small_model_is_asked_for_the_thing_and_then_for_its_words():
    model = ScriptedChatModel(["yes", "port wine"])
    chain = create_intent_chain(model, strategy="short_steps")
    verdict = chain.invoke({"feedback": NO_ALCOHOL, "response": "Stew in port wine."})
    assert verdict == Verdict(kept=False, reason="port wine")
    assert model.requests[0].text.endswith("Text: Stew in port wine.\nThing: alcohol")


def test_words_that_are_not_in_the_answer_are_not_believed():
    chain = create_intent_chain(ScriptedChatModel(["yes", "whisky"]), strategy="short_steps")
    assert chain.invoke({"feedback": NO_ALCOHOL, "response": "Stew in port wine."}).reason == "alcohol"


def test_a_sentence_that_only_denies_the_thing_is_not_held_against_it():
    model = ScriptedChatModel(["no"])
    response = "This recipe has no alcohol. Stew in stock."
    create_intent_chain(model, strategy="short_steps").invoke({"feedback": NO_ALCOHOL, "response": response})
    assert model.last.text.endswith("Text: Stew in stock.\nThing: alcohol")


def test_a_long_answer_is_looked_through_in_pieces():
    model = ScriptedChatModel(lambda messages: "yes" if "beer" in messages[-1].text else "no")
    response = " ".join(["Stir it well and let it stand for a while.", "Serve it warm."] * 12) + " Add beer."
    chain = create_intent_chain(model, strategy="short_steps")
    assert not chain.invoke({"feedback": NO_ALCOHOL, "response": response}).kept
    assert 3 <= model.calls <= 10


def test_of_a_manner_a_small_model_tells_nothing():
    feedback = {"kind": "critique", "text": "it is dull", "response": "Stew."}
    model = ScriptedChatModel([])
    request: Any = {"feedback": feedback, "response": "Soup.", "principle": "Write in a lively way."}
    assert create_intent_chain(model, strategy="short_steps").invoke(request) is None


def test_a_demand_is_lost_where_the_thing_is_clearly_absent():
    request: Any = {
        "feedback": {"kind": "critique", "text": "I miss the price"},
        "response": "It is fun.",
        "principle": "Name the price.",
    }
    chain = create_intent_chain(ScriptedChatModel(["no"]), strategy="short_steps")
    assert chain.invoke(request) == Verdict(kept=False, reason="no price")


def test_whether_an_answer_became_shorter_is_counted():
    request: Any = {
        "feedback": {"kind": "critique", "text": "too long", "response": "One, two. " * 6},
        "response": "One two.",
        "principle": "Keep it short.",
    }
    assert create_intent_chain(ScriptedChatModel([]), strategy="short_steps").invoke(request).kept


def test_a_kept_wish_takes_a_small_model_one_call():
    model = ScriptedChatModel(["no"])
    chain = create_intent_chain(model, strategy="short_steps")
    assert chain.invoke({"feedback": NO_ALCOHOL, "response": "Stew in stock."}).kept
    assert model.calls == 1


@pytest.mark.parametrize(
    ("principle", "response", "kept"),
    [
        ("Keep it under 5 words.", "One two three four.", True),
        ("Keep it under 5 words.", "One two three four five six.", False),
        ("Write at least 2 sentences.", "One.", False),
        ("Never mention Amazon.", "Buy it at Amazon.", False),
    ],
)
def test_what_code_sees_is_asked_of_no_model(principle: str, response: str, kept: bool):
    request: Any = {"feedback": NO_ALCOHOL, "response": response, "principle": principle}
    model = ScriptedChatModel([])
    assert create_intent_chain(model).invoke(request).kept is kept
    assert model.calls == 0


@pytest.mark.parametrize("principle", ["Keep each sentence under 5 words.", "Write a title of at most 3 words."])
def test_a_limit_on_a_part_of_the_answer_is_left_to_the_model(principle: str):
    model = ScriptedChatModel([judged(True)])
    request: Any = {"feedback": NO_ALCOHOL, "response": "One two three four five six.", "principle": principle}
    assert create_intent_chain(model).invoke(request).kept
    assert model.calls == 1


def test_a_judge_that_forgets_a_saying_is_asked_in_short_steps():
    model = ScriptedChatModel([json.dumps({"sayings": []}), "no"])
    assert create_intent_chain(model).invoke({"feedback": NO_ALCOHOL, "response": "Stew in stock."}).kept


def test_a_rewrite_is_judged_by_its_principle():
    feedback = {"kind": "rewrite", "text": "Stew.", "response": "Stew, my dear friend!"}
    model = ScriptedChatModel([judged(True)])
    request: Any = {"feedback": feedback, "response": "Soup.", "principle": "Leave out how you address people."}
    create_intent_chain(model).invoke(request)
    assert "Leave out how you address people." in model.last.text


def test_braces_in_an_answer_are_text():
    model = ScriptedChatModel([judged(True)])
    create_intent_chain(model).invoke({"feedback": NO_ALCOHOL, "response": "{wine} {0} {}"})
    assert "{wine} {0} {}" in model.last.text


# -- the alcohol case: a run that finds the loss and mends it ---------------------------------------------------


def run_of(answers: Any, alignment: Any, **more: Any) -> AlignableSingleRun:
    run = AlignableSingleRun(ScriptedChatModel(answers), ScriptedChatModel(list(alignment)), **more)
    run.set_model_description("Give a recipe for {dish}.")
    return run


def verdict_of(run: AlignableSingleRun) -> Verdict:
    verdict = run.data.exchanges[0].feedback[0].verdict
    assert verdict is not None
    return verdict


FIRST = "Give a recipe for {dish}. Use no alcohol."
SECOND = "Give a recipe for {dish}. Use no alcohol in any form, such as wine, beer or liqueur."
STRONGER = "Use no alcohol in any form, such as wine, beer or liqueur."


def test_a_lost_wish_is_found_and_mended():
    run = run_of(
        ["Stew in red wine.", "Stew in port.", "Stew in stock."],
        [
            added("Use no alcohol."),
            rewritten(FIRST),
            judged(False, reason="It uses port."),
            STRONGER,
            rewritten(SECOND),
            judged(True),
        ],
    )
    run.send_input("stew")
    run.critique_response("I do not want any alcohol")
    assert run.update_model_description_from_principles() == SECOND
    assert [p.text for p in run.data.principles] == [STRONGER]
    assert verdict_of(run).kept
    assert verdict_of(run).repaired
    assert run.lost == []
    assert run.data.history.revisions[-2].author == "repair"


def test_what_is_still_lost_is_said(caplog: pytest.LogCaptureFixture):
    run = run_of(
        ["Stew in red wine.", "Stew in port.", "Stew in sherry."],
        [
            added("Use no alcohol."),
            rewritten(FIRST),
            judged(False, reason="It uses port."),
            STRONGER,
            rewritten(SECOND),
            judged(False, reason="It uses sherry."),
        ],
    )
    run.send_input("stew")
    run.critique_response("I do not want any alcohol")
    with caplog.at_level(logging.WARNING):
        run.update_model_description_from_principles()
    assert "“I do not want any alcohol” is still lost (It uses sherry)" in caplog.text
    assert [feedback.text for feedback in run.lost] == ["I do not want any alcohol"]


def test_a_kept_wish_costs_one_answer_and_one_judgement():
    run = run_of(["Stew in wine.", "Stew in stock."], [added("Use no alcohol."), rewritten(FIRST), judged(True)])
    run.send_input("stew")
    run.critique_response("I do not want any alcohol")
    run.update_model_description_from_principles()
    assert verdict_of(run).kept
    assert not verdict_of(run).repaired
    assert verdict_of(run).revision == run.data.history.head
    assert len(run.data.exchanges) == 1


def test_a_second_update_judges_nothing_again():
    run = run_of(["Stew in wine.", "Stew in stock."], [added("Use no alcohol."), rewritten(FIRST), judged(True)])
    run.send_input("stew")
    run.critique_response("I do not want any alcohol")
    assert run.update_model_description_from_principles() == run.update_model_description_from_principles()


def test_a_repair_that_loses_the_wish_itself_is_the_persons_own_words():
    run = run_of(
        ["Stew in red wine.", "Stew in port.", "Stew in stock."],
        [
            added("Use no alcohol."),
            rewritten(FIRST),
            judged(False),
            "Mention dietary restrictions.",
            rewritten("Give a recipe for {dish}."),
            rewritten("Give a recipe for {dish}."),
            judged(True),
        ],
    )
    run.send_input("stew")
    run.critique_response("I do not want any alcohol")
    assert "I do not want any alcohol" in run.update_model_description_from_principles()


def test_the_check_is_one_option_away_from_being_off():
    run = run_of(["Stew in red wine."], [added("Use no alcohol."), rewritten(FIRST)], check_intent=False)
    run.send_input("stew")
    run.critique_response("I do not want any alcohol")
    assert run.update_model_description_from_principles() == FIRST
    assert run.data.exchanges[0].feedback[0].verdict is None


def test_a_check_that_fails_leaves_the_update(caplog: pytest.LogCaptureFixture):
    model = ScriptedChatModel(["Stew in wine.", http_error(400)])
    run = AlignableSingleRun(model, ScriptedChatModel([added("Use no alcohol."), rewritten(FIRST)]))
    run.set_model_description("Give a recipe for {dish}.")
    run.send_input("stew")
    run.critique_response("I do not want any alcohol")
    with caplog.at_level(logging.WARNING):
        assert run.update_model_description_from_principles() == FIRST
    assert "could not be checked" in caplog.text


def test_a_repair_that_fails_leaves_the_update(caplog: pytest.LogCaptureFixture):
    model = ScriptedChatModel(["Stew in wine.", "Stew in port."])
    aligner = ScriptedChatModel([added("Use no alcohol."), rewritten(FIRST), judged(False), http_error(400)])
    run = AlignableSingleRun(model, aligner)
    run.set_model_description("Give a recipe for {dish}.")
    run.send_input("stew")
    run.critique_response("I do not want any alcohol")
    with caplog.at_level(logging.WARNING):
        assert run.update_model_description_from_principles() == FIRST
    assert "could not be checked" in caplog.text
    assert [feedback.text for feedback in run.lost] == ["I do not want any alcohol"]


def test_a_wrong_key_is_raised():
    model = Caller(ScriptedChatModel(["Stew in wine.", http_error(401)]))
    run = AlignableSingleRun(model, ScriptedChatModel([added("Use no alcohol."), rewritten(FIRST)]))
    run.set_model_description("Give a recipe for {dish}.")
    run.send_input("stew")
    run.critique_response("I do not want any alcohol")
    with pytest.raises(AuthenticationError):
        run.update_model_description_from_principles()


def test_a_wish_that_a_newer_one_replaced_is_not_judged():
    replaced = json.dumps({"reason": "asked", "action": "edit", "principle_id": "p1", "principle": "Never use emojis."})
    run = run_of(
        ["Stew.", "Stew!"],
        [added("Use emojis."), replaced, rewritten("Give a recipe for {dish}. Never use emojis."), judged(True)],
    )
    run.send_input("stew")
    run.critique_response("use emojis")
    run.critique_response("never use emojis")
    run.update_model_description_from_principles()
    first, second = run.data.exchanges[0].feedback
    assert first.verdict is None
    assert second.verdict is not None


def test_a_direct_update_that_loses_the_wish_lists_it_below():
    run = run_of(
        ["Stew in wine.", "Stew in port.", "Stew in stock."],
        [rewritten(FIRST), judged(False, reason="It uses port."), judged(True)],
    )
    run.send_input("stew")
    text = run.update_model_description_from_feedback("use no alcohol")
    assert "use no alcohol" in text.split("Also do what was asked:")[1]


def test_a_verdict_goes_through_json():
    run = run_of(["Stew in wine.", "Stew in stock."], [added("Use no alcohol."), rewritten(FIRST), judged(True)])
    run.send_input("stew")
    run.critique_response("I do not want any alcohol")
    run.update_model_description_from_principles()
    assert AlignedPrompt.from_json(run.data.to_json()) == run.data


def test_a_repair_leaves_the_other_wishes_of_its_principle():
    both = "Use no emojis and name the price."
    price = "Give the price of the dish in every answer."
    run = run_of(
        ["Stew.", "Stew!", "Stew, 5 euros."],
        [
            added("Use no emojis."),
            added("Name the price."),
            rewritten(f"Give a recipe for {{dish}}. {both}"),
            judged(True, False),
            price,
            rewritten(f"Give a recipe for {{dish}}. {both} {price}"),
            judged(True),
        ],
    )
    run.send_input("stew")
    run.critique_response("use no emojis")
    run.critique_response("name the price")
    run.apply(Edit(id="p1", text=both, evidence=("e1.f2",)), Delete(id="p2"), reason="merged")
    run.update_model_description_from_principles()
    assert [p.text for p in run.data.principles] == [f"{both} {price}"]


def test_what_a_person_edited_since_is_not_judged_by_what_was_said_before():
    run = run_of(
        ["Stew.", "Stew!"], [added("Use no alcohol."), rewritten("Give a recipe for {dish}. Use wine freely.")]
    )
    run.send_input("stew")
    run.critique_response("use no alcohol")
    run.edit_principle("p1", "Use wine freely.")
    run.update_model_description_from_principles()
    assert run.data.exchanges[0].feedback[0].verdict is None
    assert [p.text for p in run.data.principles] == ["Use wine freely."]


def test_a_repair_whose_judgement_fails_is_kept(caplog: pytest.LogCaptureFixture):
    run = run_of(
        ["Stew in red wine.", "Stew in port.", http_error(400)],
        [added("Use no alcohol."), rewritten(FIRST), judged(False), STRONGER, rewritten(SECOND)],
    )
    run.send_input("stew")
    run.critique_response("I do not want any alcohol")
    with caplog.at_level(logging.WARNING):
        assert run.update_model_description_from_principles() == SECOND


async def test_feedback_given_at_once_keeps_apart():
    run = run_of(["Stew."], [added("Use no emojis."), added("Name the price.")])
    await run.asend_input("stew")
    await asyncio.gather(run.acritique_response("use no emojis"), run.acritique_response("name the price"))
    assert [p.evidence for p in run.data.principles] == [("e1.f1",), ("e1.f2",)]


# -- preferences and scores ------------------------------------------------------------------------------------


def test_a_preference_is_explained_and_then_confirmed():
    run = run_of(
        ["Take 1 egg.", "Take an egg or so."],
        ["1. It gives an amount.\n2. It is short.", added("Give amounts.")],
    )
    run.send_input("omelette", n=2)
    reasons = run.explain_preference(0, 1)
    assert reasons == ["It gives an amount.", "It is short."]
    assert [p.text for p in run.prefer_response(0, 1, reasons[0])] == ["Give amounts."]
    (feedback,) = run.data.exchanges[0].feedback
    assert (feedback.kind, feedback.text, feedback.rejected) == (
        "preference",
        reasons[0],
        run.data.exchanges[0].candidates[1],
    )
    assert run.data.exchanges[0].response == run.data.exchanges[0].candidates[0]


@pytest.mark.parametrize(("score", "tone"), [(0.2, "critique"), (0.9, "kudos")])
def test_the_words_of_a_score_are_a_critique_or_praise(score: float, tone: str):
    assert Feedback(kind="score", score=score, text="It is short.").tone == tone


def test_a_score_with_words_makes_a_principle():
    run = run_of(["Take an egg or so."], [added("Give exact amounts.")])
    run.send_input("omelette")
    assert [p.text for p in run.score_response(0.1, "the amounts are vague")] == ["Give exact amounts."]
    assert run.data.exchanges[0].feedback[0].score == 0.1


def test_a_score_without_words_is_kept_and_changes_no_principle():
    run = run_of(["Take an egg or so."], [])
    run.send_input("omelette")
    assert run.score_response(1) == []
    assert run.data.exchanges[0].feedback[0].score == 1
