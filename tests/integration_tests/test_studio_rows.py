"""Train, then Label, in a real browser: from a file of labels to a correction; and nothing that shuts anybody out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import PATIENCE, faults, page_of, studio
from tests.simulated import QUESTION, rows
from tests.training_runs import write

STUDIO = """
import langchain_model_alignment.models as models
from tests.simulated import LogprobModel, LogprobWorld
models.resolve_chat_model = lambda name: LogprobModel(LogprobWorld(noise=0.05), latency=0.002)
from langchain_model_alignment.cli import main
main()
"""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A studio in a process of its own, on a scripted model that tells log probabilities."""
    with studio(tmp_path / "studio", STUDIO) as found:
        yield found


def test_from_a_file_of_labels_to_a_correction_that_trains(address: str, browser: Any, pictures: Path, tmp_path: Path):
    page, wrong = page_of(browser)
    page.set_default_timeout(2 * PATIENCE)

    page.goto(f"{address}/train")
    page.set_input_files("input[type=file]", write(tmp_path / "animals.csv", rows(120, 1)))
    page.get_by_text("60 · 50%").first.wait_for()
    page.get_by_label("The question").fill(QUESTION)
    assert not faults(page)
    page.get_by_label("Steps").fill("1")
    page.get_by_role("button", name="Start training").click()
    page.get_by_text("Training has ended").wait_for()

    page.get_by_role("button", name="Say why").first.click()
    page.get_by_label("What tells that it is").fill("The words tell of a yak.")
    assert not faults(page)
    page.get_by_role("button", name="Try it in the next step").click()
    page.get_by_text("Waits for the next step.").wait_for()
    page.get_by_label("Steps in all").fill("2")
    page.get_by_role("button", name="Go on").click()
    page.get_by_text("Tried in step 2").wait_for()
    page.reload()
    page.get_by_text("Training has ended: all 2 steps").wait_for()
    page.get_by_text("Tried in step 2").wait_for()
    page.evaluate("window.scrollTo(0, 0)")
    page.screenshot(path=pictures / "train.png")

    page.get_by_role("link", name="Label with it").click()
    page.locator(".drop").wait_for()
    assert not faults(page)
    page.set_input_files("input[type=file]", write(tmp_path / "new.csv", rows(30, 2)))
    page.get_by_role("button", name="Label 30 rows").click()
    page.get_by_text("All rows are labeled").wait_for()
    page.get_by_text("% sure").first.wait_for()
    page.wait_for_timeout(1_500)  # rows that have just moved take no label
    page.keyboard.press("w")
    page.locator(".because").wait_for()
    page.keyboard.press("j")
    page.keyboard.press("1")
    page.get_by_text("no · by you").wait_for()
    page.get_by_text("The 1 row you looked at joins the training rows").wait_for()
    assert not faults(page)
    page.screenshot(path=pictures / "label.png")

    page.get_by_role("link", name="Train on the 1 you looked at").click()
    page.get_by_role("button", name="Go on").click()
    page.get_by_text("1 corrected row among the training rows").first.wait_for()

    phone, wrong_too = page_of(browser, width=390, height=844, dark=True)
    phone.goto(page.url)
    phone.get_by_text("Where it still errs").wait_for()
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    assert not faults(phone)
    assert not wrong
    assert not wrong_too
