"""The pages under docs/: their code and commands run as they stand; a scripted model takes the place of the local one.

What stands below a comment such as `<!-- needs ray -->` is run elsewhere, by the integration tests of that part. The
page about models has tests of its own.
"""

import csv
import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import langchain_model_alignment
from langchain_model_alignment import LabelingTask, Rulebook
from langchain_model_alignment.cli.app import app
from tests.fakes import ScriptedChatModel, ToolModel

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
TASK = LabelingTask(
    input_names=["comment"],
    label_name="action",
    label_values=["keep", "remove"],
    task_description="Should the comment be kept or removed?",
)
ELSEWHERE = {"AlignmentError", "labeler", "single_run"}  # in the module `errors`; modules whose contents have pages
COMMANDS_WITH_A_MODEL = ("batch", "demo", "feedback", "label", "train")


def blocks(name: str, kind: str) -> list[Any]:
    text = (DOCS / name).read_text(encoding="utf-8")
    found = re.findall(rf"(?<!-->\n)```{kind}\n(.*?)```", text, re.DOTALL)
    return [pytest.param(block, id=f"{name}-{at}") for at, block in enumerate(found)]


TESTED = [page for page in PAGES if page != "models.md"]
CODE = [block for page in TESTED for block in blocks(page, "python")]
COMMANDS = [block for page in TESTED for block in blocks(page, "sh")]


def scripted(messages: list[Any]) -> str:
    """A label, a principle, a prompt, a judgement, or words."""
    system, asked = messages[0].text, messages[-1].text
    if system.startswith("Should"):
        return "remove" if "http" in asked else "keep"
    if "Propose up to" in asked:
        return '{"edits": [{"kind": "add", "label": "remove", "text": "The comment has a link."}]}'
    if "list of principles" in system:
        return json.dumps({"reason": "asked", "action": "add", "principle": "Be brief."})
    if "numbered list of three" in system:
        return "1. It is too dull.\n2. It names no colours.\n3. It is stiff."
    if "liked answer A better" in system:
        return "1. It is short.\n2. It is dry.\n3. It is clear."
    if "whether an answer follows principles" in system:
        return json.dumps({"items": [{"principle_id": "p1", "followed": True, "words": "It is 5 euros."}]})
    if "trouble among the principles" in system:
        return "{}"
    return "The comment advertises a product to other people."


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the examples, and with each file that a page reads and another one would have written."""
    monkeypatch.setattr(langchain_model_alignment, "local_chat_model", lambda: ToolModel(scripted), raising=False)
    for command in COMMANDS_WITH_A_MODEL:
        monkeypatch.setattr(
            f"langchain_model_alignment.cli.{command}.open_model", lambda *_: ScriptedChatModel(scripted)
        )
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    Rulebook.of(TASK, {"remove": ["The comment has a link."]}).save(tmp_path / "rulebook.json")
    (tmp_path / "rows").mkdir()
    for file in (tmp_path / "rows.csv", tmp_path / "rows" / "a.csv", tmp_path / "rows" / "b.csv"):
        with file.open("w", encoding="utf-8", newline="") as opened:
            writer = csv.writer(opened)
            writer.writerows([["comment"], ["Nice roses!"], [f"Look at http://{file.stem}.example"]])
    (tmp_path / "reply.txt").write_text("Write a reply to this customer: {message}\n", encoding="utf-8")
    (tmp_path / "feedback.csv").write_text("message,response,critique\nWhere?,It depends.,be brief\n", encoding="utf-8")
    old = {"preamble": "Sum up {text}.", "original_preamble": "Sum up {text}.", "principles": ["Be brief."]}
    (tmp_path / "prompt.json").write_text(json.dumps({**old, "conversations": []}), encoding="utf-8")
    attribute = {"id": "62194", "value": "It expresses hate.", "label": "True"}
    (tmp_path / "checkpoint.json").write_text(json.dumps({"attributes": [attribute]}), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_command(line: str) -> None:
    """Run a line of a page; whoever is asked something in it accepts at once."""
    program, *words = shlex.split(line)
    if program == "echo":
        text, arrow, target = words
        assert arrow == ">"
        Path(target).write_text(f"{text}\n", encoding="utf-8")
        return
    assert program == "langchain-align"
    result = CliRunner().invoke(app, words, input="q\n")
    assert result.exit_code == 0, result.output


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
    if "langchain-align report" in block:
        pytest.importorskip("matplotlib", reason='pip install "langchain-model-alignment[report]"')
    for line in block.strip().splitlines():
        run_command(line)


def test_the_labels_are_where_the_page_says(place: Path):
    for block in blocks("at_scale.md", "sh"):
        for line in block.values[0].strip().splitlines():
            run_command(line)
    with (place / "labels.csv").open(encoding="utf-8", newline="") as file:
        assert [row["prediction"] for row in csv.DictReader(file)] == ["keep", "remove"]
    assert sorted(path.name for path in (place / "labeled").iterdir()) == ["a.csv", "b.csv"]


@pytest.mark.parametrize("page", PAGES)
def test_links_between_the_pages_lead_somewhere(page: str):
    for target in re.findall(r"\]\(([^)#:]+)[#)]", (DOCS / page).read_text(encoding="utf-8")):
        assert (DOCS / page).parent.joinpath(target).exists(), target


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_in_the_sites_navigation(page: str):
    config = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))
    assert f'"{page}"' in json.dumps(config["project"]["nav"])


def documented() -> list[str]:
    """The public names in the reference, without the package's."""
    pages = [path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("*.md")]
    return [
        name for page in pages for name in re.findall(r"^::: langchain_model_alignment\.(\S+)$", page, re.MULTILINE)
    ]


def test_the_reference_has_every_public_name_once():
    names = [name for name in documented() if "." not in name]
    assert sorted(names) == sorted(set(langchain_model_alignment.__all__) - ELSEWHERE)


def test_every_command_is_on_the_page_about_the_command_line():
    from typer.main import get_command

    page = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
    assert [name for name in get_command(app).commands if f"`langchain-align {name}" not in page] == []


def test_the_new_names_in_the_table_of_moving_over_are_there():
    page = (DOCS / "moving_over.md").read_text(encoding="utf-8")
    table = re.findall(r"^\|.*\| (.*) \|$", page, re.MULTILINE)
    names = {name for cell in table for name in re.findall(r"`([A-Z]\w+(?:\.\w+)?|create_\w+|write_\w+)`", cell)}
    assert len(names) > 20
    for name in names - {"ChatGoogleGenerativeAI", "GOOGLE_API_KEY", "True"}:
        owner, _, member = name.partition(".")
        found = getattr(langchain_model_alignment, owner)
        assert not member or hasattr(found, member) or member in found.model_fields, name
