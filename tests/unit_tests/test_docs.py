"""The pages under docs/: their code and commands run as they stand; a scripted model takes the place of the local one.

What stands below a comment such as `<!-- needs ray -->` is run elsewhere, by the integration tests of that part.
"""

import csv
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import langchain_model_alignment
from langchain_model_alignment import LabelingTask, Rulebook
from langchain_model_alignment.cli.app import app
from tests.fakes import ScriptedChatModel, ToolModel

ROOT = Path(__file__).parents[2]
TASK = LabelingTask(
    input_names=["comment"],
    label_name="action",
    label_values=["keep", "remove"],
    task_description="Should the comment be kept or removed?",
)


def blocks(name: str, kind: str) -> list[Any]:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    found = re.findall(rf"(?<!-->\n)```{kind}\n(.*?)```", text, re.DOTALL)
    return [pytest.param(block, id=f"{name}-{at}") for at, block in enumerate(found)]


CODE = [*blocks("at_scale.md", "python"), *blocks("applications.md", "python")]
COMMANDS = blocks("at_scale.md", "sh")


def scripted(messages: list[Any]) -> str:
    """A label, a principle, or words."""
    if messages[0].text.startswith("Should the comment"):
        return "remove" if "http" in messages[-1].text else "keep"
    if "Propose up to" in messages[-1].text:
        return '{"edits": [{"kind": "add", "label": "remove", "text": "The comment has a link."}]}'
    return "The comment advertises a product to other people."


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the examples, a rulebook, a file of rows and a folder of them."""
    monkeypatch.setattr(langchain_model_alignment, "local_chat_model", lambda: ToolModel(scripted), raising=False)
    monkeypatch.setattr("langchain_model_alignment.cli.label.open_model", lambda *_: ScriptedChatModel(scripted))
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    Rulebook.of(TASK, {"remove": ["The comment has a link."]}).save(tmp_path / "rulebook.json")
    (tmp_path / "rows").mkdir()
    for file in (tmp_path / "rows.csv", tmp_path / "rows" / "a.csv", tmp_path / "rows" / "b.csv"):
        with file.open("w", encoding="utf-8", newline="") as opened:
            writer = csv.writer(opened)
            writer.writerows([["comment"], ["Nice roses!"], [f"Look at http://{file.stem}.example"]])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("block", CODE)
def test_the_code_runs(block: str):
    if "create_agent" in block:
        pytest.importorskip("langchain.agents", reason='pip install "langchain-model-alignment[agents]"')
    if "MixtureOfExperts" in block:
        pytest.importorskip("wordllama", reason='pip install "langchain-model-alignment[embeddings]"')
        pytest.importorskip("matplotlib", reason='pip install "langchain-model-alignment[report]"')
    exec(compile(block, "docs", "exec"), {})  # noqa: S102 (our own page)


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("block", COMMANDS)
def test_the_commands_run(block: str):
    for line in block.strip().splitlines():
        result = CliRunner().invoke(app, shlex.split(line)[1:])
        assert result.exit_code == 0, result.output


def test_the_labels_are_where_the_page_says(place: Path):
    for block in COMMANDS:
        for line in block.values[0].strip().splitlines():
            CliRunner().invoke(app, shlex.split(line)[1:])
    with (place / "labels.csv").open(encoding="utf-8", newline="") as file:
        assert [row["prediction"] for row in csv.DictReader(file)] == ["keep", "remove"]
    assert sorted(path.name for path in (place / "labeled").iterdir()) == ["a.csv", "b.csv"]


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_links_between_the_pages_lead_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)#:]+)[#)]", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_the_readme_leads_to_every_page(page: Path):
    assert f"docs/{page.name}" in (ROOT / "README.md").read_text(encoding="utf-8")
