"""Earlier inputs, answered again: what a changed prompt keeps, what it breaks, and the way back. Scripted models."""

import asyncio
import json
from typing import Any

import pytest
from langchain_core.messages import BaseMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from langchain_model_alignment.calls import Caller
from langchain_model_alignment.constitution import Add
from langchain_model_alignment.errors import AuthenticationError, FeedbackError
from langchain_model_alignment.feedback.exchanges import Exchange, Verdict
from langchain_model_alignment.feedback.graph import create_feedback_graph
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.feedback.replay import areplay, replay
from langchain_model_alignment.feedback.single_run import AlignableSingleRun
from tests.fakes import ScriptedChatModel, http_error

PROMPT = "Describe {thing}."


def judged(*sayings: bool, worse: bool = False) -> str:
    listed = [{"number": at, "kept": kept, "reason": "It says so."} for at, kept in enumerate(sayings, 1)]
    return json.dumps({"sayings": listed, "worse": worse, "reason": "It is off the request." if worse else ""})


def aligned(**responses: str) -> AlignedPrompt:
    """A prompt that was answered once for each thing."""
    prompt = AlignedPrompt.from_prompt(PROMPT)
    for number, (thing, response) in enumerate(responses.items(), 1):
        prompt = prompt.with_exchange(
            Exchange(id=f"e{number}", inputs={"thing": thing}, candidates=(response,), response=response)
        )
    return prompt


def run_of(prompt: AlignedPrompt, answers: Any, judge: Any = ()) -> AlignableSingleRun:
    judging = ScriptedChatModel(list(judge) if isinstance(judge, tuple | list) else judge)
    return AlignableSingleRun(ScriptedChatModel(answers), judging, prompt)


def with_wish(prompt: AlignedPrompt, exchange: str, text: str, principle: str) -> AlignedPrompt:
    run = AlignableSingleRun(
        ScriptedChatModel([]),
        ScriptedChatModel([json.dumps({"reason": "asked", "action": "add", "principle": principle})]),
        prompt,
    )
    run.go_back_to(exchange)
    run.critique_response(text)
    return run.data


def echo(messages: list[BaseMessage]) -> str:
    return messages[-1].text


# -- replay ----------------------------------------------------------------------------------------------------


def test_each_input_is_answered_again():
    report = replay(run_of(aligned(tea="Hot.", ice="Cold."), echo, [judged(), judged()]))
    assert [(item.exchange, item.after) for item in report.items] == [("e1", "Describe tea."), ("e2", "Describe ice.")]
    assert [item.changed for item in report.items] == [True, True]


def test_the_same_answer_is_judged_by_nobody():
    run = run_of(aligned(tea="Hot."), ["Hot."])
    assert replay(run).fine
    assert not replay(run_of(aligned(tea="Hot."), ["Hot."])).items[0].changed


def test_a_worse_answer_is_told():
    report = replay(run_of(aligned(tea="Hot."), ["Fruit."], [judged(worse=True)]))
    assert report.troubles == ["e1: the answer is worse (It is off the request)"]
    assert not report.fine


def test_feedback_that_is_no_longer_honoured_is_told():
    prompt = with_wish(aligned(tea="Hot."), "e1", "name the leaf", "Name the leaf.")
    report = replay(run_of(prompt, ["Warm."], [judged(False)]))
    assert report.troubles == ["e1: “name the leaf” is lost (It says so)"]


def test_feedback_that_was_lost_before_is_not_told_again():
    prompt = with_wish(aligned(tea="Hot."), "e1", "name the leaf", "Name the leaf.")
    exchange = prompt.exchanges[0]
    lost = exchange.feedback[0].model_copy(update={"verdict": Verdict(kept=False)})
    prompt = prompt.with_exchange(exchange.model_copy(update={"feedback": (lost,)}))
    report = replay(run_of(prompt, ["Warm."], [judged(False)]))
    assert report.fine
    assert not report.items[0].wishes[0].verdict.kept


def test_an_input_answered_twice_is_replayed_once_with_everything_said_about_it():
    prompt = aligned(tea="Hot.").with_exchange(
        Exchange(id="e2", inputs={"thing": "tea"}, candidates=("Warm.",), response="Warm.")
    )
    prompt = with_wish(prompt, "e1", "name the leaf", "Name the leaf.")
    prompt = with_wish(prompt, "e2", "name the cup", "Name the cup.")
    run = run_of(prompt, ["A leaf in a cup."], [judged(True, True)])
    (item,) = replay(run).items
    assert (item.exchange, item.before) == ("e2", "Warm.")
    assert [wish.feedback.text for wish in item.wishes] == ["name the leaf", "name the cup"]


def test_nothing_of_the_run_is_changed():
    prompt = aligned(tea="Hot.")
    run = run_of(prompt, ["Fruit."], [judged(worse=True)])
    replay(run)
    assert run.data == prompt


def test_inputs_are_chosen_by_id_or_given_from_elsewhere():
    run = run_of(aligned(tea="Hot.", ice="Cold."), echo, [judged(), judged()])
    foreign = Exchange(id="x1", inputs={"thing": "snow"}, candidates=("White.",), response="White.")
    assert [item.exchange for item in replay(run, ["e2", foreign]).items] == ["e2", "x1"]


def test_an_exchange_that_is_not_there_is_one_sentence():
    with pytest.raises(FeedbackError, match="There is no exchange 'e9'; the last ones here are: e1"):
        replay(run_of(aligned(tea="Hot."), echo), ["e9"])


def test_an_input_that_fails_is_one_failure_of_its_own():
    run = run_of(aligned(tea="Hot.", ice="Cold."), [http_error(400), "Cold."])
    report = replay(run)
    assert len(report.failed) == 1
    assert report.fine
    assert "1 could not be judged" in report.summary()


def test_a_wrong_key_is_raised():
    run = AlignableSingleRun(Caller(ScriptedChatModel([http_error(401)])), ScriptedChatModel([]), aligned(tea="Hot."))
    with pytest.raises(AuthenticationError):
        replay(run)


def test_sync_and_async_give_the_same():
    make = lambda: run_of(aligned(tea="Hot.", ice="Cold."), echo, judged())  # noqa: E731
    assert replay(make()) == asyncio.run(areplay(make()))


def test_a_small_model_is_not_asked_which_answer_is_worse():
    judge = ScriptedChatModel([])
    run = AlignableSingleRun(ScriptedChatModel(["Fruit."]), judge, aligned(tea="Hot."), strategy="short_steps")
    assert replay(run).fine
    assert judge.calls == 0


# -- in the feedback graph ----------------------------------------------------------------------------------------

THREAD: Any = {"configurable": {"thread_id": "t"}}
ADDED = json.dumps({"reason": "asked", "action": "add", "principle": "Be brief."})
WOVEN = json.dumps({"text": "Describe {thing}. Be brief."})


def graph_of(answers: Any, alignment: Any, **options: Any) -> Any:
    graph = create_feedback_graph(
        ScriptedChatModel(answers), alignment_model=ScriptedChatModel(list(alignment)), **options
    )
    return graph.compile(checkpointer=InMemorySaver())


def asked(state: dict[str, Any]) -> dict[str, Any]:
    value: dict[str, Any] = state["__interrupt__"][0].value
    return value


def began(graph: Any) -> None:
    prompt = aligned(ice="Cold.").model_dump(mode="json")
    graph.invoke({"prompt": prompt, "inputs": {"thing": "tea"}}, THREAD)


CRITIQUE: Any = Command(resume={"action": "critique", "text": "be brief"})


def test_a_change_that_breaks_nothing_asks_nothing():
    graph = graph_of(["A hot drink.", "Hot.", "Chilly."], [ADDED, WOVEN, judged(True), judged()])
    began(graph)
    assert asked(graph.invoke(CRITIQUE, THREAD))["type"] == "review"


def test_a_change_that_makes_something_worse_is_asked_about_before_it_is_kept():
    graph = graph_of(["A hot drink.", "Hot.", "No."], [ADDED, WOVEN, judged(True), judged(worse=True)])
    began(graph)
    question = asked(graph.invoke(CRITIQUE, THREAD))
    assert question["type"] == "replay"
    assert question["troubles"] == ["e1: the answer is worse (It is off the request)"]
    assert "+ p1: Be brief." in question["changes"]


def test_it_can_be_accepted_all_the_same():
    graph = graph_of(["A hot drink.", "Hot.", "No."], [ADDED, WOVEN, judged(True), judged(worse=True)])
    began(graph)
    graph.invoke(CRITIQUE, THREAD)
    question = asked(graph.invoke(Command(resume="accept"), THREAD))
    assert (question["type"], question["response"]) == ("review", "Hot.")
    assert [p["text"] for p in question["principles"]] == ["Be brief."]


@pytest.mark.parametrize("answer", ["take back", {"action": "take_back"}, [{"type": "ignore", "args": None}]])
def test_it_can_be_taken_back_and_stays_as_a_branch(answer: Any):
    graph = graph_of(["A hot drink.", "Hot.", "No."], [ADDED, WOVEN, judged(True), judged(worse=True)])
    began(graph)
    graph.invoke(CRITIQUE, THREAD)
    question = asked(graph.invoke(Command(resume=answer), THREAD))
    assert (question["response"], question["principles"]) == ("A hot drink.", [])
    prompt = AlignedPrompt.from_dict(graph.get_state(THREAD).values["prompt"])
    assert prompt.history.head is None
    assert [e.text for r in prompt.history.revisions for e in r.edits if isinstance(e, Add)] == ["Be brief."]


def test_an_answer_that_means_nothing_leaves_the_question_pending():
    graph = graph_of(["A hot drink.", "Hot.", "No."], [ADDED, WOVEN, judged(True), judged(worse=True)])
    began(graph)
    graph.invoke(CRITIQUE, THREAD)
    with pytest.raises(ValueError, match="accept"):
        graph.invoke(Command(resume="perhaps"), THREAD)
    assert asked(graph.invoke(Command(resume="accept"), THREAD))["type"] == "review"


def test_a_lost_wish_is_mended_in_the_loop():
    stronger = "Describe things in three words at most, without any introduction."
    graph = graph_of(
        ["A hot drink.", "A nice hot drink.", "Hot."],
        [
            ADDED,
            WOVEN,
            judged(False),
            stronger,
            json.dumps({"text": f"Describe {{thing}}. {stronger}"}),
            judged(True),
        ],
    )
    graph.invoke({"prompt": PROMPT, "inputs": {"thing": "tea"}}, THREAD)
    events = list(graph.stream(CRITIQUE, THREAD, stream_mode="custom"))
    verdicts = [event["verdicts"][0] for event in events if event["type"] == "verdicts"]
    assert [(v["kept"], v["repairing"], v["repaired"]) for v in verdicts] == [(False, True, False), (True, False, True)]
    prompt = AlignedPrompt.from_dict(graph.get_state(THREAD).values["prompt"])
    assert [p.text for p in prompt.principles] == [stronger]


def test_a_verdict_outlives_a_repair_that_fails():
    graph = graph_of(["A hot drink.", "A nice hot drink."], [ADDED, WOVEN, judged(False), http_error(400)])
    graph.invoke({"prompt": PROMPT, "inputs": {"thing": "tea"}}, THREAD)
    assert asked(graph.invoke(CRITIQUE, THREAD))["type"] == "review"
    prompt = AlignedPrompt.from_dict(graph.get_state(THREAD).values["prompt"])
    verdict = prompt.exchanges[0].feedback[0].verdict
    assert verdict is not None
    assert not verdict.kept


def test_what_is_still_lost_is_told_and_tried_no_third_time():
    stronger = "Describe things in three words at most, without any introduction."
    graph = graph_of(
        ["A hot drink.", "A nice hot drink.", "A very nice hot drink."],
        [
            ADDED,
            WOVEN,
            judged(False),
            stronger,
            json.dumps({"text": f"Describe {{thing}}. {stronger}"}),
            judged(False),
        ],
    )
    graph.invoke({"prompt": PROMPT, "inputs": {"thing": "tea"}}, THREAD)
    events = list(graph.stream(CRITIQUE, THREAD, stream_mode="custom"))
    assert [e["verdicts"][0]["kept"] for e in events if e["type"] == "verdicts"] == [False, False]


def test_an_earlier_wish_on_the_same_input_is_looked_after():
    second = json.dumps({"reason": "asked", "action": "add", "principle": "Name the leaf."})
    graph = graph_of(
        ["A hot drink.", "Hot.", "Hot leaf water."],
        [
            ADDED,
            WOVEN,
            judged(True),
            second,
            json.dumps({"text": "Describe {thing}. Be brief. Name the leaf."}),
            judged(True),
            judged(False),
        ],
    )
    graph.invoke({"prompt": PROMPT, "inputs": {"thing": "tea"}}, THREAD)
    graph.invoke(CRITIQUE, THREAD)
    question = asked(graph.invoke(Command(resume={"action": "critique", "text": "name the leaf"}), THREAD))
    assert question["troubles"] == ["e1: “be brief” is lost (It says so)"]


def test_checks_and_replay_can_be_off():
    graph = graph_of(["A hot drink.", "Hot."], [ADDED, WOVEN], check_intent=False, replay_inputs=0)
    began(graph)
    assert asked(graph.invoke(CRITIQUE, THREAD))["response"] == "Hot."


# -- preferences, scores, conversations in the graph -----------------------------------------------------------------


def test_a_preference_is_explained_and_confirmed():
    graph = graph_of(
        ["one", "two", "three", "four"],
        ["1. It is short.\n2. It is dry.", ADDED, WOVEN],
        candidates=2,
        check_intent=False,
    )
    graph.invoke({"prompt": PROMPT, "inputs": {"thing": "tea"}}, THREAD)
    question = asked(graph.invoke(Command(resume={"action": "prefer", "choice": 1, "over": 0}), THREAD))
    assert (question["type"], question["reasons"]) == ("why", ["It is short.", "It is dry."])
    graph.invoke(Command(resume={"choice": 1}), THREAD)
    (feedback,) = AlignedPrompt.from_dict(graph.get_state(THREAD).values["prompt"]).exchanges[0].feedback
    assert (feedback.kind, feedback.text) == ("preference", "It is dry.")


def test_a_preference_with_a_reason_asks_nothing():
    graph = graph_of(["one", "two", "three", "four"], [ADDED, WOVEN], candidates=2, check_intent=False)
    graph.invoke({"prompt": PROMPT, "inputs": {"thing": "tea"}}, THREAD)
    review = {"action": "prefer", "choice": 1, "over": 0, "text": "it is dry"}
    assert asked(graph.invoke(Command(resume=review), THREAD))["type"] == "review"


@pytest.mark.parametrize(
    "review",
    [
        {"action": "prefer", "choice": 0},
        {"action": "prefer", "choice": 0, "over": 0},
        {"action": "prefer", "choice": 0, "over": 7},
        {"action": "score"},
        {"action": "score", "score": 2},
        {"action": "back"},
        {"action": "back", "exchange": "e9"},
        {"action": "reply"},
    ],
)
def test_a_turn_that_lacks_something_leaves_the_question_pending(review: dict[str, Any]):
    graph = graph_of(["one", "two"], [], candidates=2)
    graph.invoke({"prompt": PROMPT, "inputs": {"thing": "tea"}}, THREAD)
    with pytest.raises(ValueError):  # noqa: PT011 (each has words of its own)
        graph.invoke(Command(resume=review), THREAD)
    assert graph.get_state(THREAD).next == ("review",)


def test_a_bare_score_is_kept():
    graph = graph_of(["one", "two"], [])
    graph.invoke({"prompt": PROMPT, "inputs": {"thing": "tea"}}, THREAD)
    graph.invoke(Command(resume={"action": "score", "score": 0.8}), THREAD)
    prompt = AlignedPrompt.from_dict(graph.get_state(THREAD).values["prompt"])
    assert prompt.exchanges[0].feedback[0].score == 0.8


def test_a_conversation_goes_on_and_back():
    model = ScriptedChatModel(["Hot.", "From China.", "Green."])
    graph = create_feedback_graph(model, alignment_model=ScriptedChatModel([])).compile(checkpointer=InMemorySaver())
    graph.invoke({"prompt": PROMPT, "inputs": {"thing": "tea"}}, THREAD)
    question = asked(graph.invoke(Command(resume={"action": "reply", "text": "Where from?"}), THREAD))
    assert (question["response"], question["message"]) == ("From China.", "Where from?")
    assert [m.text for m in model.last.messages] == ["Describe tea.", "Hot.", "Where from?"]
    assert asked(graph.invoke(Command(resume={"action": "back", "exchange": "e1"}), THREAD))["response"] == "Hot."
    graph.invoke(Command(resume={"action": "reply", "text": "Which colour?"}), THREAD)
    assert [m.text for m in model.last.messages] == ["Describe tea.", "Hot.", "Which colour?"]


def test_a_turn_is_answered_again_after_feedback_on_it():
    model = ScriptedChatModel(["Hot.", "It comes from China.", "China."])
    graph = create_feedback_graph(
        model, alignment_model=ScriptedChatModel([ADDED, WOVEN]), check_intent=False, replay_inputs=0
    ).compile(checkpointer=InMemorySaver())
    graph.invoke({"prompt": PROMPT, "inputs": {"thing": "tea"}}, THREAD)
    graph.invoke(Command(resume={"action": "reply", "text": "Where from?"}), THREAD)
    assert asked(graph.invoke(CRITIQUE, THREAD))["response"] == "China."
    assert [m.text for m in model.last.messages] == ["Describe tea. Be brief.", "Hot.", "Where from?"]


# -- back and forth in the history, in the graph -------------------------------------------------------------------


def test_a_change_is_undone_redone_and_rewound():
    graph = graph_of(echo, [ADDED, WOVEN], check_intent=False, replay_inputs=0)
    graph.invoke({"prompt": PROMPT, "inputs": {"thing": "tea"}}, THREAD)
    graph.invoke(CRITIQUE, THREAD)

    def go(**review: Any) -> str:
        response: str = asked(graph.invoke(Command(resume=review), THREAD))["response"]
        return response

    assert go(action="rewind") == "Describe tea."
    assert go(action="rewind", revision="r2") == "Describe tea. Be brief."
    assert go(action="undo") == "Describe tea.\n\nFollow these principles:\n- Be brief."
    assert go(action="redo") == "Describe tea. Be brief."


@pytest.mark.parametrize("review", [{"action": "undo"}, {"action": "redo"}, {"action": "rewind", "revision": "r9"}])
def test_a_revision_that_is_not_there_leaves_the_question_pending(review: dict[str, Any]):
    graph = graph_of(echo, [])
    graph.invoke({"prompt": PROMPT, "inputs": {"thing": "tea"}}, THREAD)
    with pytest.raises(ValueError, match=r"nothing to|no revision"):
        graph.invoke(Command(resume=review), THREAD)
    assert graph.get_state(THREAD).next == ("review",)


# -- what must not happen -----------------------------------------------------------------------------------------


def test_an_undo_sticks_although_a_wish_could_not_be_judged():
    friendly = json.dumps({"reason": "asked", "action": "add", "principle": "Be friendlier."})
    graph = graph_of(echo, [friendly, WOVEN, *["no idea"] * 9], replay_inputs=0)
    graph.invoke({"prompt": PROMPT, "inputs": {"thing": "tea"}}, THREAD)
    graph.invoke(Command(resume={"action": "critique", "text": "be friendlier"}), THREAD)
    for _ in range(2):
        graph.invoke(Command(resume={"action": "undo"}), THREAD)
    prompt = AlignedPrompt.from_dict(graph.get_state(THREAD).values["prompt"])
    assert (prompt.history.head, prompt.principles) == (None, [])


def test_an_input_of_another_prompt_is_one_failure_of_its_own():
    prompt = aligned(tea="Hot.").with_exchange(Exchange(id="e2", inputs={}, candidates=("x",), response="x"))
    report = replay(run_of(prompt, ["Hot."]))
    assert [item.exchange for item in report.items if item.error] == ["e2"]
    run = run_of(prompt, [])
    run.set_model_description("Describe {place}.")
    assert len(replay(run).failed) == 2


def test_a_prompt_with_an_input_that_does_not_fit_goes_through_the_graph():
    prompt = aligned().with_exchange(Exchange(id="e1", inputs={}, candidates=("x",), response="x"))
    graph = graph_of(["A hot drink.", "Hot."], [ADDED, WOVEN, judged(True)])
    graph.invoke({"prompt": prompt.model_dump(mode="json"), "inputs": {"thing": "tea"}}, THREAD)
    assert asked(graph.invoke(CRITIQUE, THREAD))["response"] == "Hot."
    graph.invoke(Command(resume={"action": "back", "exchange": "e1"}), THREAD)
    with pytest.raises(ValueError, match="thing"):
        graph.invoke(CRITIQUE, THREAD)


def test_a_change_that_is_taken_back_keeps_what_was_said_and_what_was_answered():
    graph = graph_of(["A hot drink.", "Hot.", "No."], [ADDED, WOVEN, judged(True), judged(worse=True)])
    began(graph)
    graph.invoke(CRITIQUE, THREAD)
    graph.invoke(Command(resume="take back"), THREAD)
    prompt = AlignedPrompt.from_dict(graph.get_state(THREAD).values["prompt"])
    assert [(e.id, [f.text for f in e.feedback]) for e in prompt.exchanges] == [
        ("e1", []),
        ("e2", ["be brief"]),
        ("e3", []),
    ]


def test_an_accepted_change_is_not_asked_about_again():
    second = json.dumps({"reason": "asked", "action": "add", "principle": "Name the leaf."})
    graph = graph_of(
        ["A hot drink.", "Hot.", "No.", "Leaf.", "No."],
        [
            ADDED,
            WOVEN,
            judged(True),
            judged(worse=True),
            second,
            json.dumps({"text": "Describe {thing}. Be brief. Name the leaf."}),
            judged(True),
            judged(True),
        ],
    )
    began(graph)
    graph.invoke(CRITIQUE, THREAD)
    graph.invoke(Command(resume="accept"), THREAD)
    question = asked(graph.invoke(Command(resume={"action": "critique", "text": "name the leaf"}), THREAD))
    assert question["type"] == "review"


def test_a_finished_thread_begins_anew_with_other_inputs():
    graph = graph_of(echo, [])
    graph.invoke({"prompt": PROMPT, "inputs": {"thing": "tea"}}, THREAD)
    graph.invoke(Command(resume={"action": "reply", "text": "And in winter?"}), THREAD)
    state = graph.invoke(Command(resume={"action": "accept"}), THREAD)
    again = graph.invoke({"prompt": state["prompt"], "inputs": {"thing": "coffee"}}, THREAD)
    assert asked(again)["response"] == "Describe coffee."
    assert asked(graph.invoke({"prompt": "New {x}.", "inputs": {"x": "one"}}, THREAD))["response"] == "New one."


def test_variables_can_be_changed_by_hand_with_their_values():
    graph = graph_of(echo, [])
    graph.invoke({"prompt": PROMPT, "inputs": {"thing": "tea"}}, THREAD)
    edit = {"action": "edit", "text": "Describe {thing} in {style}.", "inputs": {"thing": "tea", "style": "verse"}}
    assert asked(graph.invoke(Command(resume=edit), THREAD))["response"] == "Describe tea in verse."


def test_looking_at_an_earlier_turn_leaves_its_chosen_answer():
    graph = graph_of(["one", "two", "three", "four"], [], candidates=2)
    graph.invoke({"prompt": PROMPT, "inputs": {"thing": "tea"}}, THREAD)
    chosen = asked(graph.invoke(Command(resume={"action": "reply", "choice": 1, "text": "And?"}), THREAD))
    first = AlignedPrompt.from_dict(graph.get_state(THREAD).values["prompt"]).exchanges[0]
    question = asked(graph.invoke(Command(resume={"action": "back", "exchange": "e1"}), THREAD))
    assert question["response"] == first.response == first.candidates[1]
    graph.invoke(Command(resume={"action": "back", "exchange": chosen["exchange"]}), THREAD)
    prompt = AlignedPrompt.from_dict(graph.get_state(THREAD).values["prompt"])
    assert prompt.exchanges[0].response == first.candidates[1]


def test_a_new_exchange_takes_the_place_of_none():
    prompt = AlignedPrompt.from_prompt(PROMPT).with_exchange(
        Exchange(id="e2", inputs={"thing": "ice"}, candidates=("Cold.",), response="Cold.")
    )
    run = run_of(prompt, ["Hot."])
    run.send_input("tea")
    assert [e.id for e in run.data.exchanges] == ["e2", "e3"]


def test_what_no_model_could_judge_is_counted():
    run = AlignableSingleRun(
        ScriptedChatModel(["Fruit."]), ScriptedChatModel([]), aligned(tea="Hot."), strategy="short_steps"
    )
    assert replay(run).summary().endswith("1 could not be judged")
