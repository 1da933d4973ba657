"""DSPy at the job: a `Predict` whose label is one of the task's, optimized by GEPA or MIPROv2 within the budget.

GEPA counts metric calls; what it asks to reflect comes on top, a call for each handful, so it is given a little less
than the budget. MIPROv2 has no budget; its candidates and trials are as many as fit.
"""

from typing import Any, Literal

from tests.benchmarks.peers.jobs import Job, Result, answer

_METRIC_SHARE = 0.8
_COMPARED = 40
_MIPRO: dict[str, int] = {"candidates": 4, "trials": 9, "compared": 24}


def work(job: Job) -> Result:
    """Optimize with the training address, label the test rows with the other one."""
    import dspy

    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=True)
    learning, labeling = _model(job, "train_url"), _model(job, "test_url")
    dspy.configure(lm=learning)
    program = dspy.Predict(_signature(job))
    made = (_gepa if job["way"] == "gepa" else _mipro)(job, program)
    return {"predictions": _label(job, made, labeling), "made": _shown(made)}


def _model(job: Job, url: str) -> Any:
    import dspy

    return dspy.LM(
        f"openai/{job['model']}",
        api_base=job[url], api_key="none", temperature=0.0, max_tokens=512, num_retries=1, timeout=3600,
    )  # fmt: skip


def _signature(job: Job) -> Any:
    import dspy

    label = Literal[tuple(job["labels"])]
    fields = {"text": (str, dspy.InputField()), "label": (label, dspy.OutputField())}
    return dspy.Signature(fields, job["question"])


def _examples(rows: list[dict[str, str]]) -> list[Any]:
    import dspy

    return [dspy.Example(**row).with_inputs("text") for row in rows]


def _gepa(job: Job, program: Any) -> Any:
    import dspy

    def metric(gold: Any, pred: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None) -> Any:
        right = gold.label == getattr(pred, "label", None)
        said = f"Right: the label is {gold.label}." if right else f"Wrong: the right label is {gold.label}."
        return dspy.Prediction(score=float(right), feedback=said)

    optimizer = dspy.GEPA(
        metric=metric,
        max_metric_calls=int(job["budget"] * _METRIC_SHARE),
        reflection_lm=_reflecting(job),
        num_threads=job["width"],
        seed=job["seed"],
    )
    train, compared = job["train"], job["validation"][:_COMPARED]
    return optimizer.compile(program, trainset=_examples(train), valset=_examples(compared))


def _reflecting(job: Job) -> Any:
    """The same model, sampled as the manual says."""
    return _model(job, "train_url").copy(temperature=1.0, max_tokens=1024)


def _mipro(job: Job, program: Any) -> Any:
    import dspy

    def metric(gold: Any, pred: Any, trace: Any = None) -> bool:
        return bool(gold.label == getattr(pred, "label", None))

    optimizer = dspy.MIPROv2(
        metric=metric, auto=None, num_candidates=_MIPRO["candidates"], num_threads=job["width"], seed=job["seed"]
    )
    compared = job["validation"][: _MIPRO["compared"]]
    return optimizer.compile(
        program,
        trainset=_examples(job["train"]),
        valset=_examples(compared),
        num_trials=_MIPRO["trials"],
        minibatch=False,
    )


def _label(job: Job, program: Any, llm: Any) -> list[str]:
    """Label the test rows; one whose answer cannot be read has no label."""
    import dspy

    program.set_lm(llm)
    rows = [(program, dspy.Example(text=text).with_inputs("text")) for text in job["test"]]
    run = dspy.Parallel(num_threads=job["width"], max_errors=len(rows) + 1, provide_traceback=False)
    return [str(getattr(found, "label", "") or "") for found in run(rows)]


def _shown(program: Any) -> str:
    return "\n\n".join(
        f"{predictor.signature.instructions}\n\n{len(predictor.demos)} examples" for predictor in program.predictors()
    )


if __name__ == "__main__":
    answer(work)
