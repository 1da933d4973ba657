"""DSPy at the toy work: a `Predict` that labels, evaluated, and optimized by GEPA or MIPROv2, each in its light run."""

import re
from types import SimpleNamespace
from typing import Any, Literal

from tests.benchmarks import toy
from tests.benchmarks.peers.jobs import Job, Result, answer
from tests.benchmarks.speed.meter import Meter, label_of

_FIELD = re.compile(r"\[\[ ## (\w+) ## \]\]")


def work(job: Job) -> Result:
    import dspy
    import gepa  # noqa: F401 (else loaded at its first use, within what is measured)
    import optuna  # noqa: F401

    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=True)
    meter = Meter()

    class ToyLM(dspy.BaseLM):
        def forward(self, prompt: str | None = None, messages: Any = None, **_: Any) -> Any:
            asked = "\n\n".join(message["content"] for message in messages) if messages else str(prompt)
            message = SimpleNamespace(content=meter.reply(asked, reply), tool_calls=None)
            choice = SimpleNamespace(message=message, finish_reason="stop")
            return SimpleNamespace(choices=[choice], usage={}, model="toy")

    dspy.configure(lm=ToyLM("toy"))
    label = Literal[toy.LABELS]
    fields = {"text": (str, dspy.InputField()), "label": (label, dspy.OutputField())}
    program = dspy.Predict(dspy.Signature(fields, toy.QUESTION))
    if job["way"] == "label":
        evaluate = dspy.Evaluate(
            devset=_examples(job["rows"], 3), metric=_right, num_threads=job["width"], display_progress=False
        )
        return meter.measured(lambda: {"accuracy": evaluate(program).score})
    optimize = {"gepa": _gepa, "mipro": _mipro}[job["program"]]
    validation = _examples(100, 2)

    def run() -> dict[str, float]:
        made = optimize(program, _examples(100, 1), validation, job["width"])
        shown = made.predictors()[0]
        told = f"{shown.signature.instructions} {shown.demos}"
        # Read off rather than asked again, which would count as its work.
        right = [toy.answer(row.text, told) == row.label for row in validation]
        return {"score": sum(right) / len(right)}

    return meter.measured(run)


def _examples(n: int, seed: int) -> list[Any]:
    import dspy

    return [dspy.Example(**row).with_inputs("text") for row in toy.rows(n, seed)]


def _right(gold: Any, pred: Any, trace: Any = None, *_: Any) -> float:
    return float(gold.label == getattr(pred, "label", None))


def _gepa(program: Any, training: list[Any], validation: list[Any], width: int) -> Any:
    import dspy

    optimizer = dspy.GEPA(
        metric=lambda gold, pred, trace=None, name=None, part=None: dspy.Prediction(
            score=_right(gold, pred), feedback=f"The right label is {gold.label}."
        ),
        auto="light",
        reflection_lm=dspy.settings.lm,
        num_threads=width,
    )
    return optimizer.compile(program, trainset=training, valset=validation)


def _mipro(program: Any, training: list[Any], validation: list[Any], width: int) -> Any:
    import dspy

    optimizer = dspy.MIPROv2(metric=_right, auto="light", num_threads=width)
    return optimizer.compile(program, trainset=training, valset=validation)


def reply(request: str) -> str:
    """Play the labeler and every writer; a request names the fields that an answer must have."""
    _, _, asked = request.rpartition("Respond with the corresponding output fields")
    fields = [field for field in dict.fromkeys(_FIELD.findall(asked)) if field != "completed"]
    if fields == ["label"]:
        return f"[[ ## label ## ]]\n{label_of(request)}\n\n[[ ## completed ## ]]"
    if not fields:  # the reflection of GEPA
        return f"```\n{toy.rule()}\n```"
    return "\n\n".join(f"[[ ## {field} ## ]]\n{toy.rule()}" for field in fields) + "\n\n[[ ## completed ## ]]"


if __name__ == "__main__":
    answer(work)
