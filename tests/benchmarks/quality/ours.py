"""This library at the job: zero-shot, a trained rulebook, a mixture, and training with a part of it turned off."""

from types import SimpleNamespace
from typing import Any

from langchain_model_alignment import Budget, Labeler, MixtureOfExperts
from langchain_model_alignment.local.chat import make_chat_model
from langchain_model_alignment.loop import run_sync
from tests.benchmarks.peers.jobs import Job, Result, answer

STEPS = 5
ABLATIONS: dict[str, dict[str, Any]] = {"no racing": {"evaluation": "full"}, "no evidence": {"n_evidence_examples": 0}}


def work(job: Job) -> Result:
    """Learn with the training address, label the test rows with the other one."""
    way = job["way"]
    if way == "zero-shot":
        maker = _maker(job, "test_url")
        return _labeled(maker, maker.rulebook({}), job)
    if way == "zero-shot calibrated":
        # The bias on as many rows as by default; the layout is chosen on the same ones.
        training = _maker(job, "train_url").prepare(job["train"], job["validation"])
        return _labeled(_maker(job, "test_url"), run_sync(training.begin(None)), job)
    kind: Any = MixtureOfExperts if way == "mixture" else Labeler
    maker = _maker(job, "train_url", kind, budget=Budget(max_calls=job["budget"]), **ABLATIONS.get(way, {}))
    result = maker.train(job["train"], job["validation"], steps=STEPS)
    found = _labeled(_maker(job, "test_url", kind), result.rulebook, job)
    return {**found, "notes": {"stopped": result.stopped_because, "steps": len(result.history) - 1}}


def _maker(job: Job, url: str, kind: Any = Labeler, budget: Budget | None = None, **settings: Any) -> Any:
    # Without log probabilities there is no bias to learn, and no checklist: labels are read as text.
    more = {"logprobs": False} if job["way"] == "no calibration" else {}
    # As `local_chat_model` makes it, at another address.
    server: Any = SimpleNamespace(base_url=job[url], api_key="none", weights=None)
    llm = make_chat_model(job["model"], server, {"temperature": 0.0, "max_tokens": 512, **more})
    return kind(
        ["text"],
        "label",
        job["labels"],
        job["question"],
        llm,
        hparams={"seed": job["seed"], **settings},
        max_concurrency=job["width"],
        budget=budget,
    )


def _labeled(maker: Any, made: Any, job: Job) -> Result:
    found = maker.infer_checkpoint(made, [{"text": text} for text in job["test"]])
    return {"predictions": [prediction["prediction"] for prediction in found], "made": made.as_text()}


if __name__ == "__main__":
    answer(work)
