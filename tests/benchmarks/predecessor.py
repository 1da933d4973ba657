"""model-alignment 0.3 on the same toy work: in an environment of its own, where this very file is run."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks import toy
from tests.benchmarks.measure import Row

NAME = "model-alignment==0.3"
_ROOT = Path(__file__).parents[2]


def not_asked_for() -> list[Row]:
    """Say that the predecessor was left out."""
    return [Row(what="the predecessor on the same work", bare="", ours="", result="not installed (--predecessor)")]


def measure(seconds: float, calls: int, labeling: float) -> list[Row]:
    """Install the predecessor where it is not yet, and let it do the toy work.

    Args:
        seconds: What our step of training took.
        calls: How many calls that was.
        labeling: Seconds that we labeled 100 rows in.
    """
    from tests.benchmarks.peers.environments import MODEL_ALIGNMENT  # not where the predecessor runs

    try:
        MODEL_ALIGNMENT.install()
    except (OSError, subprocess.CalledProcessError) as error:
        return [Row(what=f"{NAME} on the same work", bare="", ours="", result=f"not installed: {error}")]
    paths = (MODEL_ALIGNMENT.variables["PYTHONPATH"], str(_ROOT))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        [str(MODEL_ALIGNMENT.python), "-m", "tests.benchmarks.predecessor"],
        cwd=_ROOT, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{NAME} did not run:\n{done.stderr[-2_000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    name = f"{NAME} (empty modules for google-genai and keras-nlp)"
    return [
        _against(f"{name}: label 100 rows", found["label_seconds"], labeling),
        _against(f"{name}: a step of training", found["step_seconds"], seconds),
        Row(
            what=f"{name}: calls of that step",
            bare=str(found["step_calls"]),
            ours=str(calls),
            result=f"{found['step_calls'] / calls:.1f} × fewer",
            value=found["step_calls"] / calls,
        ),
    ]


def _against(what: str, theirs: float, ours: float) -> Row:
    return Row(
        what=what,
        bare=f"{theirs:.1f} s",
        ours=f"{ours:.2f} s",
        result=f"{theirs / ours:.0f} × faster",
        value=theirs / ours,
    )


# -- in the environment of the predecessor -----------------------------------------------------------------------


def _work() -> dict[str, float]:
    """Label 100 rows, and take a step of training by defaults."""
    import pandas as pd  # type: ignore[import-untyped,unused-ignore]
    from model_alignment import labeler, model_helper  # type: ignore[import-not-found]

    class Helper(model_helper.ModelHelper):  # type: ignore[misc,name-defined]
        calls = 0

        def predict(self, prompt: str, *_: object, **__: object) -> str:
            self.calls += 1
            time.sleep(toy.LATENCY)
            return _reply(prompt)

    helper = Helper()
    maker = labeler.Labeler(["text"], "label", list(toy.LABELS), toy.QUESTION, helper, helper)
    training, validation = pd.DataFrame(toy.rows(100, 1)), pd.DataFrame(toy.rows(100, 2))
    begun = maker.initialize_checkpoint(training)
    start = time.perf_counter()
    maker.infer_checkpoint(begun, pd.DataFrame(toy.rows(100, 3)))
    labeled = time.perf_counter()
    before = helper.calls
    maker.train_step(begun, training, validation)
    return {
        "label_seconds": labeled - start,
        "step_seconds": time.perf_counter() - labeled,
        "step_calls": helper.calls - before,
    }


def _reply(prompt: str) -> str:
    """Play the labeler and the proposer; of the edits on offer the first one is taken."""
    row = re.match(r"Consider the following example:\n<text>(.*?)</text>", prompt)
    if row is not None:
        return toy.answer(row[1], prompt)
    if "Respond with the number" in prompt:
        offered = re.findall(r"^(\d+): (?:Add|Edit|Delete) ", prompt, re.MULTILINE)
        return offered[0] if offered else "1"
    return toy.rule() if "rule" in prompt else toy.rule().replace(toy.MARK, "for sure")


if __name__ == "__main__":
    found = _work()
    sys.stdout.write(f"\n{json.dumps(found)}\n")
