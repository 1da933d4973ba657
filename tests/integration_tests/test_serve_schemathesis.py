"""Schemathesis sends what the OpenAPI allows, and what it does not, and looks for anything that was not promised."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import SCRIPTED, process, python, rulebook

pytest.importorskip("uvicorn", reason='not installed: pip install "langchain-model-alignment[serve]"')

COMMAND = shutil.which("schemathesis", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
SERVE = SCRIPTED + "from langchain_model_alignment.cli import main; main()"
SAID = "Uvicorn running on "


@pytest.mark.skipif(COMMAND is None, reason="not installed: pip install schemathesis")
def test_nothing_is_answered_that_was_not_promised(tmp_path: Path) -> None:
    book = rulebook().save(tmp_path / "toxic.json")
    told = ("--port", "0", "--model", "scripted:mind", "--rulebook", str(book), "--database", str(tmp_path / "data"))
    with process(python(SERVE, "serve", *told), ready=SAID, LANGCHAIN_ALIGN_API_KEY="secret") as line:
        address = line.partition(SAID)[2].split()[0]
        # No schema can say that a prompt's variables need values, or that an answer fits a question: what is of the
        # right form may be refused all the same, with a 422.
        checks = ["--checks", "all", "--exclude-checks", "positive_data_acceptance"]
        options = ["--header", "Authorization: Bearer secret", "--max-time", "30", "--seed", "1", "--no-color"]
        done = subprocess.run(
            [COMMAND or "", "run", f"{address}/openapi.json", *checks, *options],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=600,
            check=False,
        )
    assert done.returncode == 0, done.stdout
