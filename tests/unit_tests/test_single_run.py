"""The object a notebook uses: send, choose, criticise, update, undo, save, go on."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import RunnableLambda

from langchain_model_alignment.cache import MemoryCache
from langchain_model_alignment.calls import Caller
from langchain_model_alignment.constitution import Add
from langchain_model_alignment.errors import (
    AuthenticationError,
    ConfigurationError,
    EditError,
    FeedbackError,
    MalformedAnswerError,
    PromptError,
)
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.feedback.single_run import AlignableSingleRun
from tests.fakes import ScriptedChatModel, SyncOnlyChatModel, http_error

DESCRIPTION = "Give three uses for {item}."


def added(principle: str) -> str:
    return json.dumps({"reason": "asked", "action": "add", "principle": principle})


def rewritten(text: str) -> str:
    return json.dumps({"text": text})


def make(
    answers: Any = "An answer.", alignment: Any = (), description: Any = DESCRIPTION, **more: Any
) -> tuple[AlignableSingleRun, ScriptedChatModel, ScriptedChatModel]:
    model, aligner = ScriptedChatModel(answers), ScriptedChatModel(list(alignment))
    run = AlignableSingleRun(model, aligner, **{"check_intent": False, **more})
    if description is not None:
        run.set_model_description(description)
    return run, model, aligner


def texts(run: AlignableSingleRun) -> list[str]:
    return [p.text for p in run.data.principles]


# -- sending ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inputs", ["scissors", {"item": "scissors"}])
def test_an_input_is_answered(inputs: Any):
    run, model, _ = make("Cut paper.")
    assert run.send_input(inputs) == "Cut paper."
    assert model.last.messages == [HumanMessage("Give three uses for scissors.")]
    assert run.get_input_output_pair() == ({"item": "scissors"}, "Cut paper.")


def test_a_prompt_without_variables_needs_no_input():
    run, _, _ = make("Knock knock.", description="Tell a joke.")
    assert run.send_input() == "Knock knock."


def test_a_value_is_never_a_template():
    run, model, _ = make("ok")
    run.send_input("{item} {{x}} {u:>9999} {{ 7*7 }}")
    assert model.last.messages[0].text == "Give three uses for {item} {{x}} {u:>9999} {{ 7*7 }}."


@pytest.mark.parametrize("inputs", [None, {}, {"items": "x"}, {"item": "x", "more": "y"}])
def test_an_input_that_does_not_fit_is_refused_before_any_call(inputs: Any):
    run, model, _ = make()
    with pytest.raises(PromptError, match="item"):
        run.send_input(inputs)
    assert model.calls == 0


def test_without_a_prompt_there_is_nothing_to_send():
    run, model, _ = make(description=None)
    with pytest.raises(PromptError, match="set_model_description"):
        run.send_input("x")
    assert model.calls == 0


def test_an_empty_answer_is_an_error_and_leaves_no_exchange():
    run, _, _ = make("  ")
    with pytest.raises(MalformedAnswerError, match="empty"):
        run.send_input("x")
    assert run.exchange is None


def test_a_model_with_only_a_sync_method_serves():
    run = AlignableSingleRun(SyncOnlyChatModel("Cut paper."))
    run.set_model_description(DESCRIPTION)
    assert run.send_input("x") == "Cut paper."


def test_one_model_answers_and_aligns_when_no_other_is_given():
    model = ScriptedChatModel(["Cut paper.", added("Be creative.")])
    run = AlignableSingleRun(model)
    run.set_model_description(DESCRIPTION)
    run.send_input("x")
    assert [p.text for p in run.critique_response("be creative")] == ["Be creative."]


# -- candidates ------------------------------------------------------------------------------------------------


def test_several_candidates_are_asked_for_at_once():
    run, model, _ = make(["one", "two", "three"])
    assert sorted(run.send_input("x", n=3)) == ["one", "three", "two"]
    assert model.calls == 3


def test_one_of_several_is_chosen_by_index_or_by_text():
    run, _, _ = make(["one", "two"])
    candidates = run.send_input("x", n=2)
    run.commit_model_response(1)
    assert run.get_input_output_pair()[1] == candidates[1]
    run.commit_model_response("my own")
    assert run.get_input_output_pair()[1] == "my own"


@pytest.mark.parametrize("call", ["critique", "kudos", "suggest", "pair"])
def test_feedback_before_the_choice_asks_to_choose(call: str):
    run, _, aligner = make(["one", "two"])
    run.send_input("x", n=2)
    with pytest.raises(FeedbackError, match="commit_model_response"):
        {
            "critique": lambda: run.critique_response("too long"),
            "kudos": lambda: run.kudos_response("good"),
            "suggest": run.generate_critiques,
            "pair": run.get_input_output_pair,
        }[call]()
    assert aligner.calls == 0


@pytest.mark.parametrize("index", [-1, 2, 9])
def test_a_candidate_that_is_not_there_is_refused(index: int):
    run, _, _ = make(["one", "two"])
    run.send_input("x", n=2)
    with pytest.raises(FeedbackError, match="from 0 to 1"):
        run.commit_model_response(index)


def test_choosing_before_sending_is_refused():
    run, _, _ = make()
    with pytest.raises(FeedbackError, match="send_input first"):
        run.commit_model_response(0)


@pytest.mark.parametrize("n", [0, -1])
def test_fewer_than_one_candidate_is_refused(n: int):
    run, _, _ = make()
    with pytest.raises(PromptError, match="1 or more"):
        run.send_input("x", n=n)


def test_an_answer_that_is_not_committed_is_not_kept_until_feedback_is_about_it():
    run, _, _ = make("An answer.", [added("Be brief.")])
    run.send_input("x", commit=False)
    assert run.data.exchanges == ()
    run.critique_response("be brief")
    assert run.data.exchanges[0].response == "An answer."


# -- failed calls ----------------------------------------------------------------------------------------------


def test_after_a_first_call_that_failed_there_is_no_half_made_exchange():
    run, _, _ = make([http_error(401), "An answer."], [added("Be brief.")])
    with pytest.raises(AuthenticationError):
        run.send_input("x")
    assert run.exchange is None
    with pytest.raises(FeedbackError, match="send_input"):
        run.critique_response("too long")
    run.send_input("x")
    assert len(run.critique_response("be brief")) == 1


def test_after_a_later_call_that_failed_the_exchange_before_it_stands():
    run, _, _ = make(["first", http_error(401)])
    run.send_input("x")
    with pytest.raises(AuthenticationError):
        run.send_input("y")
    assert run.get_input_output_pair() == ({"item": "x"}, "first")
    assert len(run.data.exchanges) == 1


def test_one_failed_candidate_leaves_no_exchange():
    run, _, _ = make(["first", "one", http_error(401)])
    run.send_input("x")
    with pytest.raises(AuthenticationError):
        run.send_input("y", n=2)
    assert run.get_input_output_pair()[1] == "first"


def test_a_failed_alignment_call_changes_nothing():
    run, _, _ = make("An answer.", [http_error(401), http_error(401), http_error(401)])
    run.send_input("x")
    before = run.data
    for act in (
        lambda: run.critique_response("too long"),
        lambda: run.generate_kudos(),
        lambda: run.update_model_description_from_feedback("be brief"),
    ):
        with pytest.raises(AuthenticationError):
            act()
        assert run.data == before


# -- feedback --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["critique_response", "kudos_response", "rewrite_response"])
def test_each_kind_of_feedback_takes_one_call_and_returns_all_principles(method: str):
    run, _, aligner = make("It is dear.", [added("Name the price in euros.")])
    run.send_input("a rope")
    principles = getattr(run, method)("Name the price in euros!")
    assert [p.text for p in principles] == ["Name the price in euros."]
    assert aligner.calls == 1


def test_a_principle_knows_the_feedback_that_made_it():
    run, _, _ = make("An answer.", [added("Be brief."), added("Be kind.")])
    run.send_input("x")
    run.critique_response("be brief")
    run.critique_response("be kind")
    assert [p.evidence for p in run.data.principles] == [("e1.f1",), ("e1.f2",)]
    assert [f.text for f in run.data.exchanges[0].feedback] == ["be brief", "be kind"]
    assert run.data.history.revisions[0].author == "model"


@pytest.mark.parametrize("text", ["", "  "])
@pytest.mark.parametrize("method", ["critique_response", "kudos_response", "rewrite_response"])
def test_empty_feedback_is_refused_before_any_call(method: str, text: str):
    run, _, aligner = make()
    run.send_input("x")
    with pytest.raises(FeedbackError, match="empty"):
        getattr(run, method)(text)
    assert aligner.calls == 0


@pytest.mark.parametrize("method", ["critique_response", "kudos_response", "rewrite_response"])
def test_feedback_without_a_response_is_refused(method: str):
    run, _, _ = make()
    with pytest.raises(FeedbackError, match="send_input"):
        getattr(run, method)("too long")


def test_the_next_answer_follows_a_new_principle_at_once():
    run, model, _ = make("An answer.", [added("Be brief about {item}.")])
    run.send_input("x")
    run.critique_response("be brief about {item}")
    run.send_input("y")
    assert model.last.messages[0].text == (
        "Give three uses for y.\n\nFollow these principles:\n- Be brief about {item}."
    )


def test_a_wish_is_kept_in_the_persons_own_words_when_the_model_loses_it():
    run, _, _ = make("Wine.", [added("Specify any dietary restrictions"), "Specify any dietary restrictions"])
    run.send_input("dinner")
    run.critique_response("I do not want to use any alcohol")
    assert "alcohol" in run.get_model_description_with_principles()
    assert run.data.history.revisions[-1].author == "person"


def test_three_suggestions_of_each_kind():
    run, _, _ = make("An answer.", ["1. Too dull.\n2. No sources.\n3. It is stiff.", "- Nice.\n- Warm.\n- Quick."])
    run.send_input("x")
    assert run.generate_critiques() == ["Too dull.", "No sources.", "It is stiff."]
    assert run.generate_kudos() == ["Nice.", "Warm.", "Quick."]


def test_the_strategy_can_be_set():
    run, _, aligner = make("An answer.", ["Be brief."], strategy="short_steps")
    run.send_input("x")
    run.critique_response("be brief")
    assert "JSON" not in aligner.requests[0].text


# -- updating --------------------------------------------------------------------------------------------------


def aligned_run(*alignment: Any) -> tuple[AlignableSingleRun, ScriptedChatModel, ScriptedChatModel]:
    run, model, aligner = make("An answer.", [added("Be brief."), *alignment])
    run.send_input("x")
    run.critique_response("be brief")
    return run, model, aligner


def test_principles_become_the_prompt_and_are_no_longer_listed():
    run, model, _ = aligned_run(rewritten("Give three uses for {item}. Be brief."))
    assert run.update_model_description_from_principles() == "Give three uses for {item}. Be brief."
    assert run.get_model_description() == run.get_model_description_with_principles()
    run.send_input("y")
    assert model.last.messages[0].text == "Give three uses for y. Be brief."


def test_a_second_update_without_a_change_takes_no_call():
    run, _, aligner = aligned_run(rewritten("Give three uses for {item}. Be brief."))
    first = run.update_model_description_from_principles()
    calls, revisions = aligner.calls, len(run.data.history.revisions)
    assert run.update_model_description_from_principles() == first
    assert (aligner.calls, len(run.data.history.revisions)) == (calls, revisions)


def test_no_principles_take_no_call():
    run, _, aligner = make()
    assert run.update_model_description_from_principles() == DESCRIPTION
    assert aligner.calls == 0


def test_twelve_principles_take_one_call():
    principles = [f"Mention colour number {n}." for n in range(2, 14)]
    woven = "Give three uses for {item}. " + " ".join(principles)
    run, _, aligner = make("An answer.", [*(added(p) for p in principles), rewritten(woven)])
    run.send_input("x")
    for principle in principles:
        run.critique_response(principle)
    calls = aligner.calls
    assert run.update_model_description_from_principles() == woven
    assert aligner.calls == calls + 1


def test_a_list_takes_no_call():
    run, _, aligner = aligned_run()
    calls = aligner.calls
    text = run.update_model_description_from_principles(method="list")
    assert text == "Give three uses for {item}.\n\nFollow these principles:\n- Be brief."
    assert aligner.calls == calls


def test_a_new_principle_after_an_update_is_listed_below_and_the_next_update_says_all():
    both = "Give three uses for {item}. Be brief. Be kind."
    run, _, aligner = aligned_run(
        rewritten("Give three uses for {item}. Be brief."), added("Be kind."), rewritten(both)
    )
    run.update_model_description_from_principles()
    run.critique_response("be kind")
    assert run.get_model_description_with_principles().endswith("Follow these principles:\n- Be kind.")
    assert run.update_model_description_from_principles() == both
    assert "- Be brief.\n- Be kind." in aligner.last.messages[-1].text


def test_a_deleted_principle_leaves_the_prompt():
    run, _, _ = aligned_run(rewritten("Give three uses for {item}. Be brief."))
    run.update_model_description_from_principles()
    run.delete_principle("p1")
    assert run.get_model_description_with_principles() == DESCRIPTION
    assert run.update_model_description_from_principles() == DESCRIPTION


def test_an_update_before_a_prompt_is_set_is_refused():
    run, _, _ = make(description=None)
    for act in (
        run.update_model_description_from_principles,
        lambda: run.update_model_description_from_feedback("be brief"),
    ):
        with pytest.raises(PromptError, match="set_model_description"):
            act()


def test_a_direct_update_takes_one_call_and_outlives_an_update_from_principles():
    changed, both = "Give three short uses for {item}.", "Give three short uses for {item}. Be brief."
    run, _, aligner = aligned_run(rewritten(changed), rewritten(both))
    assert run.update_model_description_from_feedback("make the uses short").startswith(changed)
    assert run.update_model_description_from_principles() == both
    assert "Give three short uses" in aligner.last.messages[-1].text


def test_a_refused_direct_update_outlives_an_update_from_principles():
    run, _, _ = aligned_run(rewritten("Broken."), rewritten("Broken."), rewritten("Broken."), rewritten("Broken."))
    run.update_model_description_from_feedback("make the uses short")
    text = run.update_model_description_from_principles()
    assert text.startswith(DESCRIPTION)
    assert "make the uses short" in text
    assert "Be brief." in text


def test_a_direct_update_needs_no_response():
    run, _, _ = make(alignment=[rewritten("Give three short uses for {item}.")])
    assert run.update_model_description_from_feedback("make them short") == "Give three short uses for {item}."


# -- by hand, undo, save ---------------------------------------------------------------------------------------


def test_principles_are_edited_deleted_and_switched_by_hand():
    run, _, _ = aligned_run()
    assert run.edit_principle("p1", "Be very brief.")[0].text == "Be very brief."
    assert run.enable_principle("p1", False)[0].enabled is False
    assert run.get_model_description_with_principles() == DESCRIPTION
    assert run.delete_principle("p1") == []


@pytest.mark.parametrize("method", ["edit_principle", "delete_principle", "enable_principle"])
def test_an_unknown_principle_is_named_with_the_known_ones(method: str):
    run, _, _ = aligned_run()
    args = ("p9", "text") if method == "edit_principle" else ("p9",)
    with pytest.raises(EditError, match=r"p9.*p1"):
        getattr(run, method)(*args)


def test_an_empty_edit_by_hand_is_an_error_of_ours():
    run, _, _ = aligned_run()
    with pytest.raises(EditError):
        run.edit_principle("p1", " ")
    assert texts(run) == ["Be brief."]


def test_undo_and_redo():
    run, _, _ = aligned_run()
    assert run.undo() == []
    assert run.get_model_description_with_principles() == DESCRIPTION
    assert [p.text for p in run.redo()] == ["Be brief."]
    with pytest.raises(EditError, match="nothing to redo"):
        run.redo()


def test_an_undo_of_an_update_brings_back_the_text_before():
    run, _, _ = aligned_run(rewritten("Give three uses for {item}. Be brief."))
    run.update_model_description_from_principles()
    run.undo()
    assert run.get_model_description() == DESCRIPTION
    assert texts(run) == ["Be brief."]


def test_a_saved_run_goes_on_elsewhere(tmp_path: Path):
    run, _, _ = aligned_run()
    path = run.data.save(tmp_path / "prompt.json")
    again, model, _ = make("New.", [added("Be kind.")], description=None, data=AlignedPrompt.load(path))
    assert again.get_input_output_pair() == ({"item": "x"}, "An answer.")
    assert [p.text for p in again.critique_response("be kind")] == ["Be brief.", "Be kind."]
    again.send_input("y")
    assert again.data.exchanges[-1].id == "e2"
    assert "Be brief." in model.last.text


def test_a_new_prompt_for_an_old_run_keeps_the_principles():
    run, _, _ = aligned_run()
    run.set_model_description("Name {item}.")
    assert texts(run) == ["Be brief."]
    run.undo()
    assert run.get_model_description() == DESCRIPTION


def test_no_secret_gets_into_the_json_or_the_logs(caplog: pytest.LogCaptureFixture):
    class Keyed(ScriptedChatModel):
        api_key: str = "sk-very-secret"

    run = AlignableSingleRun(Keyed(["An answer.", added("Be brief."), http_error(401, "bad key sk-very-secret")]))
    run.set_model_description(DESCRIPTION)
    with caplog.at_level(logging.DEBUG):
        run.send_input("x")
        run.critique_response("be brief")
        with pytest.raises(AuthenticationError) as caught:
            run.send_input("y")
    assert "sk-very-secret" not in run.data.to_json()
    assert "sk-very-secret" not in str(caught.value)
    assert "sk-very-secret" not in "".join(
        r.getMessage() for r in caplog.records if r.name.startswith("langchain_model")
    )


def test_a_pair_from_elsewhere_can_be_criticised():
    run, _, _ = make(alignment=[added("Be brief.")])
    run.set_input_output_pair("a rope", "Tie it.")
    assert run.get_input_output_pair() == ({"item": "a rope"}, "Tie it.")
    assert [p.text for p in run.critique_response("be brief")] == ["Be brief."]


def test_a_pair_that_does_not_fit_the_prompt_is_refused():
    run, _, _ = make()
    with pytest.raises(PromptError, match="item"):
        run.set_input_output_pair({"thing": "x"}, "y")


# -- conversations ---------------------------------------------------------------------------------------------


def conversation() -> ChatPromptTemplate:
    return ChatPromptTemplate(
        [
            ("system", "You help {name}."),
            ("human", "hi"),
            ("ai", "hello"),
            MessagesPlaceholder("history", optional=True),
            ("human", "{question}"),
        ]
    ).partial(name="Ada {x}")


def test_a_conversation_is_sent_whole_with_principles_below_the_system_message():
    run, model, _ = make("An answer.", [added("Be brief.")], description=conversation())
    history: list[BaseMessage] = [HumanMessage("first {x}"), AIMessage("second")]
    run.send_input({"question": "Why?", "history": history})
    run.critique_response("be brief")
    run.send_input("How?")
    assert [(m.type, m.text) for m in model.requests[0].messages] == [
        ("system", "You help Ada {x}."),
        ("human", "hi"),
        ("ai", "hello"),
        ("human", "first {x}"),
        ("ai", "second"),
        ("human", "Why?"),
    ]
    assert model.last.messages[0].text == "You help Ada {x}.\n\nFollow these principles:\n- Be brief."
    assert [m.text for m in model.last.messages[1:]] == ["hi", "hello", "How?"]


def test_a_run_with_messages_as_inputs_can_be_saved_and_gone_on_with():
    run, _, _ = make("An answer.", [added("Be brief.")], description=conversation())
    run.send_input({"question": "Why?", "history": [HumanMessage("first")]})
    run.critique_response("be brief")
    again = AlignedPrompt.from_json(run.data.to_json())
    assert again.to_json() == run.data.to_json()
    assert texts(AlignableSingleRun(ScriptedChatModel("x"), data=again)) == ["Be brief."]


@pytest.mark.parametrize("value", [object(), {1, 2}, lambda: 1, b"\xff\x00"])
def test_a_value_that_has_no_json_form_does_not_stop_a_save(value: Any):
    run, _, _ = make("An answer.")
    run.send_input({"item": value})
    assert AlignedPrompt.from_json(run.data.to_json()).exchanges[0].response == "An answer."


def test_any_runnable_may_answer_while_a_model_writes_principles() -> None:
    echo = RunnableLambda(lambda messages: f"echo: {messages[-1].content}")
    run = AlignableSingleRun(echo, ScriptedChatModel(reply=[]))
    run.set_model_description("Greet {name}.")
    assert run.send_input("Ada") == "echo: Greet Ada."


def test_a_runnable_alone_cannot_write_principles() -> None:
    with pytest.raises(ConfigurationError, match="alignment_model"):
        AlignableSingleRun(RunnableLambda(lambda messages: "x"))


async def test_inputs_answered_side_by_side_are_all_kept() -> None:
    run = AlignableSingleRun(ScriptedChatModel(reply=lambda messages: messages[-1].content, latency=0.01))
    run.set_model_description("Greet {name}.")
    await asyncio.gather(*(run.asend_input(name) for name in ("Ada", "Bo", "Cy")))
    assert sorted(e.inputs["name"] for e in run.data.exchanges) == ["Ada", "Bo", "Cy"]
    assert [e.id for e in run.data.exchanges] == ["e1", "e2", "e3"]


async def test_feedback_given_side_by_side_is_all_kept() -> None:
    words = iter(["Be brief.", "Name the price."])
    reply = lambda _: f'{{"reason": "asked", "action": "add", "principle": "{next(words)}"}}'  # noqa: E731
    run = AlignableSingleRun(ScriptedChatModel(reply=["Hello."]), ScriptedChatModel(reply=reply, latency=0.01))
    run.set_model_description("Greet {name}.")
    await run.asend_input("Ada")
    await asyncio.gather(run.acritique_response("Too long."), run.acritique_response("The price is missing."))
    assert {p.id for p in run.data.principles} == {"p1", "p2"}
    assert len(run.data.exchanges[0].feedback) == 2


async def test_what_happens_while_the_prompt_is_rewritten_is_kept() -> None:
    aligner = ScriptedChatModel(reply=lambda _: '{"text": "Greet {name} briefly."}', latency=0.05)
    run = AlignableSingleRun(ScriptedChatModel(reply=lambda _: "Hello."), aligner)
    run.set_model_description("Greet {name}.")
    await run.asend_input("Ada")
    run._data = run.data.commit([Add(text="Greet briefly.")])  # a principle, as feedback would make it

    async def meanwhile() -> None:
        await run.asend_input("Bo")
        run.edit_principle("p1", "Greet at length.")

    await asyncio.gather(run.aupdate_model_description_from_principles(), meanwhile())
    assert [e.inputs["name"] for e in run.data.exchanges] == ["Ada", "Bo"]
    assert [p.text for p in run.data.principles] == ["Greet at length."]
    assert "Greet at length." in run.get_model_description_with_principles()


async def test_direct_updates_side_by_side_both_hold() -> None:
    aligner = ScriptedChatModel(reply=rewritten_with_what_was_asked, latency=0.01)
    run = AlignableSingleRun(ScriptedChatModel(reply=["Hello."]), aligner)
    run.set_model_description("Greet {name}.")
    asked = ("use rhymes", "mention Malta")
    await asyncio.gather(*(run.aupdate_model_description_from_feedback(words) for words in asked))
    assert "rhymes" in run.get_model_description()
    assert "Malta" in run.get_model_description()


def rewritten_with_what_was_asked(messages: list[BaseMessage]) -> str:
    text, _, feedback = messages[-1].text.removeprefix("Instructions:\n").partition("\n\nFeedback:\n")
    return json.dumps({"text": f"{text} Also {feedback.splitlines()[0]}."})


def test_the_same_input_again_asks_for_another_answer() -> None:
    run = AlignableSingleRun(Caller(ScriptedChatModel(reply=["one", "two"]), cache=MemoryCache()))
    run.set_model_description("Greet {name}.")
    assert [run.send_input("Ada"), run.send_input("Ada")] == ["one", "two"]
