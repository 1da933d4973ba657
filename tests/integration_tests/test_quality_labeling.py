"""What training makes of real labeled sets with the real local Qwen model as both models.

Run with ``pytest -m quality``; it takes an hour or more on two cores. The sets are not part of the project: they are
looked for in a folder ``shared/data`` beside the checkout. Each run prints what came out, good or bad.
"""

import statistics
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from langchain_model_alignment import Labeler, Rulebook, SQLiteCache
from langchain_model_alignment.errors import WeightsError
from langchain_model_alignment.labeling.labeler import create_labeler_graph
from langchain_model_alignment.local.weights import weights_path

pytestmark = pytest.mark.quality

NAME = "qwen2.5-coder-1.5b"
DATA = Path(__file__).parents[3] / "shared" / "data"
QUESTIONS = {"ethos": "Does the comment contain hate speech?", "trec": "What does the question ask for?"}
TFIDF_ON_ETHOS = 0.650


@pytest.fixture(scope="module")
def llm() -> Any:
    pytest.importorskip("xllamacpp", reason="the extra local is not installed")
    try:
        weights_path(NAME)
    except WeightsError:
        pytest.skip(f"no weights here; get them with: langchain-align models pull {NAME}")
    from langchain_model_alignment.local import local_chat_model

    return local_chat_model(NAME)


def measured(name: str, seed: int, llm: Any, cache: SQLiteCache) -> tuple[float, float]:
    """Train three steps on one set; the test accuracy of the calibrated zero-shot, and of what training made."""
    if not (DATA / name).is_dir():
        pytest.skip(f"the set {name} is not in a folder shared/data beside this checkout")
    train, test = (pd.read_csv(DATA / name / f"{part}.csv") for part in ("train", "test"))
    maker = Labeler(
        ["text"],
        "label",
        sorted(train.label.unique()),
        QUESTIONS[name],
        llm,
        hparams={"seed": seed},
        max_concurrency=4,
        cache=cache,
    )
    state = create_labeler_graph(maker, train).compile().invoke({"steps": 3})
    candidates = state["candidates"].values()
    empty = next(c for c in candidates if c["record"]["origin"] == "zero-shot")
    accuracies = []
    for candidate in (empty, state["candidates"][state["best"][0]]):
        predictions = maker.infer_checkpoint(Rulebook.model_validate(candidate["rulebook"]), test)
        accuracies.append(maker.get_scorecard(test, predictions)["accuracy"])
    return accuracies[0], accuracies[1]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> SQLiteCache:
    """Answers that the seeds share, such as those of the zero-shot on test rows."""
    return SQLiteCache(tmp_path_factory.mktemp("quality") / "answers.sqlite")


def test_training_beats_the_calibrated_zero_shot_on_ethos(llm, cache, capsys):
    results = [measured("ethos", seed, llm, cache) for seed in range(3)]
    with capsys.disabled():
        print("\n\nETHOS, test accuracy, calibrated zero-shot and trained, by seed:", results)
    assert all(trained > TFIDF_ON_ETHOS for _, trained in results)
    assert statistics.mean(trained - empty for empty, trained in results) >= 0.06


def test_training_does_no_harm_on_trec(llm, cache, capsys):
    results = [measured("trec", seed, llm, cache) for seed in range(3)]
    with capsys.disabled():
        print("\n\nTREC, test accuracy, calibrated zero-shot and trained, by seed:", results)
    for empty, trained in results:
        assert trained >= empty - (empty * (1 - empty) / 545) ** 0.5
