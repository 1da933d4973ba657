"""What model-alignment did wrong when aligning one prompt: the same situation, the right outcome.

Each test is named after its line in the list of reproduced faults.
"""

import json
from typing import Any

import pytest
from langchain_core.prompts import ChatPromptTemplate

from langchain_model_alignment.calls import Caller
from langchain_model_alignment.errors import AuthenticationError, FeedbackError, RateLimitError, UnavailableError
from langchain_model_alignment.feedback.single_run import AlignableSingleRun
from langchain_model_alignment.feedback.suggestions import create_critique_chain
from tests.fakes import ScriptedChatModel, http_error

STRATEGIES: list[Any] = ["one_call", "short_steps"]


def decided(principle: str, action: str = "add", id: str | None = None) -> str:
    return json.dumps({"reason": "asked", "action": action, "principle_id": id, "principle": principle})


def rewritten(text: str) -> str:
    return json.dumps({"text": text})


def run_of(description: Any, answers: Any = "An answer.", alignment: Any = (), **more: Any) -> AlignableSingleRun:
    run = AlignableSingleRun(
        ScriptedChatModel(answers), ScriptedChatModel(alignment), **{"check_intent": False, **more}
    )
    run.set_model_description(description)
    return run


def test_h2_a_bad_key_fails_at_once():
    """H2: a bad API key was retried for ever."""
    model = ScriptedChatModel(lambda _: http_error(401, "invalid api key"))
    run = AlignableSingleRun(model)
    run.set_model_description("Tell a joke.")
    with pytest.raises(AuthenticationError, match="key"):
        run.send_input()
    assert model.calls == 1


def test_h3_a_quota_error_backs_off_and_ends(monkeypatch: pytest.MonkeyPatch):
    """H3: a quota error was retried each second, without backoff and without end."""
    waits: list[float] = []

    async def sleep(seconds: float, *_: Any) -> None:
        waits.append(seconds)

    monkeypatch.setattr("langchain_model_alignment.calls._FIRST_WAIT", 0.5)
    monkeypatch.setattr("langchain_model_alignment.calls.asyncio.sleep", sleep)
    model = ScriptedChatModel(lambda _: http_error(429, "quota"))
    run = AlignableSingleRun(Caller(model, max_retries=4))
    run.set_model_description("Tell a joke.")
    with pytest.raises(RateLimitError):
        run.send_input()
    assert model.calls == 5
    backoffs = [wait for wait in waits if wait]
    assert len(backoffs) == 4
    assert backoffs[-1] >= 2 * backoffs[0]


def test_h3_a_server_that_recovers_is_answered():
    """H3: a short fault is waited out."""
    run = run_of("Tell a joke.", [http_error(429), http_error(503), "Knock knock."])
    assert run.send_input() == "Knock knock."
    ended = ScriptedChatModel(lambda _: http_error(503))
    run = AlignableSingleRun(Caller(ended, max_retries=2))
    run.set_model_description("Tell a joke.")
    with pytest.raises(UnavailableError):
        run.send_input()
    assert ended.calls == 3


def test_d30_literal_braces_in_a_prompt_are_text():
    """D30: a prompt with JSON in it raised KeyError."""
    model = ScriptedChatModel("ok")
    run = AlignableSingleRun(model)
    run.set_model_description('Sort {mail}. Reply as {"label": "spam", "tags": []} or {}.')
    run.send_input("Win {money}!")
    assert model.last.messages[0].text == 'Sort Win {money}!. Reply as {"label": "spam", "tags": []} or {}.'


def test_d31_a_failed_call_leaves_no_half_made_conversation():
    """D31: a failed call, then feedback, raised IndexError."""
    run = run_of("Tell a joke.", [http_error(401), "Knock knock."], [decided("Be brief.")])
    with pytest.raises(AuthenticationError):
        run.send_input()
    with pytest.raises(FeedbackError, match="call send_input"):
        run.critique_response("be brief")
    assert run.data.exchanges == ()
    run.send_input()
    assert [p.text for p in run.critique_response("be brief")] == ["Be brief."]


@pytest.mark.parametrize(
    "method", ["update_model_description_from_feedback", "update_model_description_from_principles"]
)
def test_d32_an_update_that_drops_a_variable_does_not_lose_the_input(method: str):
    """D32: an update dropped `{text}`, and the input was silently lost."""
    model = ScriptedChatModel("ok")
    first = [] if "feedback" in method else [decided("Be brief.")]
    run = AlignableSingleRun(
        model, ScriptedChatModel([*first, *[rewritten("Sum up briefly.")] * 2]), check_intent=False
    )
    run.set_model_description("Sum up {text}.")
    run.send_input("a")
    if first:
        run.critique_response("be brief")
        run.update_model_description_from_principles()
    else:
        run.update_model_description_from_feedback("be brief")
    run.send_input("The long text")
    assert "The long text" in model.last.text
    assert "brief" in model.last.text


def test_d33_an_update_that_invents_a_variable_is_not_taken():
    """D33: an update invented `{audience}`, and the next call raised KeyError."""
    model = ScriptedChatModel("ok")
    run = AlignableSingleRun(model, ScriptedChatModel([rewritten("Sum up {text} briefly for {audience}.")] * 2))
    run.set_model_description("Sum up {text}.")
    run.update_model_description_from_feedback("be brief")
    assert run.send_input("T") == "ok"
    assert "be brief" in model.last.text


def test_d34_several_candidates_then_critiques():
    """D34: AttributeError."""
    critiques = "1. Too short.\n2. No sources.\n3. It is stiff."
    run = run_of("Tell a joke.", ["one", "two", "three"], [critiques])
    candidates = run.send_input(n=3)
    with pytest.raises(FeedbackError, match="3 candidates"):
        run.generate_critiques()
    run.commit_model_response(candidates[1])
    assert len(run.generate_critiques()) == 3


def test_d35_setting_a_pair_on_a_new_object():
    """D35: IndexError."""
    run = run_of("Uses of {item}?", alignment=[decided("Be brief.")])
    run.set_input_output_pair({"item": "a rope"}, "Tie it.")
    assert run.get_input_output_pair() == ({"item": "a rope"}, "Tie it.")
    assert [p.text for p in run.critique_response("be brief")] == ["Be brief."]


def test_d35_setting_a_pair_before_any_prompt():
    """D35: without a prompt too."""
    run = AlignableSingleRun(ScriptedChatModel("x"), ScriptedChatModel([decided("Be brief.")]))
    run.set_input_output_pair({}, "Tie it.")
    assert [p.text for p in run.critique_response("be brief")] == ["Be brief."]


@pytest.mark.parametrize("id", ["p9", "9", "p0", "0", "option 9"])
def test_d36_a_choice_that_does_not_exist_changes_no_old_principle(id: str):
    """D36: option 9 of 3 raised IndexError; option 0 silently edited the last principle."""
    old = ["Be exact.", "Use rhymes.", "Name sources."]
    run = run_of("Tell a joke.", "x", [*(decided(p) for p in old), decided("Be kind.", "edit", id)])
    run.send_input()
    for principle in old:
        run.critique_response(principle)
    assert [p.text for p in run.critique_response("be kind")] == [*old, "Be kind."]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_d37_a_principle_may_name_a_variable(strategy: Any):
    """D37: a principle that names `{topic}` was cut at the brace."""
    principle = "Name {topic} in the first sentence."
    answer = decided(principle) if strategy == "one_call" else principle
    model = ScriptedChatModel("ok")
    run = AlignableSingleRun(model, ScriptedChatModel([answer]), strategy=strategy)
    run.set_model_description("Write about {topic}.")
    run.send_input("tea")
    run.critique_response("name {topic} in the first sentence")
    assert [p.text for p in run.data.principles] == [principle]
    run.send_input("tea")
    assert principle in model.last.text


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    "echo",
    [
        "{%s}",
        "Principle: %s",
        "INSTRUCTION_ADDITION: {%s}",
        "<principle>%s</principle>",
        '"%s"',
        "1. %s",
        "Here is the rule: %s",
    ],
)
def test_d38_d39_an_echoed_scaffold_is_not_kept(echo: str, strategy: Any):
    """D38, D39: what the model echoed of the scaffold stayed in the principle."""
    words = echo % "Include a creative use."
    answer = decided(words) if strategy == "one_call" else words
    run = run_of("Uses of {item}?", "Cut.", lambda _: answer, strategy=strategy)
    run.send_input("scissors")
    assert [p.text for p in run.critique_response("include a creative use")] == ["Include a creative use."]


def test_d40_a_direct_update_outlives_an_update_from_principles():
    """D40: the direct update was lost."""
    aligner = [
        rewritten("Sum up {text} for children."),
        decided("Be brief."),
        rewritten("Sum up {text} for children. Be brief."),
    ]
    run = run_of("Sum up {text}.", "ok", aligner)
    run.update_model_description_from_feedback("it is for children")
    run.send_input("T")
    run.critique_response("be brief")
    assert run.update_model_description_from_principles() == "Sum up {text} for children. Be brief."


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("Sum up {text} for children.", "Sum up {text} for children."),
        ("I will use <PROMPT> tags. <PROMPT>Sum up {text} for children.</PROMPT>", "Sum up {text} for children."),
    ],
)
def test_d41_a_direct_update_without_tags_or_with_a_thought_about_them(answer: str, text: str):
    """D41: a thought about tags became the prompt."""
    run = run_of("Sum up {text}.", "ok", [answer], strategy="short_steps")
    assert run.update_model_description_from_feedback("it is for children") == text


def test_d41_a_thought_never_becomes_the_prompt():
    """D41: thinking aloud, twice: the old text stays."""
    thought = "I should write the prompt for children and keep {text} between <PROMPT> tags."
    run = run_of("Sum up {text}.", "ok", [thought, thought], strategy="short_steps")
    updated = run.update_model_description_from_feedback("it is for children")
    assert updated == "Sum up {text}.\n\nAlso do what was asked:\n- it is for children"


@pytest.mark.parametrize(
    "answer", ["* Too short.\n* No sources.\n* It is stiff.", "1. Too short.\n2. No sources.\n3. It is stiff.\n\n"]
)
def test_d42_a_bullet_list_or_a_newline_at_the_end_still_gives_three(answer: str):
    """D42: one lump; an empty critique."""
    chain = create_critique_chain(ScriptedChatModel([answer]))
    found = chain.invoke({"prompt": "Tell a joke.", "response": "Knock knock."})
    assert found == ["Too short.", "No sources.", "It is stiff."]


def test_d43_a_plain_string_is_an_input():
    """D43: the README's `send_input("scissors")` raised TypeError."""
    assert run_of("Uses of {item}?", "Cut paper.").send_input("scissors") == "Cut paper."


def test_d44_principles_are_sent_below_the_description_without_an_update():
    """D44: the README promised it, and they were not."""
    model = ScriptedChatModel("ok")
    run = AlignableSingleRun(model, ScriptedChatModel([decided("Be brief.")]))
    run.set_model_description("Uses of {item}?")
    run.send_input("a rope")
    run.critique_response("be brief")
    run.send_input("a rope")
    assert model.last.text == "human: Uses of a rope?\n\nFollow these principles:\n- Be brief."


def test_d45_twelve_principles_are_one_call_and_none_when_nothing_changed():
    """D45: twelve calls one after another, from scratch at each update."""
    principles = [f"Mention colour number {n}." for n in range(2, 14)]
    woven = "Uses of {item}? " + " ".join(principles)
    aligner = ScriptedChatModel([*(decided(p) for p in principles), rewritten(woven)])
    run = AlignableSingleRun(ScriptedChatModel("ok"), aligner, check_intent=False)
    run.set_model_description("Uses of {item}?")
    run.send_input("a rope")
    for principle in principles:
        run.critique_response(principle)
    assert aligner.calls == 12
    assert run.update_model_description_from_principles() == woven
    assert run.update_model_description_from_principles() == woven
    assert aligner.calls == 13


def test_d46_every_turn_of_a_conversation_is_read():
    """D46: only the first two turns of a conversation were read."""
    turns = [("human", "one"), ("ai", "two"), ("human", "three"), ("ai", "four"), ("human", "five {item}")]
    model = ScriptedChatModel("six")
    run = AlignableSingleRun(model)
    run.set_model_description(ChatPromptTemplate(turns))
    run.send_input("x")
    assert [m.text for m in model.last.messages] == ["one", "two", "three", "four", "five x"]


def test_d47_feedback_on_a_response_that_was_not_committed():
    """D47: IndexError."""
    run = run_of("Tell a joke.", "Knock knock.", [decided("Be brief.")])
    run.send_input(commit=False)
    assert [p.text for p in run.critique_response("be brief")] == ["Be brief."]
    assert run.get_input_output_pair() == ({}, "Knock knock.")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_alcohol_stays_no_alcohol(strategy: Any):
    """Its own notebook: "I do not want to use any alcohol" became "Specify any dietary restrictions"."""
    words = "Specify any dietary restrictions"

    def reply(messages: list[Any]) -> str:
        if "Answer yes or no" in messages[0].text:
            return "yes"
        return words if strategy == "short_steps" else decided(words)

    model = ScriptedChatModel("A recipe with wine.")
    run = AlignableSingleRun(model, ScriptedChatModel(reply), strategy=strategy)
    run.set_model_description("Give a recipe for {dish}.")
    run.send_input("stew")
    (principle,) = run.critique_response("I do not want to use any alcohol")
    assert "not want to use any alcohol" in principle.text
    run.send_input("stew")
    assert principle.text in model.last.text


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_alcohol_survives_the_update_of_the_prompt(strategy: Any):
    """The rewritten prompt does not say it either: it is listed below."""
    lossy = "Give a recipe for {dish} and specify any dietary restrictions."
    first, second = (
        ("Use no alcohol.", lossy) if strategy == "short_steps" else (decided("Use no alcohol."), rewritten(lossy))
    )
    run = run_of("Give a recipe for {dish}.", "Wine.", [first, second, second], strategy=strategy)
    run.send_input("stew")
    run.critique_response("use no alcohol")
    assert "Use no alcohol." in run.update_model_description_from_principles()
