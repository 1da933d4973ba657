"""The end of a step: which rulebooks are kept, and whether training goes on."""

from collections.abc import Mapping, Sequence

from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.training import Training

__all__ = ["choose", "size_of", "why_stop"]


def size_of(rulebook: Rulebook) -> tuple[int, int]:
    """Return how many principles a rulebook shows and how many characters they have; ties go to the smaller."""
    shown = rulebook.enabled()
    return len(shown), sum(len(p.sentence()) for p in shown)


def choose(
    training: Training, finished: Mapping[str, tuple[Rulebook, Sequence[int]]], order: Sequence[str], n_best: int
) -> list[str]:
    """Return the ids of the best rulebooks, the best first.

    Args:
        training: The run.
        finished: Rulebooks that were scored on all validation rows, with their predictions, the parents among them.
        order: The ids from old to new: of equals the older one stays.
        n_best: How many to keep.
    """

    def rank(id: str) -> tuple[float, tuple[int, int], int]:
        rulebook, predictions = finished[id]
        return -training.score(predictions), size_of(rulebook), order.index(id)

    return sorted(finished, key=rank)[:n_best]


def why_stop(step: int, steps: int, idle: int, patience: int, wrong: int | None) -> str:
    """Return why training ends after a step; empty when it goes on."""
    if wrong == 0:
        return "no training row is labeled wrongly any more"
    if step >= steps:
        return f"all {steps} step{'s' if steps != 1 else ''} are done"
    if idle >= patience:
        return f"no gain in {patience} step{'s' if patience != 1 else ''}"
    return ""
