"""The notebooks run from their first cell to their last, with a scripted model in place of the local one."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from langchain_core.messages import BaseMessage

import langchain_model_alignment
from langchain_model_alignment import AlignedPrompt, Mixture, Rulebook
from tests.fakes import ScriptedChatModel

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the examples are not beside the tests here")

Run = Callable[[str, Callable[[list[BaseMessage]], str]], str]


def code_of(notebook: str) -> list[str]:
    cells = json.loads((EXAMPLES / notebook).read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a notebook with a mind for its model, in a folder of its own, and returns what it printed."""
    (tmp_path / "examples").symlink_to(EXAMPLES)
    monkeypatch.chdir(tmp_path)

    def run_with(notebook: str, mind: Callable[[list[BaseMessage]], str]) -> str:
        llm = ScriptedChatModel(mind)
        monkeypatch.setattr(langchain_model_alignment, "local_chat_model", lambda *_, **__: llm, raising=False)
        names: dict[str, object] = {}
        for source in code_of(notebook):
            exec(compile(source, notebook, "exec"), names)  # noqa: S102 (our own notebook)
        return capsys.readouterr().out

    return run_with


def listener(messages: list[BaseMessage]) -> str:
    """Writes the principle that each piece of feedback asks for, weaves principles in, and answers by them."""
    system, told = messages[0].text, messages[-1].text
    if "list of principles" in system:
        wishes = {"creative": "Include a creative use.", "numbered": "Number the list.", "snowflakes": "Be brief."}
        rule = next(rule for wish, rule in reversed(wishes.items()) if wish in told)
        return json.dumps({"reason": "asked", "action": "add", "principle": rule})
    if "rewrite instructions" in system:
        woven = "Include a creative use. Number the list. Be brief."
        return json.dumps({"text": f"Give three uses for the following item: {{item}} {woven}"})
    if "change instructions" in system:
        text = "Give three uses for the following item: {item} Say in a few words why each use is a good one."
        return json.dumps({"text": text})
    if "whether a prompt's new answer" in system:
        return json.dumps({"sayings": [{"number": number, "kept": True} for number in (1, 2, 3)]})
    if "numbered list of three" in system:
        return "1. It is too short.\n2. It names no example.\n3. It is stiff."
    if "Be brief." in told:
        return "1. Prop a door\n2. Press flowers\n3. Grind corn"
    return "1. It can be used to cut a sheet of paper.\n2. It can be used to cut a cloth.\n3. It can cut your hair."


def test_a_prompt_is_aligned_by_a_critique_kudos_and_a_rewrite(run: Run):
    output = run("single_run_prompt.ipynb", listener)
    assert "- It names no example." in output
    assert "p1: Include a creative use.\np2: Number the list.\np3: Be brief." in output
    assert "Include a creative use. Number the list. Be brief.\n1. Prop a door" in output
    assert "'I like that the list is numbered': kept" in output
    aligned = AlignedPrompt.load("uses.json")
    assert [p.text for p in aligned.principles] == ["Include a creative use.", "Number the list.", "Be brief."]
    assert "why each use" not in aligned.description  # it was undone
    assert output.endswith("True\n['item']\n")


def mumble(messages: list[BaseMessage]) -> str:
    """Says what a base model says: something else, whatever it is asked."""
    return "the end of the day, and the end of the"


def test_on_a_model_that_follows_nothing_the_wishes_hold_all_the_same(run: Run):
    run("gemma.ipynb", mumble)
    aligned = AlignedPrompt.load("recipe.json")
    assert "alcohol" in aligned.effective.text
    assert "100 words" in aligned.effective.text
    assert "Write a short recipe for {dish}." in aligned.description


def gardener(messages: list[BaseMessage]) -> str:
    """Removes what a principle names, and proposes the unit that a removed comment holds."""
    system, asked = messages[0].text, messages[-1].text
    if system.startswith("Should the comment"):
        hit = "spoon" in system and "spoon" in asked
        return "remove" if hit else "keep"
    if "Propose up to" in asked:
        return json.dumps({"edits": [{"kind": "add", "label": "remove", "text": "The comment measures by the spoon."}]})
    return "The comment says something."


def test_a_rulebook_is_trained_on_a_table_and_labels_new_rows(run: Run):
    Path("data/forum").mkdir(parents=True)
    for name in ("train", "validation", "test"):  # a part of the rows will do
        rows = pd.read_csv(EXAMPLES / "data" / "forum" / f"{name}.csv", nrows=50)
        rows.to_csv(Path("data/forum") / f"{name}.csv", index=False)
    output = run("labeler.ipynb", gardener)
    assert "step 2: 0." in output
    assert "remove None" in output  # a label and no confidence: this model tells no log probabilities
    rulebook = Rulebook.load("rulebook.json")
    assert rulebook.task.labels == ("keep", "remove")
    assert any("spoon" in p.text for p in rulebook.enabled())
    assert "\nTrue\n" in output


def moderator(messages: list[BaseMessage]) -> str:
    """Marks what a principle names, and proposes the word that a marked message holds."""
    system, asked = messages[0].text, messages[-1].text
    words = ("pay", "price", "fee", "refund", "spray", "spoon", "sale", "swap", "email", "mix")
    if system.startswith("Does the moderator mark"):
        return "marked" if any(f"the word {word}" in system and word in asked.lower() for word in words) else "plain"
    found = [word for word in words if word in asked.lower().rpartition("message:")[2]] or ["please"]
    sentence = f"It holds the word {found[0]}."
    if "Propose up to" in asked:
        return json.dumps({"edits": [{"kind": "add", "label": "marked", "text": sentence}]})
    return sentence


def test_a_mixture_is_trained_and_its_report_written(run: Run):
    pytest.importorskip("wordllama", reason='wordllama is missing: pip install "langchain-model-alignment[embeddings]"')
    pytest.importorskip("matplotlib", reason='matplotlib is missing: pip install "langchain-model-alignment[report]"')
    output = run("mixture_of_experts.ipynb", moderator)
    assert "general: " in output
    assert "the mixture: 0." in output
    assert Mixture.load("mixture/mixture.json").task.labels == ("marked", "plain")
    assert "The regions and their experts" in Path("mixture/report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.ipynb")))
def test_the_readme_lists_every_notebook(name: str):
    assert f"({name})" in (EXAMPLES / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.ipynb")))
def test_a_notebook_holds_no_error_and_no_path_of_the_machine_it_ran_on(name: str):
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    for cell in json.loads(text)["cells"]:
        assert all(output["output_type"] != "error" for output in cell.get("outputs", []))
    assert str(Path.home()) + os.sep not in text
