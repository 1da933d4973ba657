"""The Train and Label pages as a person sees them; the browser is simulated."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nicegui", reason='not installed: pip install "langchain-model-alignment[studio]"')

from nicegui import ui

from langchain_model_alignment.labeling.run_folder import RunFolder
from tests.fakes import ScriptedChatModel
from tests.simulated import QUESTION, SimulatedWorld, rows
from tests.studio import press, studio_of
from tests.training_runs import until, with_an_ended_run

MODIFIERS = ("altKey", "ctrlKey", "shiftKey", "metaKey")
TABLE = "\n".join(["text,label", *(f"{row['text']},{row['label']}" for row in rows(60))])


class Site:
    """A studio and a person who looks at it."""

    def __init__(self, user: Any, folder: Path) -> None:
        self.user, self.folder = user, folder
        self.run = RunFolder(folder / "runs" / "animals")

    async def give(self, content: str | bytes, to: str = "/train/table") -> None:
        """Give a file, and look at the page that comes then."""
        answer = await self.user.http_client.post(f"{to}?name=animals.csv", content=content)
        await self.user.open(answer.text)

    def train(self) -> None:
        """Let there be a run that another server trained for a step."""
        with_an_ended_run(self.folder)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with studio_of(ScriptedChatModel(SimulatedWorld()), tmp_path) as person:
        yield Site(person(), tmp_path)


async def test_the_page_says_what_it_is_for_and_lists_what_was_trained(site: Site):
    await site.user.open("/train")
    await site.user.should_see("Labels become rules that you can read")
    await site.user.should_not_see("Trainings")
    site.train()
    await site.user.open("/train")
    await site.user.should_see(QUESTION)


async def test_a_table_is_shown_with_its_labels_and_a_training_is_begun(site: Site):
    await site.give(TABLE)
    await site.user.should_see("animals.csv · 60 rows")
    await site.user.should_see("30 · 50%", retries=100)
    site.user.find("Start training").click()
    await until(site.run.record_file.exists)
    record = site.run.record()
    assert record is not None
    assert (record.arguments.inputs, record.arguments.labels) == (["text"], ["no", "yes"])
    await site.user.open("/train/run/animals")
    await site.user.should_see("Mistakes on training rows appear here", retries=100)
    await press(site.user, "Stop")
    await site.user.should_see("Everything so far is kept", retries=200)


async def test_a_run_that_was_trained_elsewhere_is_shown_with_its_rules(site: Site):
    site.train()
    await site.user.open("/train/run/animals")
    await site.user.should_see("Training has ended")
    await site.user.should_see("The text speaks of a")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("text,label\ncaf\u00e9,yes\n".encode("latin-1"), "is not UTF-8 text"),
        (b"\xff\xfet\x00e\x00", "save it as UTF-8"),
        ("text,text\na,b\n", "has the column 'text' twice"),
    ],
)
async def test_a_file_that_cannot_be_read_is_said_in_a_sentence(site: Site, content: Any, told: str):
    await site.give(content)
    await site.user.should_see(told)


async def test_one_label_only_is_said_in_a_sentence(site: Site):
    await site.give("text,label\na,yes\nb,yes\n")
    await site.user.should_see("only the label 'yes'", retries=100)
    site.user.find("Start training").click()
    await site.user.should_see("it must hold two labels at least")


async def test_what_a_person_says_of_a_mistake_waits_for_the_next_step(site: Site):
    site.train()
    await site.user.open("/train/run/animals")
    await site.user.should_see("right: yes", retries=100)
    site.user.find(kind=ui.button, content="Say why").click()
    site.user.find(kind=ui.textarea).type("The words tell of a yak.")
    site.user.find("Try it in the next step").click()
    await site.user.should_see("Waits for the next step.", retries=100)
    assert site.run.additions().suggestions[0].text == "The words tell of a yak."


async def test_without_a_rulebook_the_label_page_leads_to_a_training(site: Site):
    await site.user.open("/label")
    await site.user.should_see("No rulebook yet")


async def test_pasted_rows_are_labeled_as_text_and_a_person_has_the_last_word(site: Site):
    site.train()
    await site.user.open("/label")
    site.user.find(kind=ui.textarea).type("a cat <img src=x onerror=alert(1)>\na lamp")
    site.user.find("Label these rows").click()
    await site.user.should_see("All rows are labeled", retries=200)
    await site.user.should_see("a cat <img src=x onerror=alert(1)>")
    site.user.find(kind=ui.button, content="yes").click()
    await site.user.should_see("yes · by you", retries=100)
    assert site.run.additions().corrections


# -- the keyboard of the label page


async def sheet(site: Site, row_count: int) -> None:
    """Rows that are labeled, in front of a person."""
    site.train()
    await site.user.open("/label")
    site.user.find(kind=ui.textarea).type("\n".join(f"a lamp {n}" for n in range(row_count)))
    site.user.find("Label these rows").click()
    await site.user.should_see("All rows are labeled", retries=200)


def key(user: Any, name: str, *, repeat: bool = False) -> None:
    pressed = {"action": "keydown", "key": name, "code": f"Digit{name}", "location": 0, "repeat": repeat}
    user.find(kind=ui.keyboard).trigger("key", {**pressed, **dict.fromkeys(MODIFIERS, False)})


async def test_a_key_held_down_labels_one_row_and_not_a_page_of_them(site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("langchain_model_alignment.studio.label_view._SETTLED", 0)
    await sheet(site, 3)
    key(site.user, "1")
    key(site.user, "1", repeat=True)
    key(site.user, "1", repeat=True)
    await site.user.should_see("The 1 row you looked at joins", retries=100)
    key(site.user, "1")  # pressed anew it labels the next row, so those before it were heard
    await site.user.should_see("The 2 rows you looked at join", retries=100)
    assert len(site.run.additions().corrections) == 2


async def test_a_key_pressed_as_the_rows_move_labels_none_of_them(site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("langchain_model_alignment.studio.label_view._SETTLED", 3_600)
    await sheet(site, 2)
    key(site.user, "1")
    await site.user.should_see("The rows have moved just now; look, and press again.", retries=100)
    assert not site.run.additions().corrections
    monkeypatch.setattr("langchain_model_alignment.studio.label_view._SETTLED", 0)
    key(site.user, "1")
    await site.user.should_see("The 1 row you looked at joins", retries=100)


async def test_a_place_that_is_not_there_is_said(site: Site):
    for address, told in (
        ("/train/run/none", "no training called 'none'"),
        ("/train/table/00000000", "not there any more"),
        ("/label/sheet/00000000", "not there any more"),
    ):
        await site.user.open(address)
        await site.user.should_see(told)
