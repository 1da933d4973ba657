"""The benchmark of quality: calls are counted for everyone alike, finished parts stay, and scores are what they say."""

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from sklearn.metrics import f1_score

from tests.benchmarks.peers.jobs import JobError, ask
from tests.benchmarks.quality import command
from tests.benchmarks.quality.arms import ARMS, BY_NAME
from tests.benchmarks.quality.proxy import Proxy
from tests.benchmarks.quality.record import Record, RecordError
from tests.benchmarks.quality.scores import RESAMPLES, draws, interval, macro_f1, once
from tests.benchmarks.quality.sets import LabeledSet
from tests.benchmarks.quality.summary import Summary

starlette = pytest.importorskip("starlette", reason='pip install "langchain-model-alignment[serve]"')

GREEDY = {"model": "m", "temperature": 0, "messages": [{"role": "user", "content": "yes or no?"}]}
SAMPLED = {**GREEDY, "temperature": 1.0}


class Upstream:
    """A model's server that says how often it was asked, or fails."""

    def __init__(self, status: int = 200) -> None:
        self.asked: list[dict[str, Any]] = []
        self.status = status

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(json.loads(request.content))
        said = {"message": {"role": "assistant", "content": f"answer {len(self.asked)}"}}
        return httpx.Response(
            self.status, json={"choices": [said], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}
        )


def proxy_of(upstream: Upstream, folder: Path) -> Proxy:
    client = httpx.AsyncClient(transport=httpx.MockTransport(upstream))
    return Proxy("http://model/v1", "secret", folder / "answers.sqlite", client)


async def said(proxy: Proxy, request: dict[str, Any], run: str = "ours", phase: str = "train") -> str:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(proxy.app), base_url="http://proxy") as client:
        response = await client.post(f"/{run}/{phase}/v1/chat/completions", json=request)
        return response.json()["choices"][0]["message"]["content"] if response.status_code == 200 else "failed"


async def test_a_kept_answer_counts_as_a_call_of_whoever_asks(tmp_path):
    upstream = Upstream()
    proxy = proxy_of(upstream, tmp_path)

    assert [await said(proxy, GREEDY, run) for run in ("ours", "theirs", "theirs")] == ["answer 1"] * 3

    theirs = proxy.tally("theirs", "train")
    assert (theirs.calls, theirs.kept, theirs.tokens_in, theirs.tokens_out) == (2, 2, 10, 4)
    assert len(upstream.asked) == 1


async def test_labeling_the_test_rows_is_counted_apart(tmp_path):
    proxy = proxy_of(Upstream(), tmp_path)

    await said(proxy, GREEDY, phase="train")
    await said(proxy, GREEDY, phase="test")

    assert (proxy.tally("ours", "train").calls, proxy.tally("ours", "test").calls) == (1, 1)


async def test_equal_requests_in_flight_reach_the_model_once(tmp_path):
    upstream = Upstream()
    proxy = proxy_of(upstream, tmp_path)

    assert set(await asyncio.gather(*(said(proxy, GREEDY) for _ in range(5)))) == {"answer 1"}
    assert (len(upstream.asked), proxy.tally("ours", "train").calls) == (1, 5)


async def test_a_sampled_request_is_sampled_again_and_a_run_done_again_meets_the_same_answers(tmp_path):
    upstream = Upstream()
    proxy = proxy_of(upstream, tmp_path)

    first = [await said(proxy, SAMPLED), await said(proxy, SAMPLED)]
    proxy.begin("ours")
    again = [await said(proxy, SAMPLED), await said(proxy, SAMPLED)]

    assert first == again == ["answer 1", "answer 2"]
    assert await said(proxy, SAMPLED, run="theirs") == "answer 3"
    assert len({request["seed"] for request in upstream.asked}) == 3


async def test_a_failure_is_counted_and_not_kept(tmp_path):
    upstream = Upstream(status=503)
    proxy = proxy_of(upstream, tmp_path)

    assert await said(proxy, GREEDY) == "failed"
    upstream.status = 200

    assert await said(proxy, GREEDY) == "answer 2"
    tally = proxy.tally("ours", "train")
    assert (tally.calls, tally.failed) == (2, 1)


def test_macro_f1_is_that_of_scikit_learn():
    truth, given = list("aabbccab"), list("abbbcacb")

    assert macro_f1(truth, given, "abc", once(8))[0] == pytest.approx(f1_score(truth, given, average="macro"))


def test_the_interval_of_a_difference_to_oneself_is_nothing():
    truth, given = list("aabbccab"), list("abbbcacb")
    drawn = macro_f1(truth, given, "abc", draws(8))

    assert drawn.shape == (RESAMPLES,)
    assert interval(drawn - macro_f1(truth, given, "abc", draws(8))) == (0.0, 0.0)


def test_no_answer_is_a_wrong_answer():
    assert macro_f1(["a", "b"], ["a", ""], ["a", "b"], once(2))[0] == pytest.approx(0.5)


def test_finished_parts_stay_and_failed_ones_are_tried_again(tmp_path):
    file = tmp_path / "quality.json"
    record = Record(file, {"budget": 300}, resume=False)
    record.add(("ethos", 0, "ours"), {"predictions": ["hate"]})
    record.add(("ethos", 0, "zero-shot"), {"error": "no"})

    again = Record(file, {"budget": 300}, resume=True)

    assert again.done(("ethos", 0, "ours"))
    assert not again.done(("ethos", 0, "zero-shot"))
    assert not again.done(("ethos", 1, "ours"))


def test_a_file_that_is_there_is_not_written_over_and_not_mixed_with_other_settings(tmp_path):
    file = tmp_path / "quality.json"
    Record(file, {"budget": 300}, resume=False).add(("ethos", 0, "ours"), {"predictions": []})

    with pytest.raises(RecordError, match="--resume"):
        Record(file, {"budget": 300}, resume=False)
    with pytest.raises(RecordError, match="another --out"):
        Record(file, {"budget": 200}, resume=True)


def test_what_matters_most_is_measured_first():
    parts = command.planned(["ethos", "trec", "agnews"], 2, list(ARMS))

    assert len(set(parts)) == len(parts) == 3 * 2 * len(ARMS)
    first = parts[: parts.index(("ethos", 0, "ours, mixture"))]
    assert {part[0] for part in first} == {"ethos", "trec"}
    assert {part[1] for part in first} == {0, 1}
    assert not any(BY_NAME[part[2]].late for part in first)


def summary_of(given: dict[str, list[str]], planned: list[tuple[str, int, str]]) -> Summary:
    known = LabeledSet("pets", "Which pet?", ("cat", "dog"), [], [], [{"text": "", "label": x} for x in ("cat", "dog")])
    results = {
        ("pets", 0, arm): {"arm": arm, "predictions": found, "train": {"calls": 300}} for arm, found in given.items()
    }
    return Summary(results, [known], planned)


def test_the_table_ranks_arms_and_says_what_is_missing():
    summary = summary_of(
        {"ours": ["cat", "dog"], "majority": ["cat", "cat"]}, [("pets", 0, arm) for arm in ("ours", "DSPy GEPA")]
    )

    assert [summary.rank(arm, ["pets"]) for arm in summary.arms()] == [2.0, 1.0]
    gap, low, high, sets = summary.ahead("majority") or (0, 0, 0, 0)
    assert gap == pytest.approx(2 / 3)
    assert low <= gap <= high
    assert sets == 1
    assert summary.lacks() == ["Missing: 1 of 2 parts.", "  DSPy GEPA: pets seed 0"]


@pytest.fixture
def options(tmp_path: Path) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    command.arguments(parser)
    return parser.parse_args(["--out", str(tmp_path / "quality.json"), "--sets", "pets", "--seeds", "1"])


def test_without_the_sets_nothing_is_measured_and_one_sentence_says_so(options, monkeypatch, capsys):
    monkeypatch.delenv("LABELED_SETS", raising=False)

    command.run(options)

    assert "No labeled sets here" in capsys.readouterr().out


def test_the_baselines_need_no_model(options):
    rows = [{"text": text, "label": label} for text, label in [("it barks", "dog"), ("it purrs", "cat")] * 10]
    job = {"question": "", "labels": ["cat", "dog"], "train": rows, "validation": rows, "test": ["purrs", "barks"]}

    assert BY_NAME["TF-IDF + logistic regression"].work(job)["predictions"] == ["cat", "dog"]


def test_a_method_that_fails_says_why(tmp_path):
    with pytest.raises(JobError, match="KeyError"):
        ask(Path(sys.executable), "tests.benchmarks.quality.baselines", {"way": "nothing"})
