"""Where principles get in each other's way, told by code, by a strong model and by a small one; what would mend it."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import BaseMessage

from langchain_model_alignment.constitution import Add, Constitution, Delete, Edit, Set
from langchain_model_alignment.errors import AuthenticationError
from langchain_model_alignment.feedback.conflicts import ConflictReport, ConflictRequest, create_conflict_chain
from langchain_model_alignment.feedback.exchanges import Exchange, Feedback
from langchain_model_alignment.feedback.findings import Conflict, seen_conflicts, too_specific
from langchain_model_alignment.feedback.principles import PrincipleProposal, create_principle_chain
from tests.fakes import ScriptedChatModel, http_error

NONE = '{"conflicts": []}'
OSLO = Constitution().apply(Add(text="List shops in Oslo.", evidence=("e1.f1",)))
EXCHANGES = (
    Exchange(id="e1", inputs={"city": "Oslo"}, feedback=(Feedback(kind="critique", text="no shops in it"),)),
    Exchange(id="e2", inputs={"city": "Rome"}),
)


def told(kind: str, *ids: str, why: str = "so it is", text: str = "") -> dict[str, Any]:
    return {"kind": kind, "ids": list(ids), "why": why, "text": text}


def one_call(*conflicts: dict[str, Any]) -> tuple[Any, ScriptedChatModel]:
    """A strong model that tells these conflicts, in one call."""
    model = ScriptedChatModel([json.dumps({"conflicts": list(conflicts)})])
    return create_conflict_chain(model, strategy="one_call"), model


def short_steps(both: str | Callable[[str], str] = "yes", **more: Any) -> tuple[Any, ScriptedChatModel]:
    """A small model that answers whether two principles can both be followed."""

    def reply(messages: list[BaseMessage]) -> str:
        assert "follow both rules at once" in messages[0].text
        return both if isinstance(both, str) else both(messages[-1].text)

    model = ScriptedChatModel(reply, **more)
    return create_conflict_chain(model, strategy="short_steps"), model


def found(chain: Any, constitution: Constitution, **more: Any) -> tuple[Conflict, ...]:
    report = chain.invoke(ConflictRequest(constitution=constitution, **more))
    assert isinstance(report, ConflictReport)
    for conflict in report.conflicts:
        constitution.apply_all(conflict.edits)  # every proposal applies
    return report.conflicts


def texts(constitution: Constitution, conflict: Conflict) -> list[str]:
    return [p.sentence() for p in constitution.apply_all(conflict.edits)]


def names(conflicts: Any) -> list[tuple[str, ...]]:
    return [(conflict.kind, *conflict.ids) for conflict in conflicts]


# -- code ------------------------------------------------------------------------------------------------------


def test_code_sees_twins_and_proposes_one_with_the_evidence_of_both():
    twins = Constitution().apply_all([Add(text="Be kind.", evidence=("a",)), Add(text="Be kind!", evidence=("b",))])
    conflict = seen_conflicts(twins)[0]
    assert (conflict.kind, conflict.ids) == ("duplicate", ("p1", "p2"))
    assert [(p.id, p.text, p.evidence) for p in twins.apply_all(conflict.edits)] == [("p1", "Be kind.", ("a", "b"))]


def test_code_sees_a_contradiction_and_lets_the_newer_one_stay():
    limits = Constitution.of("Write at least 200 words.", "Be kind.", "Keep it under 50 words.")
    conflict = seen_conflicts(limits)[0]
    assert (conflict.kind, conflict.ids) == ("contradiction", ("p1", "p3"))
    assert texts(limits, conflict) == ["Be kind.", "Keep it under 50 words."]


def test_what_was_just_written_is_the_newer_one_whatever_its_id():
    limits = Constitution.of("Write at least 200 words.", "Keep it under 50 words.")
    assert texts(limits, seen_conflicts(limits, ["p1"])[0]) == ["Write at least 200 words."]


def test_what_an_older_principle_asks_besides_stays():
    both = Constitution.of("Use emojis and mention the price.", "Never use emojis.")
    assert texts(both, seen_conflicts(both)[0]) == ["Mention the price.", "Never use emojis."]


def test_three_twins_are_one_finding():
    assert names(seen_conflicts(Constitution.of("Be kind.", "Be kind!", "be kind"))) == [
        ("duplicate", "p1", "p2", "p3")
    ]


def test_a_twin_that_will_go_is_in_no_other_finding():
    constitution = Constitution.of("Use emojis.", "Use emojis!", "Never use emojis.")
    assert names(seen_conflicts(constitution)) == [("duplicate", "p1", "p2"), ("contradiction", "p1", "p3")]


def test_of_twins_the_one_that_holds_always_stays():
    twins = Constitution().apply_all([Add(text="Be kind.", condition="it is late"), Add(text="Be kind.")])
    assert texts(twins, seen_conflicts(twins)[0]) == ["Be kind."]


@pytest.mark.parametrize(
    "change",
    [
        Set(id="p2", field="enabled", value=False),
        Set(id="p2", field="condition", value="the user is a child"),
        Edit(id="p2", text="Never use emojis when the user is angry."),
    ],
)
def test_an_exception_or_a_principle_that_is_off_is_no_contradiction(change: Any):
    assert seen_conflicts(Constitution.of("Use emojis.", "Never use emojis.").apply(change)) == []


def test_principles_of_different_labels_do_not_meet():
    book = Constitution().apply_all([Add(text="Use emojis.", label="a"), Add(text="Never use emojis.", label="b")])
    assert seen_conflicts(book) == []


def test_a_principle_that_names_what_only_its_example_has_is_narrowed_to_it():
    conflict = too_specific(OSLO, EXCHANGES)[0]
    assert (conflict.kind, conflict.ids) == ("too_specific", ("p1",))
    assert "“Oslo”" in conflict.why
    assert texts(OSLO, conflict) == ["When the city is Oslo: List shops in Oslo."]


@pytest.mark.parametrize(
    ("text", "evidence", "inputs", "others"),
    [
        ("List shops in the city.", ("e1.f1",), {"city": "Oslo"}, {}),
        ("List shops in Oslo.", ("e1.f1", "e2.f1"), {"city": "Oslo"}, {}),  # two examples are behind it
        ("List shops in Oslo.", (), {"city": "Oslo"}, {}),
        ("List shops in Oslo.", ("e1.f1",), {"city": "Oslo"}, {"city": "Oslo, again"}),
        ("Use at most 40 words.", ("e1.f1",), {"text": "The 40 thieves"}, {}),
        ("Keep {city} in Oslo.", ("e1.f1",), {"text": "{city}"}, {}),
        ("List 3 shops.", ("e1.f1",), {"text": "3 shops"}, {}),
    ],
)
def test_what_is_general_enough_is_not_too_specific(text: str, evidence: Any, inputs: Any, others: Any):
    constitution = Constitution().apply(Add(text=text, evidence=evidence))
    assert too_specific(constitution, [Exchange(id="e1", inputs=inputs), Exchange(id="e2", inputs=others)]) == []


def test_a_number_of_its_example_makes_a_principle_too_specific():
    constitution = Constitution().apply(Add(text="Name the year 1894.", evidence=("e1.f1",)))
    conflict = too_specific(constitution, [Exchange(id="e1", inputs={"text": "Built in 1894 by Ann."})])[0]
    assert conflict.edits == (Set(id="p1", field="condition", value="the text mentions 1894"),)


def test_a_principle_with_a_condition_keeps_it():
    constitution = OSLO.apply(Set(id="p1", field="condition", value="it rains"))
    assert too_specific(constitution, EXCHANGES)[0].edits == ()


# -- one call --------------------------------------------------------------------------------------------------


def test_one_call_finds_what_code_does_not_see():
    constitution = Constitution.of("Be brief.", "Explain every detail.", "Name the author.")
    chain, model = one_call(told("contradiction", "p2", "p1", why="Details take room."))
    conflict = found(chain, constitution)[0]
    assert (conflict.kind, conflict.ids, conflict.why) == ("contradiction", ("p1", "p2"), "Details take room.")
    assert texts(constitution, conflict) == ["Explain every detail.", "Name the author."]
    assert model.calls == 1


def test_the_model_sees_the_principles_first_then_examples_and_what_is_known():
    constitution = Constitution.of("Be {kind}.", "Use emojis.", "Never use emojis.").apply(
        Add(text="Be exact.", evidence=("e1.f1",))
    )
    chain, model = one_call()
    found(chain, constitution, exchanges=EXCHANGES, new=("p3", "p4"))
    order = ["p1: Be {kind}.", "p4: Be exact.", "city: Oslo", "no shops in it", "contradiction p2, p3", "p3 or p4"]
    text = model.last.messages[-1].text
    assert sorted(order, key=text.index) == order


def test_a_text_of_the_model_takes_the_place_of_principles_that_contradict():
    constitution = Constitution.of("Be brief.", "Explain every detail.")
    chain, _ = one_call(told("contradiction", "p1", "p2", text="Be brief, but explain what is new."))
    assert texts(constitution, found(chain, constitution)[0]) == ["Be brief, but explain what is new."]


def test_a_text_of_the_model_merges_duplicates():
    constitution = Constitution.of("Be brief.", "Name Ann.", "Keep it short.")
    chain, _ = one_call(told("duplicate", "p1", "p3", text="Keep it brief."))
    assert texts(constitution, found(chain, constitution)[0]) == ["Keep it brief.", "Name Ann."]


@pytest.mark.parametrize("text", ["Keep it brief.", "", "Use at most 40 words."])
def test_a_merge_that_would_lose_a_number_or_a_name_is_not_proposed(text: str):
    constitution = Constitution.of("Be brief.", "Use at most 40 words, as Zalando does.")
    chain, _ = one_call(told("duplicate", "p1", "p2", text=text))
    conflict = found(chain, constitution)[0]
    assert (conflict.ids, conflict.edits) == (("p1", "p2"), ())


def test_a_text_of_the_model_makes_a_principle_more_general():
    constitution = Constitution().apply(Add(text="Praise the blue door.", evidence=("e1.f1",)))
    chain, model = one_call(told("too_specific", "p1", text="Praise what is special."))
    assert texts(constitution, found(chain, constitution, exchanges=EXCHANGES)[0]) == ["Praise what is special."]
    assert model.calls == 1


def test_an_exception_is_not_dissolved_by_a_proposal():
    constitution = Constitution.of("Be brief.").apply(Add(text="Explain every detail.", condition="the user asks why"))
    for text in ("", "Be brief."):
        chain, _ = one_call(told("contradiction", "p1", "p2", text=text))
        assert found(chain, constitution)[0].edits == ()


def test_null_is_read_as_an_empty_text():
    constitution = Constitution.of("Be brief.", "Keep it short.")
    chain, model = one_call({**told("duplicate", "p1", "p2"), "why": None, "text": None})
    assert found(chain, constitution)[0].why == "They ask for the same."
    assert model.calls == 1


def test_unknown_ids_are_dropped():
    constitution = Constitution.of("Be brief.", "Keep it short.", "Be kind.")
    chain, _ = one_call(
        told("duplicate", "p1", " p2 ", "p9"), told("contradiction", "p3", "p9"), told("too_specific", "new")
    )
    assert names(found(chain, constitution)) == [("duplicate", "p1", "p2")]


def test_the_same_conflict_is_reported_once():
    constitution = Constitution.of("Use emojis.", "Never use emojis.", "Be brief.", "Keep it short.")
    chain, _ = one_call(
        told("contradiction", "p2", "p1"),
        told("duplicate", "p3", "p4"),
        told("contradiction", "p4", "p3"),
        told("duplicate", "p3", "p4"),
    )
    assert names(found(chain, constitution)) == [("contradiction", "p1", "p2"), ("duplicate", "p3", "p4")]


def test_with_new_ids_only_what_touches_them_is_reported():
    constitution = Constitution.of("Use emojis.", "Never use emojis.", "Be brief.", "Keep it short.", "Be curt.")
    chain, _ = one_call(told("duplicate", "p3", "p4"), told("duplicate", "p3", "p5"))
    assert names(found(chain, constitution, new=("p5",))) == [("duplicate", "p3", "p5")]


@pytest.mark.parametrize(
    ("constitution", "new"),
    [
        (Constitution(), None),
        (Constitution.of("Be kind."), None),
        (Constitution.of("Be kind.", "Be kind!"), None),
        (Constitution.of("Be kind.", "Be brief."), ()),
        (Constitution.of("Be kind.", "Be brief."), ("p9",)),
    ],
)
def test_where_nothing_is_left_to_look_for_nothing_is_asked(constitution: Constitution, new: Any):
    for chain, model in (one_call(), short_steps()):
        found(chain, constitution, new=new)
        assert model.calls == 0


def test_a_principle_made_from_one_example_is_looked_at_even_alone():
    chain, model = one_call()
    assert names(found(chain, OSLO, exchanges=EXCHANGES)) == [("too_specific", "p1")]
    assert model.calls == 1


def test_an_unreadable_answer_goes_down_to_short_steps_and_is_said_once(caplog: pytest.LogCaptureFixture):
    model = ScriptedChatModel(lambda messages: "no" if "yes or no" in messages[0].text else "no idea")
    chain = create_conflict_chain(model, strategy="one_call")
    constitution = Constitution.of("Use long sentences.", "Use short sentences.")
    with caplog.at_level(logging.WARNING, logger="langchain_model_alignment"):
        assert names(found(chain, constitution)) == [("contradiction", "p1", "p2")]
        before = model.calls
        found(chain, constitution)
    assert model.calls == before + 1
    assert len([r for r in caplog.records if "short steps" in r.getMessage()]) == 1


@pytest.mark.parametrize("strategy", ["one_call", "short_steps"])
def test_a_failed_call_is_raised_as_itself(strategy: Any):
    chain = create_conflict_chain(ScriptedChatModel(lambda _: http_error(401)), strategy=strategy)
    with pytest.raises(AuthenticationError):
        found(chain, Constitution.of("Use long sentences.", "Use short sentences."))


# -- short steps -----------------------------------------------------------------------------------------------


def test_a_small_model_is_asked_about_pairs_that_share_words():
    constitution = Constitution.of("Use long sentences.", "Be kind.", "Use short sentences.")
    chain, model = short_steps("no")
    conflict = found(chain, constitution)[0]
    assert (conflict.kind, conflict.ids) == ("contradiction", ("p1", "p3"))
    assert texts(constitution, conflict) == ["Be kind.", "Use short sentences."]
    assert model.calls == 1


def test_principles_that_agree_are_no_conflict():
    chain, model = short_steps("yes")
    assert found(chain, Constitution.of("Use long sentences.", "Use short sentences.")) == ()
    assert model.calls == 1


def test_only_the_most_alike_pairs_are_asked_about_and_together():
    constitution = Constitution.of(*(f"Describe the {colour} house." for colour in ("red", "blue", "grey", "pink")))
    constitution = constitution.apply_all(
        Add(text=f"Describe the big {colour} house.") for colour in ("red", "blue", "grey", "pink")
    )
    chain, model = short_steps(latency=0.02)
    found(chain, constitution)
    assert (model.calls, model.peak) == (12, 12)
    first = model.requests[0].messages[-1].text
    assert "Describe the red house." in first
    assert "Describe the big red house." in first


def test_what_code_sees_costs_a_small_model_no_call():
    chain, model = short_steps("no")
    assert names(found(chain, Constitution.of("Use emojis.", "Never use emojis."))) == [("contradiction", "p1", "p2")]
    assert model.calls == 0


def test_an_exception_and_several_wishes_in_one_are_not_in_doubt_on_a_small_models_word():
    constitution = Constitution.of("Use long sentences and mention the author.", "Use short sentences.").apply(
        Add(text="Use simple sentences.", condition="the user is a child")
    )
    chain, model = short_steps("no")
    assert found(chain, constitution) == ()
    assert model.calls == 0


def test_braces_are_text():
    chain, model = short_steps()
    found(chain, Constitution.of("Use {item} sentences {{x}.", "Use short sentences {0}."))
    assert "{item} sentences {{x}." in model.last.text


@pytest.mark.parametrize("strategy", ["one_call", "short_steps"])
def test_sync_and_async_agree(strategy: Any):
    model = ScriptedChatModel(lambda messages: "no" if "yes or no" in messages[0].text else NONE)
    chain = create_conflict_chain(model, strategy=strategy)
    value = {"constitution": Constitution.of("Use long sentences.", "Use short sentences.")}
    assert chain.invoke(value) == asyncio.run(chain.ainvoke(value))


def test_a_report_goes_through_json():
    chain, _ = one_call(told("duplicate", "p1", "p3"))
    report = chain.invoke({"constitution": Constitution.of("Be brief.", "Be kind.", "Keep it short.")})
    assert ConflictReport.model_validate_json(report.model_dump_json()) == report


def test_the_schemas_say_what_each_field_is():
    for model in (ConflictRequest, ConflictReport, Conflict):
        assert all("description" in field for field in model.model_json_schema()["properties"].values())


# -- in the call that writes a principle -----------------------------------------------------------------------


def propose(
    strategy: str, constitution: Constitution, text: str, reply: Any
) -> tuple[PrincipleProposal, ScriptedChatModel]:
    model = ScriptedChatModel(reply)
    chain = create_principle_chain(model, strategy=strategy)  # type: ignore[arg-type]
    value = {"feedback": {"kind": "critique", "text": text}, "constitution": constitution}
    return chain.invoke(value), model


def decided(principle: str, *conflicts: Any, action: str = "add", id: str | None = None) -> str:
    decision = {"reason": "asked", "action": action, "principle_id": id, "principle": principle}
    return json.dumps({**decision, "conflicts": list(conflicts)})


BRIEF = Constitution.of("Be kind.", "Be brief.")


def test_one_call_writes_a_principle_and_tells_its_conflicts():
    reply = decided("Explain every detail.", told("contradiction", "p2", "new", why="Details take room."))
    proposal, model = propose("one_call", BRIEF, "please explain every detail", [reply])
    conflict = proposal.conflicts[0]
    assert (conflict.ids, conflict.why, model.calls) == (("p2", "p3"), "Details take room.", 1)
    after = BRIEF.apply_all(proposal.edits)
    assert texts(after, conflict) == ["Be kind.", "Explain every detail."]


def test_the_id_that_the_new_principle_will_have_is_understood_too():
    reply = decided("Explain every detail.", told("contradiction", "p2", "p3"))
    proposal, _ = propose("one_call", BRIEF, "please explain every detail", [reply])
    assert names(proposal.conflicts) == [("contradiction", "p2", "p3")]


def test_the_model_can_say_that_its_principle_fits_one_example_only():
    reply = decided("Explain every blue door.", told("too_specific", "new", text="Explain every detail."))
    proposal, _ = propose("one_call", BRIEF, "please explain every blue door", [reply])
    assert texts(BRIEF.apply_all(proposal.edits), proposal.conflicts[0])[-1] == "Explain every detail."


def test_what_the_edits_resolve_is_not_reported_again():
    told_again = told("contradiction", "p1", "new")
    reply = decided("Never use emojis.", told_again, action="edit", id="p1")
    proposal, _ = propose("one_call", Constitution.of("Use emojis.", "Be brief."), "never use emojis", [reply])
    assert isinstance(proposal.edits[0], Edit)
    assert proposal.conflicts == ()


def test_a_conflict_among_old_principles_is_not_the_new_ones_matter():
    reply = decided("Explain every detail.", told("duplicate", "p1", "p2"))
    assert propose("one_call", BRIEF, "please explain every detail", [reply])[0].conflicts == ()


def test_what_a_model_told_of_words_that_were_not_taken_is_not_believed():
    reply = decided("Use few words.", told("duplicate", "p2", "new"))
    proposal, _ = propose("one_call", BRIEF, "please use at most 10 words", [reply, "Use at most 10 words."])
    assert (proposal.written_by, proposal.conflicts) == ("repair", ())


@pytest.mark.parametrize(
    "conflicts",
    [None, "none", {}, [None], ["p1 and p2"], [{"kind": "overlap", "ids": ["p1"]}], [{"kind": "duplicate"}]],
)
def test_odd_conflicts_do_not_cost_the_decision(conflicts: Any):
    reply = json.dumps({"reason": "asked", "action": "add", "principle": "Be exact.", "conflicts": conflicts})
    proposal, model = propose("one_call", BRIEF, "please be exact", [reply])
    assert (proposal.edits[0].text, proposal.conflicts, model.calls) == ("Be exact.", (), 1)  # type: ignore[union-attr]


@pytest.mark.parametrize("strategy", ["one_call", "short_steps"])
def test_what_code_sees_of_a_new_principle_costs_no_call(strategy: str):
    reply = decided("Never use emojis.") if strategy == "one_call" else "Never use emojis."

    def small(messages: list[BaseMessage]) -> str:
        return "yes" if "yes or no" in messages[0].text else reply

    constitution = Constitution.of("Use emojis.")
    proposal, model = propose(strategy, constitution, "never use emojis", small)
    assert names(proposal.conflicts) == [("contradiction", "p1", "p2")]
    assert proposal.conflicts[0].edits == (Delete(id="p1"),)
    assert model.calls == (1 if strategy == "one_call" else 2)


def test_a_withdrawal_conflicts_with_nothing():
    reply = decided("", told("duplicate", "p1", "new"), action="delete", id="p1")
    proposal, _ = propose("one_call", Constitution.of("Greet first."), "you don't need to greet any more", [reply])
    assert (proposal.edits, proposal.conflicts) == ((Delete(id="p1"),), ())


def test_the_decision_is_asked_for_its_conflicts_at_the_end_of_what_stays_the_same():
    _, model = propose("one_call", BRIEF, "please be exact", [decided("Be exact.")])
    assert '"conflicts"' in model.last.messages[0].text.splitlines()[-1]
