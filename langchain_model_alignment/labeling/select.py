"""The end of a step: which rulebooks are kept, and whether training goes on."""

import math
from collections.abc import Mapping, Sequence

from langchain_model_alignment.labeling.evaluate import Standing, behind
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.training import Training

__all__ = ["choose", "size_of", "unproven", "why_stop"]

_PROVEN = 1.64  # standard errors by which a rulebook with a new precedent must be ahead: luck in one of twenty


def size_of(rulebook: Rulebook) -> tuple[int, int]:
    """Return how many principles and precedents a rulebook shows, and their characters; ties go to the smaller."""
    shown = [*(p.sentence() for p in rulebook.enabled()), *(p.text for p in rulebook.precedents)]
    return len(shown), sum(map(len, shown))


def choose(
    training: Training,
    finished: Mapping[str, tuple[Rulebook, Standing]],
    order: Sequence[str],
    n_best: int,
    before: str | None = None,
) -> list[str]:
    """Return the ids of the best rulebooks, the best first.

    With log probabilities the likelihood of the right labels decides among those that are no worse by the metric than
    what was best before: a metric of a few hundred rows is mostly luck.

    Args:
        training: The run.
        finished: Rulebooks that were scored on all validation rows, with what they did, the parents among them.
        order: The ids from old to new: of equals the older one stays.
        n_best: How many to keep.
        before: The id of what was best before.
    """
    scores = {id: training.score(standing.predictions) for id, (_, standing) in finished.items()}
    bar = scores[before] if before in scores else max(scores.values(), default=0.0)

    def rank(id: str) -> tuple[float, float, tuple[int, int], int]:
        rulebook, standing = finished[id]
        by_metric = -min(scores[id], bar) if standing.likelihoods else -scores[id]
        return by_metric, -math.fsum(standing.likelihoods), size_of(rulebook), order.index(id)

    return sorted(finished, key=rank)[:n_best]


def unproven(
    training: Training, finished: Mapping[str, tuple[Rulebook, Standing]], before: str | None = None
) -> set[str]:
    """Return the ids of the rulebooks with a new precedent that are ahead of the best one by no more than luck.

    A principle is a sentence that a person can judge; a precedent has nothing but the race to speak for it. Any row
    moves some answers, each costs tokens in every request, and of a few that do nothing one is always a little ahead.

    Args:
        training: The run.
        finished: Rulebooks that were scored on all validation rows, with what they did.
        before: The id of what was best before.
    """
    if before is None:
        return set()
    old, theirs = finished[before]
    return {
        id
        for id, (rulebook, ours) in finished.items()
        if rulebook.shows_more_than(old) and behind(training, ours, theirs, len(training.validation)) <= _PROVEN
    }


def why_stop(step: int, steps: int, idle: int, patience: int, wrong: int | None) -> str:
    """Return why training ends after a step; empty when it goes on."""
    if wrong == 0:
        return "no training row is labeled wrongly any more"
    if step >= steps:
        return "the one step is done" if steps == 1 else f"all {steps} steps are done"
    if idle >= patience:
        return f"no gain in {patience} step{'s' if patience != 1 else ''}"
    return ""
