"""model-alignment 0.3 on the same toy work, installed into an environment of its own; `speed` compares everyone."""

import subprocess

from tests.benchmarks.measure import Row
from tests.benchmarks.peers.environments import MODEL_ALIGNMENT
from tests.benchmarks.peers.jobs import ask

NAME = "model-alignment 0.3 (empty modules for google-genai and keras-nlp)"


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
    try:
        MODEL_ALIGNMENT.install()
    except (OSError, subprocess.CalledProcessError) as error:
        return [Row(what=f"{NAME}: the same work", bare="", ours="", result=f"not installed: {error}")]
    labeled, step = (
        ask(MODEL_ALIGNMENT.python, "tests.benchmarks.speed.alignment", job, MODEL_ALIGNMENT.variables)
        for job in ({"way": "label", "rows": 100}, {"way": "step"})
    )
    return [
        _against(f"{NAME}: label 100 rows", labeled["seconds"], labeling),
        _against(f"{NAME}: a step of training", step["seconds"], seconds),
        Row(
            what=f"{NAME}: calls of that step",
            bare=str(step["calls"]),
            ours=str(calls),
            result=f"{step['calls'] / calls:.1f} × fewer",
            value=step["calls"] / calls,
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
