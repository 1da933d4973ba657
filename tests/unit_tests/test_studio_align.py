"""The Align page, as a person sees it; the browser is simulated."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nicegui", reason='not installed: pip install "langchain-model-alignment[studio]"')

from langchain_core.messages import BaseMessage
from nicegui import ui

from langchain_model_alignment.constitution import Add, Edit
from langchain_model_alignment.history import History
from langchain_model_alignment.studio.aligning.turns import turn_after, turn_before
from tests.studio import ANSWERS, PRINCIPLE, Mind, StreamingChatModel, box, press, studio_of
from tests.training_runs import until

PROMPT = "Give three uses for the following item: {item}"
PAGE = "/align/give-three-uses-for-the-following"


@asynccontextmanager
async def at_work(folder: Path, mind: Any = None) -> AsyncIterator[tuple[Any, Callable[[], Any]]]:
    """A person who has begun with a prompt and has three answers in front of them; and more people."""
    async with studio_of(StreamingChatModel(mind or Mind()), folder) as person:
        user = person()
        await user.open("/align")
        await press(user, "Uses for a thing")
        await press(user, "Show three answers")
        await sees(user, "Answer 1")
        await reviewed(user)
        yield user, person


async def sees(user: Any, text: str) -> None:
    await user.should_see(text, retries=100)


async def reviewed(user: Any) -> None:
    """Wait until the turn is over and it is the person's turn."""
    await user.should_see("Critique", retries=200)


async def standing_at(user: Any, revision: str) -> None:
    """Wait until the prompt stands at a revision: it is the one that one cannot go to."""
    others = {f"Go to r{n}" for n in range(1, 5)} - {f"Go to {revision}"}

    def ways() -> set[str]:
        labels = {element.props.get("aria-label") or "" for element in user.client.elements.values()}
        return {label for label in labels if label.startswith("Go to r")}

    await until(lambda: ways() == others)


async def criticise(user: Any, text: str, answer: int = 1) -> None:
    await press(user, f"Critique answer {answer}")
    (await box(user, "What should change?")).set_value(text)
    await press(user, "Send critique")
    await sees(user, "What changed")


async def test_the_empty_page_says_what_the_three_ways_do(tmp_path: Path) -> None:
    async with studio_of(StreamingChatModel(Mind()), tmp_path) as person:
        user = person()
        await user.open("/align")
        for told in ("Say what is wrong", "Say what is good", "Write the answer as it should be"):
            await user.should_see(told)


async def test_each_variable_gets_a_field_and_keeps_what_is_in_it(tmp_path: Path) -> None:
    async with studio_of(StreamingChatModel(Mind()), tmp_path) as person:
        user = person()
        await user.open("/align")
        (await box(user, "Your prompt")).set_value("Compare {this}.")
        (await box(user, "this")).set_value("tea")
        (await box(user, "Your prompt")).set_value("Compare {this} with {that}.")
        assert ((await box(user, "this")).value, (await box(user, "that")).value) == ("tea", "")


async def test_a_prompt_without_words_is_told_and_nothing_begins(tmp_path: Path) -> None:
    async with studio_of(StreamingChatModel(Mind()), tmp_path) as person:
        user = person()
        await user.open("/align")
        await press(user, "Show three answers")
        await sees(user, "Write a prompt first")


async def test_a_suggestion_taken_becomes_a_principle_that_tells_where_it_came_from(tmp_path: Path) -> None:
    async with at_work(tmp_path) as (user, _):
        await press(user, "Critique answer 2")
        await sees(user, "The uses are ordinary.")
        await press(user, "The uses are ordinary.")
        await sees(user, f"+ p1: {PRINCIPLE}")
        await user.should_see(PRINCIPLE)
        await user.should_see("from the critique “The uses are ordinary.”")


async def test_what_changed_can_be_undone_as_a_whole_and_stays_in_the_history(tmp_path: Path) -> None:
    async with at_work(tmp_path) as (user, _):
        await criticise(user, "The uses are ordinary.")
        await press(user, "Undo this")
        await user.should_see("None yet", retries=200)
        await sees(user, f"New: {PRINCIPLE}")
        await press(user, "Go to r2")
        await sees(user, "p1 · from the critique")


async def test_what_a_model_writes_is_shown_as_it_is_and_never_read_as_html(tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)> **bold** <script>alert(2)</script>"

    async with at_work(tmp_path, lambda messages: evil) as (user, _):
        await user.should_see(evil)
        with user:
            shown = list(ui.context.client.elements.values())
        assert not [one for one in shown if isinstance(one, ui.html | ui.markdown)]
        assert not [one for one in shown if "innerHTML" in one.props]


async def test_another_tab_sees_what_this_one_does(tmp_path: Path) -> None:
    async with at_work(tmp_path) as (ann, person):
        bob = person()
        await bob.open(PAGE)
        await bob.should_see("None yet")
        await criticise(ann, "The uses are ordinary.")
        await sees(bob, PRINCIPLE)


async def test_two_people_at_one_principle_overwrite_nothing_unseen(tmp_path: Path) -> None:
    async with at_work(tmp_path) as (ann, person):
        await criticise(ann, "The uses are ordinary.")
        bob = person()
        await bob.open(PAGE)
        await press(bob, "Reword p1")
        await press(ann, "Reword p1")
        (await box(ann, "Words of p1")).set_value("Name one odd use.")
        await press(ann, "Save")
        await sees(bob, "Somebody else changed it meanwhile. It now says: “Name one odd use.”")
        (await box(bob, "Words of p1")).set_value("Name two odd uses.")
        await bob.should_see("Save mine all the same")
        await press(bob, "Save mine all the same")
        await sees(ann, "p1 reworded: Name two odd uses.")


async def test_what_is_written_of_an_answer_that_has_gone_is_not_sent_unseen(tmp_path: Path) -> None:
    async with at_work(tmp_path) as (ann, person):
        bob = person()
        await bob.open(PAGE)
        await press(bob, "Critique answer 1")
        (await box(bob, "What should change?")).set_value("Too long.")
        await criticise(ann, "The uses are ordinary.")
        await press(bob, "Send critique")
        await sees(bob, "Somebody else changed this prompt a moment ago")
        await ann.should_not_see("Too long.")


async def test_a_change_that_makes_an_earlier_answer_worse_is_asked_about_before_it_is_kept(tmp_path: Path) -> None:
    mind = Mind()
    async with at_work(tmp_path, mind) as (user, _):
        (await box(user, "item")).set_value("a brick")
        await press(user, "Answer")
        await sees(user, "Earlier answers")
        mind.worse = True
        await press(user, "Critique answer 1")
        (await box(user, "What should change?")).set_value("The uses are ordinary.")
        await press(user, "Send critique")
        await user.should_see("This change makes something worse", retries=200)
        await user.should_see("item: scissors")
        await user.should_see("Worse: It is off the request.")
        await press(user, "Take it back")
        await user.should_see("None yet", retries=200)


async def test_a_model_that_stops_in_the_middle_is_told_in_words_and_can_go_on(tmp_path: Path) -> None:
    model = StreamingChatModel(Mind(), breaks_after=3)
    async with studio_of(model, tmp_path) as person:
        user = person()
        await user.open("/align")
        await press(user, "Uses for a thing")
        await press(user, "Show three answers")
        await user.should_see("Nothing is lost", retries=200)
        model.breaks_after = None
        await press(user, "Go on")
        await reviewed(user)
        await user.should_see(ANSWERS[0])


async def test_a_rewrite_begins_with_the_answer(tmp_path: Path) -> None:
    asked: list[str] = []
    mind = Mind()

    def reply(messages: list[BaseMessage]) -> str:
        asked.append(messages[-1].text)
        return mind(messages)

    async with at_work(tmp_path, reply) as (user, _):
        await press(user, "Rewrite answer 3")
        written = await box(user, "The answer as it should have been")
        assert written.value in ANSWERS
        written.set_value("Cut a paper crown.")
        await press(user, "Send rewrite")
        await sees(user, "What changed")
        assert any("Cut a paper crown." in one for one in asked)


async def test_a_person_edits_their_own_words_and_not_the_list_of_principles(tmp_path: Path) -> None:
    async with at_work(tmp_path) as (user, _):
        await criticise(user, "The uses are ordinary.")
        await press(user, "Edit the prompt")
        written = await box(user, "Your prompt")
        assert written.value == PROMPT
        written.set_value("Name one use for {item}.")
        await press(user, "Save")
        await user.should_see("The prompt's own words changed", retries=200)


async def test_principles_come_in_pages_and_a_new_one_is_brought_into_sight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("langchain_model_alignment.studio.aligning.principles_card._PAGE", 1)
    texts = iter(["Name a use at sea.", "Name a use on land."])
    mind = Mind()

    def reply(messages: list[BaseMessage]) -> str:
        if "list of principles" in messages[0].text:
            return json.dumps({"reason": "asked", "action": "add", "principle": next(texts)})
        return mind(messages)

    async with at_work(tmp_path, reply) as (user, _):
        await criticise(user, "Think of the sea.")
        await criticise(user, "Think of the land.", answer=2)
        await sees(user, "2 to 2 of 2")
        await user.should_see("p2 · from the critique", retries=100)
        await user.should_not_see("p1 · from the critique")
        await press(user, "Before")
        await sees(user, "p1 · from the critique")


async def test_an_edit_by_hand_is_one_turn_to_undo_and_redo(tmp_path: Path) -> None:
    async with at_work(tmp_path) as (user, _):
        await criticise(user, "The uses are ordinary.")
        await press(user, "Reword p1")
        (await box(user, "Words of p1")).set_value("Name one odd use.")
        await press(user, "Save")
        await sees(user, "~ p1: ")
        await standing_at(user, "r4")  # the words of the principle, and the prompt that says it
        await press(user, "Undo")
        await standing_at(user, "r2")
        await press(user, "Redo")
        await standing_at(user, "r4")


async def test_a_prompt_that_is_not_there_leads_to_the_beginning(tmp_path: Path) -> None:
    async with studio_of(StreamingChatModel(Mind()), tmp_path) as person:
        user = person()
        await user.open("/align/nothing-here")
        await sees(user, "Make a prompt do what you mean")


def test_what_was_said_and_mended_at_once_is_a_turn_of_its_own():
    said = Add(text="No alcohol.", evidence=("e2",))
    history = History().commit([Add(text="Be brief.", evidence=("e1",))]).commit([said], author="repair")
    mended = history.commit([Edit(id="p2", text="Never name alcohol.")], author="repair")
    assert turn_before(history) == "r1"
    assert turn_before(mended) == "r1"
    assert turn_after(mended.rewind(None)) == "r1"
