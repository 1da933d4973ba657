"""What each step of a training tried, what came of it, and what it cost."""

import time

from langchain_model_alignment.labeling.records import StepRecord
from langchain_model_alignment.labeling.scorecard import interval
from langchain_model_alignment.labeling.state import LabelerState
from langchain_model_alignment.labeling.training import Training
from langchain_model_alignment.usage import Usage

__all__ = ["Ledger"]


class Ledger:
    """Counts calls, tokens and seconds from the end of one step to the end of the next.

    Args:
        training: The run, whose models count what they use.
    """

    def __init__(self, training: Training) -> None:
        self._training = training
        self._since = time.monotonic()
        self._counted = training.used()

    def close_step(self, state: LabelerState, best: str) -> tuple[StepRecord, Usage]:
        """Return the record of the step that ends, and what the whole run has used, earlier processes included.

        Args:
            state: The state as the step leaves it.
            best: The id of the rulebook that is best now.
        """
        current, parent = state["current"], state["current"]["parent"]
        tried = [
            c for id, c in state["candidates"].items() if id not in state["best"] and c["record"]["parent"] == parent
        ]
        failures = dict(current["failures"])
        for kind in (kind for c in tried for kind in c["errors"]):
            failures[kind] = failures.get(kind, 0) + 1
        predictions = state["candidates"][best]["predictions"]
        now, used = time.monotonic(), self._training.used()
        usage = Usage.model_validate(state.get("usage") or {})
        calls, tokens = used.calls - self._counted.calls, used.tokens - self._counted.tokens
        usage.add(**{name: value - getattr(self._counted, name) for name, value in used})
        record: StepRecord = {
            **current,
            "failures": failures,
            "candidates": [c["record"] for c in tried],
            "best": best,
            "score": self._training.score(predictions),
            "interval": list(interval(sum(self._training.right(predictions)), len(self._training.validation))),
            "gained": bool(state["best"]) and best != state["best"][0],
            "calls": calls,
            "tokens": tokens,
            "seconds": round(now - self._since, 3),
        }
        self._since, self._counted = now, used
        return record, usage
