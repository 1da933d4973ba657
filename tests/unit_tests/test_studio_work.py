"""A prompt under work: what all tabs share, turns and what comes of their failure."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nicegui", reason='not installed: pip install "langchain-model-alignment[studio]"')

from langchain_core.messages import BaseMessage

from langchain_model_alignment.errors import ConflictError
from langchain_model_alignment.integrations.serving.service import Service
from langchain_model_alignment.integrations.serving.settings import ServeSettings
from langchain_model_alignment.studio.work import Work
from langchain_model_alignment.studio.works import Works
from tests.studio import CRITIQUES, PRINCIPLE, Mind, StreamingChatModel

PROMPT = "Give three uses for the following item: {item}"


@asynccontextmanager
async def works_of(model: Any, folder: Path) -> AsyncIterator[Works]:
    service = Service(model, settings=ServeSettings(database=str(folder), candidates=3))
    async with service.running():
        works = Works(service)
        yield works
        await works.close()


async def done(work: Work) -> None:
    while work.busy:
        await work._turn


async def begun(works: Works) -> Work:
    work = works.get("uses")
    work.begin(PROMPT, {"item": "scissors"})
    await done(work)
    return work


def question(work: Work) -> str:
    assert work.question is not None, work.problem
    return work.question["id"]


async def test_answers_come_word_by_word_and_side_by_side(tmp_path: Path) -> None:
    async with works_of(StreamingChatModel(Mind()), tmp_path) as works:
        work = works.get("uses")
        seen: list[list[str]] = []
        work.watch(lambda change: seen.append(list(work.streams)) if change == "token" else None)
        work.begin(PROMPT, {"item": "scissors"})
        await done(work)
        assert any(len(one) == 3 and all(0 < len(text) < 40 for text in one) for one in seen)
        assert work.review is not None
        assert sorted(seen[-1]) == sorted(work.review["candidates"])


async def test_a_critique_becomes_a_principle_and_new_answers(tmp_path: Path) -> None:
    async with works_of(StreamingChatModel(Mind()), tmp_path) as works:
        work = await begun(works)
        work.answer(question(work), {"action": "critique", "text": "The uses are ordinary.", "choice": 1})
        assert work.busy
        await done(work)
        assert [p.text for p in work.principles] == [PRINCIPLE]
        assert [event["type"] for event in work.told] == ["principles", "prompt", "answers", "verdicts"]


async def test_another_process_finds_all_as_it_was(tmp_path: Path) -> None:
    async with works_of(StreamingChatModel(Mind()), tmp_path) as works:
        before = await begun(works)
    async with works_of(StreamingChatModel(Mind()), tmp_path) as works:
        assert await works.names() == ["uses"]
        work = works.get("uses")
        await work.read()
        assert (work.prompt, work.question) == (before.prompt, before.question)


async def test_the_second_of_two_people_is_told_and_changes_nothing(tmp_path: Path) -> None:
    async with works_of(StreamingChatModel(Mind()), tmp_path) as works:
        work = await begun(works)
        asked = question(work)
        work.answer(asked, {"action": "critique", "text": "The uses are ordinary."})
        with pytest.raises(ConflictError):
            work.answer(asked, {"action": "kudos", "text": "I like it."})
        await done(work)
        with pytest.raises(ConflictError):
            work.answer(asked, {"action": "kudos", "text": "I like it."})
        assert len(work.principles) == 1


async def test_a_stream_that_breaks_off_is_told_and_goes_on(tmp_path: Path) -> None:
    model = StreamingChatModel(Mind(), breaks_after=3)
    async with works_of(model, tmp_path) as works:
        work = await begun(works)
        assert work.stopped
        assert work.problem
        assert work.prompt is not None
        model.breaks_after = None
        work.go_on()
        await done(work)
        assert work.review is not None
        assert not work.problem


async def test_a_turn_that_failed_can_be_taken_back(tmp_path: Path) -> None:
    failing: list[bool] = []
    mind = Mind()

    def reply(messages: list[BaseMessage]) -> str:
        if failing and "list of principles" not in messages[0].text:
            raise ValueError("no more")
        return mind(messages)

    async with works_of(StreamingChatModel(reply), tmp_path) as works:
        work = await begun(works)
        assert work.review is not None
        candidates = work.review["candidates"]
        failing.append(True)
        work.answer(question(work), {"action": "critique", "text": "The uses are ordinary."})
        await done(work)
        assert work.stopped
        await work.take_back()
        assert work.review is not None
        assert work.review["candidates"] == candidates
        assert not work.principles


async def test_a_turn_can_be_stopped_by_hand_and_goes_on(tmp_path: Path) -> None:
    model = StreamingChatModel(Mind(), pause=0.2)
    async with works_of(model, tmp_path) as works:
        work = works.get("uses")
        writing = asyncio.Event()
        work.watch(lambda change: writing.set() if change == "token" else None)
        work.begin(PROMPT, {"item": "scissors"})
        await writing.wait()
        await work.stop()
        assert work.stopped
        model.pause = 0.0
        work.go_on()
        await done(work)
        assert work.review is not None


async def test_suggestions_are_thought_of_once(tmp_path: Path) -> None:
    model = StreamingChatModel(Mind())
    async with works_of(model, tmp_path) as works:
        work = await begun(works)
        calls = model.calls
        assert await work.suggest(0, "critique") == CRITIQUES
        assert await work.suggest(0, "critique") == CRITIQUES
        assert model.calls == calls + 1


async def test_a_tab_that_cannot_be_drawn_ends_nobodys_turn(tmp_path: Path) -> None:
    def broken(change: str) -> None:
        raise RuntimeError("no window")

    async with works_of(StreamingChatModel(Mind()), tmp_path) as works:
        works.get("uses").watch(broken)
        work = await begun(works)
        assert work.review is not None
        assert not work.problem
