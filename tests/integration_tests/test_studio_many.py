"""The Align page with 200 principles in a real browser: what a person does to one of them is shown without a wait."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from langchain_model_alignment.constitution import Add
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.integrations.serving.service import Service
from langchain_model_alignment.integrations.serving.settings import ServeSettings
from langchain_model_alignment.studio.works import Works
from tests.browser import button, page_of, show_all_ways, slow, studio
from tests.integration_tests.test_studio_browser import STUDIO
from tests.studio import Mind, StreamingChatModel

MANY, SHOWN = 200, 40
SOON = 1.0  # seconds


async def begun(folder: Path) -> None:
    """Leave a prompt with many principles, answered, as another studio would."""
    prompt = AlignedPrompt.from_prompt("Give three uses for the following item: {item}")
    rules = [Add(text=f"Name a use that somebody of trade {n} would think of, and no other.") for n in range(MANY)]
    service = Service(StreamingChatModel(Mind()), settings=ServeSettings(database=str(folder), candidates=3))
    async with service.running():
        works = Works(service)
        work = works.get("uses")
        work.begin(prompt.commit(rules, author="person").model_dump(mode="json"), {"item": "rope"})
        while work.busy:
            await work._turn
        assert not work.problem
        await works.close()


def test_two_hundred_principles_stay_fluid(browser: Any, pictures: Path, tmp_path: Path):
    with ThreadPoolExecutor(1) as elsewhere:  # the browser's own loop is running already
        elsewhere.submit(asyncio.run, begun(tmp_path)).result()
    page, wrong = page_of(browser)
    with studio(tmp_path, STUDIO) as address:
        took: dict[str, float] = {}
        page.goto(f"{address}/align/uses")
        page.reload()
        began = time.monotonic()
        page.reload()
        button(page, "Reword p1").wait_for()
        page.wait_for_function("window.socket?.connected")
        took["the page"] = time.monotonic() - began

        began = time.monotonic()
        button(page, "Reword p1").click()
        box = page.get_by_role("textbox", name="Words of p1")
        box.wait_for()
        took["the field"] = time.monotonic() - began

        box.fill("Name a use at sea.")
        began = time.monotonic()
        button(page, "Save").click()
        page.locator(".principle-text", has_text="Name a use at sea.").wait_for()
        took["the new words"] = time.monotonic() - began
        button(page, "Critique answer 1").wait_for()

        began = time.monotonic()
        button(page, "Critique answer 1").click()
        page.get_by_role("textbox", name="What should change?").wait_for()
        took["a critique"] = time.monotonic() - began
        page.keyboard.press("Escape")

        began = time.monotonic()
        page.get_by_role("region", name="Principles").get_by_role("button", name="Next", exact=True).click()
        button(page, f"Reword p{SHOWN + 1}").wait_for()
        took["the next page"] = time.monotonic() - began
        assert page.locator(".principle").count() == SHOWN
        print(
            ", ".join(f"{what} after {seconds:.2f} s" for what, seconds in took.items()), f"at a load of {slow():.1f}"
        )
        show_all_ways(page, pictures, "many")
    assert not wrong
    assert took.pop("the page") < 1.5 * slow()
    assert max(took.values()) < SOON * slow(), took
