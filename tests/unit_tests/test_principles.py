"""Feedback becomes an edit of the constitution, with a strong model and with a small one."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage

from langchain_model_alignment.constitution import Add, Constitution, Delete, Edit, Set
from langchain_model_alignment.errors import AuthenticationError
from langchain_model_alignment.feedback.exchanges import Feedback
from langchain_model_alignment.feedback.own_words import in_own_words
from langchain_model_alignment.feedback.principles import (
    PrincipleProposal,
    PrincipleRequest,
    create_principle_chain,
)
from tests.fakes import ScriptedChatModel, http_error


def decision(principle: str = "", action: str = "add", id: str | None = None, reason: str = "asked") -> str:
    return json.dumps({"reason": reason, "action": action, "principle_id": id, "principle": principle})


def request(text: str, kind: str = "critique", principles: tuple[str, ...] = (), **more: Any) -> PrincipleRequest:
    feedback = Feedback.model_validate({"kind": kind, "text": text, "response": more.pop("response", "An answer.")})
    constitution = more.pop("constitution", None) or Constitution.of(*principles)
    return PrincipleRequest(feedback=feedback, constitution=constitution, **more)


def one_call(*replies: Any):
    model = ScriptedChatModel(list(replies))
    return create_principle_chain(model, strategy="one_call"), model


def short_steps(
    rule: str | list[str], *, keeps: str = "yes", both: str | Callable[[str], str] = "yes"
) -> tuple[Any, ScriptedChatModel]:
    """A small model that answers each of the small questions on its own."""
    rules = [rule] if isinstance(rule, str) else list(rule)

    def reply(messages: list[BaseMessage]) -> str:
        system, last = messages[0].text, messages[-1].text
        if "follow both rules at once" in system:
            return both if isinstance(both, str) else both(last)
        if "Does the rule ask for what the person wants" in system:
            return keeps
        return rules.pop(0) if len(rules) > 1 else rules[0]

    model = ScriptedChatModel(reply)
    return create_principle_chain(model, strategy="short_steps"), model


def texts_after(value: PrincipleRequest, proposal: Any) -> list[str]:
    return [p.sentence() for p in value.constitution.apply_all(proposal.edits).enabled()]


# -- one call --------------------------------------------------------------------------------------------------


def test_one_call_makes_a_principle_from_a_critique():
    chain, model = one_call(decision("Include a creative use.", reason="no creative uses"))
    proposal = chain.invoke(request("the list doesn't include any creative uses", id="e1.f1"))
    assert proposal.edits == (Add(text="Include a creative use.", evidence=("e1.f1",), reason="no creative uses"),)
    assert (proposal.written_by, proposal.lost, model.calls) == ("model", (), 1)


def test_an_unknown_model_gets_the_one_call_strategy():
    model = ScriptedChatModel([decision("Be brief.")])
    assert create_principle_chain(model).invoke(request("too long")).edits == (Add(text="Be brief.", reason="asked"),)
    assert model.calls == 1


def test_a_small_model_gets_short_steps():
    model = ScriptedChatModel("Be brief.", model_name="qwen2.5-coder-1.5b")
    create_principle_chain(model).invoke(request("too long"))
    assert "JSON" not in model.requests[0].text


def test_one_call_sees_prompt_inputs_response_feedback_and_principles():
    chain, model = one_call(decision("Name a creative use."))
    value = request(
        "nothing creative",
        principles=("Be brief.", "Be kind."),
        prompt="Uses of {item}?",
        inputs={"item": "a rope"},
        response="Tie it.",
    )
    chain.invoke(value)
    for shown in ("Uses of {item}?", "item: a rope", "Tie it.", "nothing creative", "p1: Be brief.", "p2: Be kind."):
        assert shown in model.last.text


def test_a_dict_serves_as_a_request():
    chain, _ = one_call(decision("Be brief."))
    assert chain.invoke({"feedback": {"kind": "critique", "text": "too long"}}).edits[0].text == "Be brief."


def test_one_call_edits_the_related_principle():
    chain, _ = one_call(decision("Use at most 30 words.", "edit", "p1"))
    value = request("please use at most 30 words", principles=("Use at most 40 words.",), id="e2.f1")
    assert value.constitution.apply_all(chain.invoke(value).edits).principles[0].text == "Use at most 30 words."


def test_one_call_deletes_a_principle_that_is_taken_back():
    chain, model = one_call(decision(action="delete", id="p1"))
    value = request("you don't need to greet any more", principles=("Greet first.",))
    assert chain.invoke(value).edits == (Delete(id="p1"),)
    assert model.calls == 1


def test_a_deletion_that_nobody_asked_for_is_not_made():
    chain, _ = one_call(decision(action="delete", id="p1"), decision("Be kind."))
    value = request("please be kind", principles=("Use at most 40 words.",))
    assert texts_after(value, chain.invoke(value)) == ["Use at most 40 words.", "Please be kind."]


@pytest.mark.parametrize(
    ("old", "feedback"),
    [
        ("Name the price.", "Scrap the rule about prices"),
        ("Name the price.", "prices are optional again"),
        ("Name the price.", "Prices can be left out of the rules now"),
        ("Nenne immer den Preis der Ware.", "Die Regel mit dem Preis kann weg"),
        ("Name the price of the book.", "Die Regel mit den Preisen kann weg"),
    ],
)
@pytest.mark.parametrize("echoed", [False, True])
def test_a_strong_models_deletion_is_believed_when_the_feedback_asks_nothing_new(old: str, feedback: str, echoed: bool):
    chain, model = one_call(decision(old if echoed else "", "delete", "p1"))
    value = request(feedback, principles=(old, "Be kind."))
    assert texts_after(value, chain.invoke(value)) == ["Be kind."]
    assert model.calls == 1


@pytest.mark.parametrize(
    "feedback", ["the price is missing", "name the price in euros", "The price should be 5 euros", "It sounds stiff"]
)
def test_a_deletion_against_what_the_feedback_says_is_not_believed(feedback: str):
    chain, _ = one_call(decision(action="delete", id="p1"))
    value = request(feedback, principles=("Name the price.",))
    assert "Name the price." in texts_after(value, chain.invoke(value))


def test_a_deletion_where_the_feedback_asks_for_the_opposite_replaces():
    chain, _ = one_call(decision(action="delete", id="p1"))
    value = request("never name the price", principles=("Name the price.",))
    assert texts_after(value, chain.invoke(value)) == ["Never name the price."]


def test_what_feedback_asks_besides_what_it_takes_back_is_kept():
    chain, _ = one_call(decision(action="delete", id="p1"))
    value = request("You don't need to name the price, but name the size.", principles=("Name the price.",))
    assert texts_after(value, chain.invoke(value)) == ["Name the size."]


def test_an_edit_leaves_no_contradiction_and_loses_nothing_else():
    chain, _ = one_call(decision("Name the price in dollars.", "edit", "p1"))
    value = request("prices in dollars please", principles=("Name the price in euros and never mention Amazon.",))
    assert texts_after(value, chain.invoke(value)) == ["Name the price in dollars. Never mention Amazon."]


@pytest.mark.parametrize(
    ("feedback", "turned", "kept"),
    [
        ("use a formal tone", "Use an informal tone.", "Use a formal tone."),
        ("too expensive suggestions", "Suggest expensive things.", "Suggest cheap things, nothing expensive."),
    ],
)
def test_a_principle_that_asks_for_the_opposite_is_sent_back(feedback: str, turned: str, kept: str):
    chain, model = one_call(decision(turned), decision(kept, reason="a reason that is much longer than the principle"))
    assert chain.invoke(request(feedback)).edits[0].text == kept
    assert model.calls == 2


@pytest.mark.parametrize("id", ["p9", "p0", "9", "", "None"])
@pytest.mark.parametrize("action", ["edit", "delete"])
def test_an_id_that_does_not_exist_becomes_an_addition(action: str, id: str):
    chain, _ = one_call(decision("Be kind.", action, id))
    value = request("please be kind", principles=("Use short words.",))
    assert texts_after(value, chain.invoke(value)) == ["Use short words.", "Be kind."]


def test_an_edit_of_an_unrelated_principle_becomes_an_addition():
    chain, _ = one_call(decision("Be kind to people.", "edit", "p1"))
    value = request("please be kind to people", principles=("Answer in rhymes.",))
    assert texts_after(value, chain.invoke(value)) == ["Answer in rhymes.", "Be kind to people."]


def test_an_edit_does_not_lose_what_the_old_principle_asked_besides():
    chain, _ = one_call(decision("Use simple words.", "edit", "p1"), decision("Use simple words.", "edit", "p1"))
    value = request("use simple words", principles=("Use at most 40 words and mention Zalando.",))
    said = " ".join(texts_after(value, chain.invoke(value)))
    assert "40" in said
    assert "Zalando" in said
    assert "simple" in said


def test_a_principle_that_stands_already_gains_evidence_and_no_twin():
    chain, _ = one_call(decision("Don't use emojis!"))
    value = request("don't use emojis", principles=("Do not use emojis.",), id="e3.f1")
    after = value.constitution.apply_all(chain.invoke(value).edits)
    assert [(p.text, p.evidence) for p in after.principles] == [("Do not use emojis.", ("e3.f1",))]


@pytest.mark.parametrize(
    "change", [Set(id="p1", field="enabled", value=False), Set(id="p1", field="condition", value="the user is a child")]
)
def test_a_twin_that_is_switched_off_or_conditional_does_not_swallow_the_wish(change: Set):
    value = request("never mention prices", constitution=Constitution.of("Never mention prices.").apply(change))
    for chain, _ in (one_call(decision("Never mention prices.")), short_steps("Never mention prices.")):
        assert "Never mention prices." in texts_after(value, chain.invoke(value))


def test_what_was_lost_is_repaired_once():
    chain, model = one_call(decision("Use few words."), "Use at most 10 words.")
    proposal = chain.invoke(request("please use at most 10 words"))
    assert (proposal.edits[0].text, proposal.written_by, model.calls) == ("Use at most 10 words.", "repair", 2)
    assert "the number 10" in model.last.text


def test_after_a_repair_that_fails_too_the_persons_own_words_are_the_principle():
    chain, model = one_call(decision("Use few words."), "Use few words, please.")
    proposal = chain.invoke(request("please use at most 10 words"))
    assert (proposal.edits[0].text, proposal.written_by, model.calls) == ("Please use at most 10 words.", "person", 2)
    assert "the number 10" in proposal.lost


def test_a_repair_that_comes_as_json_again_is_read():
    chain, _ = one_call(decision("Use few words."), decision("Use at most 10 words."))
    assert chain.invoke(request("please use at most 10 words")).edits[0].text == "Use at most 10 words."


def test_an_empty_principle_becomes_the_persons_own_words():
    chain, _ = one_call(decision(""), "")
    assert chain.invoke(request("please be kind")).edits[0].text == "Please be kind."


def test_a_principle_that_copies_the_answer_is_sent_back():
    response = "Scissors cut paper, and they also cut cloth and hair very well."
    copied = "Say that scissors cut paper, and they also cut cloth and hair."
    chain, model = one_call(decision(copied), "Be kind to scissors.")
    proposal = chain.invoke(request("please be kind to scissors", response=response))
    assert "copies the answer" in model.last.text
    assert proposal.edits[0].text == "Be kind to scissors."


@pytest.mark.parametrize(
    "echoed", ["Principle: Be kind.", "{Be kind.}", '"Be kind."', "<principle>Be kind.</principle>", "- Be kind.\n"]
)
def test_scaffolding_is_not_kept(echoed: str):
    chain, _ = one_call(decision(echoed))
    assert chain.invoke(request("please be kind")).edits[0].text == "Be kind."


def test_an_unreadable_decision_goes_down_to_short_steps_and_is_said_once(caplog: pytest.LogCaptureFixture):
    model = ScriptedChatModel(lambda messages: "Be kind." if "JSON" not in messages[-1].text else "no idea")
    chain = create_principle_chain(model, strategy="one_call")
    with caplog.at_level(logging.WARNING, logger="langchain_model_alignment"):
        proposal = chain.invoke(request("please be kind"))
    assert proposal.edits[0].text == "Be kind."
    assert len([r for r in caplog.records if "short steps" in r.getMessage()]) == 1
    assert model.calls == 3


def test_a_model_that_cannot_decide_at_once_is_asked_in_short_steps_from_then_on(caplog: pytest.LogCaptureFixture):
    model = ScriptedChatModel(lambda messages: "Be kind." if "JSON" not in messages[-1].text else "no idea")
    chain = create_principle_chain(model, strategy="one_call")
    with caplog.at_level(logging.WARNING, logger="langchain_model_alignment"):
        chain.invoke(request("please be kind"))
        before = model.calls
        chain.invoke(request("please be kind"))
    assert model.calls == before + 1
    assert len([r for r in caplog.records if "short steps" in r.getMessage()]) == 1


def test_a_failed_call_does_not_go_down_to_short_steps():
    chain, model = one_call(http_error(401))
    with pytest.raises(AuthenticationError):
        chain.invoke(request("please be kind"))
    assert model.calls == 1


def test_a_rewrite_is_shown_as_what_changed():
    chain, model = one_call(decision("Leave out who founded it."), "Leave out who founded it.")
    chain.invoke(request("Founded in 1999.", "rewrite", response="Founded in 1999 by Jane Miller."))
    assert "Removed: by Jane Miller" in model.requests[0].text


def test_braces_anywhere_in_a_request_are_text():
    value = request(
        "{item} must stay {{x}} and {0}",
        constitution=Constitution.of("Keep {item} {u:>9} {{y}}."),
        prompt='{"a": {item}} {',
        inputs={"item": "{item} }{ {{ 7*7 }}"},
        response="{response} {%",
    )
    chain, model = one_call(decision("Keep {item}, {{x}} and {0}."))
    assert chain.invoke(value).edits[0].text == "Keep {item}, {{x}} and {0}."
    for shown in ("{item} must stay {{x}} and {0}", "{u:>9} {{y}}", '{"a": {item}} {', "}{ {{ 7*7 }}", "{response} {%"):
        assert shown in model.last.text


# -- short steps -----------------------------------------------------------------------------------------------


def test_short_steps_restate_the_feedback():
    chain, model = short_steps("Use at most 10 words.")
    proposal = chain.invoke(request("please use at most 10 words", id="e1.f1"))
    assert isinstance(proposal.edits[0], Add)
    assert (proposal.edits[0].text, proposal.edits[0].evidence) == ("Use at most 10 words.", ("e1.f1",))
    assert (proposal.written_by, model.calls) == ("model", 1)


def test_a_model_that_takes_no_max_tokens_at_call_time_is_asked_without():
    class Strict(ScriptedChatModel):
        async def _agenerate(self, *args: Any, **kwargs: Any) -> Any:
            if "max_tokens" in kwargs:
                raise TypeError("got an unexpected keyword argument 'max_tokens'")
            return await super()._agenerate(*args, **kwargs)

    model = Strict(lambda messages: "yes" if "yes or no" in messages[0].text else "Write in a warmer tone.")
    proposal = create_principle_chain(model, strategy="short_steps").invoke(request("the tone is too cold"))
    assert "warmer" in proposal.edits[0].text
    assert model.calls >= 2


def test_a_rule_in_other_words_is_checked_by_one_more_question():
    chain, model = short_steps("Write in a warmer tone.")
    proposal = chain.invoke(request("the tone is too cold"))
    assert (proposal.edits[0].text, model.calls) == ("Write in a warmer tone.", 2)


def test_a_rule_that_the_model_itself_rejects_twice_becomes_the_persons_own_words():
    chain, _ = short_steps(["Write like a lawyer.", "Write as lawyers do."], keeps="no")
    proposal = chain.invoke(request("this reads like a lawyer's letter"))
    assert proposal.written_by == "person"
    assert "this reads like a lawyer's letter" in proposal.edits[0].text


def test_a_lost_number_is_repaired_in_short_steps():
    chain, model = short_steps(["Use few words.", "Use at most 10 words."])
    proposal = chain.invoke(request("please use at most 10 words"))
    assert (proposal.edits[0].text, proposal.written_by) == ("Use at most 10 words.", "repair")
    assert "the number 10" in model.requests[1].text


def test_short_steps_fall_back_on_the_persons_own_words():
    chain, _ = short_steps("Use few words.")
    proposal = chain.invoke(request("please use at most 10 words"))
    assert (proposal.edits[0].text, proposal.written_by) == ("Please use at most 10 words.", "person")
    assert "the number 10" in proposal.lost


def test_an_empty_rule_becomes_the_persons_own_words():
    chain, _ = short_steps("")
    assert chain.invoke(request("please be kind")).edits[0].text == "Please be kind."


def test_a_principle_that_cannot_be_followed_together_is_replaced():
    chain, _ = short_steps("Use long sentences, please.", both=lambda pair: "no" if "short" in pair else "yes")
    value = request("use long sentences, please", principles=("Be kind.", "Use short sentences."))
    assert texts_after(value, chain.invoke(value)) == ["Be kind.", "Use long sentences, please."]


def test_principles_that_agree_stand_side_by_side():
    chain, model = short_steps("Be kind.", both="yes")
    value = request("please be kind", principles=("Use short words.", "Name the author."))
    assert texts_after(value, chain.invoke(value)) == ["Use short words.", "Name the author.", "Be kind."]
    assert model.calls <= 4


def test_only_the_most_alike_principles_are_asked_about():
    chain, model = short_steps("Be kind.")
    chain.invoke(request("please be kind", principles=tuple(f"Name colour number {n}." for n in range(2, 32))))
    assert model.calls <= 8


def test_a_twin_needs_no_question():
    chain, model = short_steps("Do not use emojis.")
    value = request("don't use emojis", principles=("Don't use emojis.",), id="e2.f1")
    proposal = chain.invoke(value)
    assert texts_after(value, proposal) == ["Don't use emojis."]
    assert isinstance(proposal.edits[0], Edit)
    assert not any("follow both" in r.messages[0].text for r in model.requests)


def test_what_is_taken_back_is_deleted_without_a_call():
    chain, model = short_steps("unused")
    value = request("you no longer need to name the price", principles=("Be kind.", "Name the price."))
    assert chain.invoke(value).edits == (Delete(id="p2"),)
    assert model.calls == 0


def test_a_new_wish_that_sounds_like_a_withdrawal_deletes_nothing():
    chain, _ = short_steps("Do not use emojis.")
    value = request("don't use emojis anymore", principles=("Use emojis in titles only.",))
    assert any("not use emojis" in text for text in texts_after(value, chain.invoke(value)))


def test_kudos_are_asked_about_as_praise():
    chain, model = short_steps("Name Maria Lopez.")
    chain.invoke(request("Good: it names Maria Lopez", "kudos"))
    assert "Praise: Good: it names Maria Lopez" in model.requests[0].text


def test_a_small_model_sees_what_a_rewrite_changed():
    chain, model = short_steps("Leave out who founded it.")
    chain.invoke(request("Founded in 1999.", "rewrite", response="Founded in 1999 by Jane Miller."))
    assert "Removed: by Jane Miller" in model.requests[0].text


def test_log_probabilities_decide_where_a_model_has_them():
    def token(word: str, share: float) -> dict[str, Any]:
        return {"token": word, "logprob": share}

    def reply(messages: list[BaseMessage]) -> Any:
        if "follow both" not in messages[0].text:
            return "Use long sentences, please."
        top = [token(" No", -0.1), token("yes", -3.0)]
        return AIMessage("yes", response_metadata={"logprobs": {"content": [{"top_logprobs": top}]}})

    chain = create_principle_chain(ScriptedChatModel(reply), strategy="short_steps")
    value = request("use long sentences, please", principles=("Use short sentences.",))
    assert texts_after(value, chain.invoke(value)) == ["Use long sentences, please."]


def test_braces_in_short_steps_are_text():
    chain, model = short_steps("Keep {item} and {{x}} in it.")
    proposal = chain.invoke(request("keep {item} and {{x}} in it, please", principles=("Say {0} {",)))
    assert proposal.edits[0].text == "Keep {item} and {{x}} in it."
    assert "keep {item} and {{x}} in it, please" in model.requests[0].text


@pytest.mark.parametrize(
    ("before", "after", "principle"),
    [
        ("Founded in 1999 by Jane Miller.", "Founded in 1999.", "Leave out who founded it."),
        ("It is 5 miles away.", "It is 8 km away.", "Give distances in kilometres, not miles."),
        ("Click the button.", "Click the button. To cancel, call 555-0100.", "Say how to cancel: call 555-0100."),
        ("Is it nice? Yes.", "It is nice.", "Make statements instead of asking questions."),
    ],
)
def test_a_good_principle_for_a_rewrite_passes(before: str, after: str, principle: str):
    chain, model = one_call(decision(principle))
    assert chain.invoke(request(after, "rewrite", response=before)).edits[0].text == principle
    assert model.calls == 1


@pytest.mark.parametrize("principle", ["Change the text.", "Name Jane Miller.", "Be kind."])
def test_a_principle_that_misses_what_a_rewrite_changed_is_sent_back(principle: str):
    chain, model = one_call(decision(principle), "Leave out founders such as Jane Miller.")
    chain.invoke(request("Founded in 1999.", "rewrite", response="Founded in 1999 by Jane Miller."))
    assert model.calls == 2


# -- the person's own words ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "text", "principle"),
    [
        ("critique", "never promise refunds", "Never promise refunds."),
        ("critique", "Be\n  brief!", "Be brief!"),
        ("critique", "不要提价格。", "不要提价格。"),
        ("critique", "use {item} once", "Use {item} once."),
        ("critique", "Our guests only speak Portuguese.", "Answer in Portuguese."),
        ("critique", "My mother can read only Korean!", "Answer in Korean!"),
        ("critique", "We speak Dutch.", "Answer so that this criticism no longer applies: “We speak Dutch.”"),
        (
            "critique",
            "The villain only speaks Russian.",
            "Answer so that this criticism no longer applies: “The villain only speaks Russian.”",
        ),
        (
            "rewrite",
            "I only speak Greek. The rest is silence.",
            "Answer in the manner of this example, written by a person: “I only speak Greek. The rest is silence.”",
        ),
    ],
)
def test_a_wish_in_own_words_stays_as_it_is(kind: str, text: str, principle: str):
    assert in_own_words(Feedback(kind=kind, text=text)) == principle  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("critique", "The sources are missing."),
        ("critique", "It never mentions the price"),
        ("critique", "The answer always starts with Sure"),
        ("critique", "Every answer is too long"),
        ("kudos", "It is short."),
        ("kudos", "no jargon"),
        ("rewrite", "It opened in 1999."),
    ],
)
def test_what_is_no_wish_is_framed(kind: str, text: str):
    principle = in_own_words(Feedback(kind=kind, text=text))  # type: ignore[arg-type]
    assert text in principle
    assert len(principle) > len(text) + 10


@pytest.mark.parametrize(
    "text",
    [
        "never promise refunds unless asked by Zalando",
        "two sentences at most, in British English",
        "only mention prices if the order is above 100 euros",
        "Bitte keine Emojis und höchstens drei Sätze",
        "No menciones los precios de Zara",
        "不要提价格,最多三句话",
    ],
)
@pytest.mark.parametrize("strategy", ["one_call", "short_steps"])
@pytest.mark.parametrize(
    "answer", ["", "Be good.", "{", decision("Be good."), decision(action="delete", id="p1"), "yes"]
)
def test_whatever_the_model_says_the_wish_is_kept(text: str, strategy: Any, answer: str):
    chain = create_principle_chain(ScriptedChatModel(answer), strategy=strategy)
    value = request(text, principles=("Be exact.",))
    after = texts_after(value, chain.invoke(value))
    assert any(text.casefold() in sentence.casefold() for sentence in after)
    assert "Be exact." in after


def test_the_schema_of_a_request_says_what_each_field_is():
    for model in (PrincipleRequest, PrincipleProposal):
        assert all("description" in field for field in model.model_json_schema()["properties"].values())
