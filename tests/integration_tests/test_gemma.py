"""Real Gemma weights load, answer and go through a training run. Plumbing only: 270M of a base model knows no labels.

Opt in: `langchain-align models pull gemma3-270m`, then `pytest -m quality tests/integration_tests/test_gemma.py`. It
takes minutes, most of them for transformers to unpack the .gguf file.
"""

import csv
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from langchain_model_alignment import AlignedPrompt, hugging_face_chat_model, local_chat_model
from langchain_model_alignment.cli.app import app
from langchain_model_alignment.errors import WeightsError
from langchain_model_alignment.local.weights import weights_path

pytestmark = pytest.mark.quality

NAME = "gemma3-270m"
MISSING = [name for name in ("torch", "transformers", "langchain_huggingface", "gguf") if find_spec(name) is None]
hugging_face = pytest.mark.skipif(bool(MISSING), reason='pip install "langchain-model-alignment[huggingface]"')
ROWS = [
    *((text, "fruit") for text in ("a ripe apple", "two bananas", "a sour lemon", "plums", "a pear", "red cherries")),
    *((text, "tool") for text in ("a hammer", "two saws", "a rusty nail", "pliers", "a drill", "a wrench")),
]


@pytest.fixture(scope="module")
def weights() -> Path:
    try:
        return weights_path(NAME)
    except WeightsError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def gemma(weights: Path) -> Any:
    return hugging_face_chat_model(str(weights), max_tokens=8)


@hugging_face
def test_gemma_answers_in_a_batch_and_counts_its_tokens(gemma: Any) -> None:
    answers = gemma.batch(["The capital of France is", "One, two, three,"])
    assert all(answer.content.strip() for answer in answers)
    assert all(answer.usage_metadata["output_tokens"] <= 8 for answer in answers)


@hugging_face
def test_gemma_tells_log_probabilities(gemma: Any) -> None:
    answer = gemma.invoke("Is a hammer a fruit or a tool?", max_tokens=1, logprobs=True, top_logprobs=20)
    top = answer.response_metadata["logprobs"]["content"][0]["top_logprobs"]
    assert len(top) == 20
    assert all(token["logprob"] <= 0 for token in top)


@hugging_face
def test_a_training_run_goes_through_gemma_to_its_end(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Path("rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "sort"), *ROWS])
    asked = ["train", "rows.csv", "--input", "text", "--label", "sort", "--task", "Is it a fruit or a tool?"]
    done = CliRunner().invoke(app, [*asked, "--steps", "1", "--model", f"huggingface:{weights}", "--out", "run"])
    assert done.exit_code == 0, done.output
    history = json.loads(Path("run/training.json").read_text())["history"]
    assert [step["step"] for step in history] == [0, 1]
    assert not any(step["failures"] for step in history)


def test_gemma_answers_on_the_local_server_too(weights: Path) -> None:
    pytest.importorskip("xllamacpp", reason='pip install "langchain-model-alignment[local]"')
    answer = local_chat_model(NAME, max_tokens=40).invoke("The capital of France is").text
    assert answer.strip()
    assert "<|im_" not in answer  # it has no chat template, and does not go on with a turn of the person


def test_the_notebook_runs_to_its_end_and_no_wish_is_lost(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("xllamacpp", reason='pip install "langchain-model-alignment[local]"')
    notebook = Path(__file__).parents[2] / "examples" / "gemma.ipynb"
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), notebook.name, "exec"), names)  # noqa: S102 (our own notebook)
    prompt = AlignedPrompt.load("recipe.json").effective
    assert prompt.variables == ("dish",)
    assert "alcohol" in prompt.text
    assert "100 words" in prompt.text
