"""A mixture at work: each row is labeled by the rulebooks of its regions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from langchain_core.runnables import RunnableConfig

from langchain_model_alignment.calls import Caller
from langchain_model_alignment.gathering import gather_from
from langchain_model_alignment.labeling.classifier import Classifier, Labeled, Prediction, check_some_taken
from langchain_model_alignment.labeling.experts.mixture import Mixture, Route
from langchain_model_alignment.labeling.task import Row

__all__ = ["ExpertPrediction", "Voted", "label_by_routes", "prediction_of"]


class ExpertPrediction(Prediction):
    """What a mixture says of one row."""

    experts: list[str]
    """The rulebooks that labeled it; `general` is the one for the rest.

    The first is the one whose answer, request and principles are told, the others follow from near to far.
    """


@dataclass(frozen=True, slots=True)
class Voted:
    """What a mixture found for one row.

    Attributes:
        labeled: What the rulebooks said together.
        experts: Who they were; the one whose answer, request and principles are told comes first.
        request: What that one was asked.
    """

    labeled: Labeled
    experts: tuple[str, ...]
    request: str


async def label_by_routes(
    mixture: Mixture,
    caller: Caller,
    rows: Sequence[Row],
    routes: Sequence[Route],
    config: RunnableConfig | None = None,
    *,
    explain: bool = False,
    threshold: float | None = None,
) -> list[Voted]:
    """Label rows, each by the rulebooks on its route; the calls for one rulebook run together.

    Raises:
        AlignmentError: The key is wrong, the budget is spent, or the model refused every single request as it stands.
    """
    classifiers = {
        name: Classifier(caller, rulebook, explain=explain, threshold=threshold)
        for name, rulebook in mixture.rulebooks.items()
        if any(name == voter for route in routes for voter, _ in route)
    }
    asked = [
        (name, at) for name in classifiers for at, route in enumerate(routes) for voter, _ in route if voter == name
    ]
    found = await gather_from(
        asked, lambda pair: classifiers[pair[0]].label(rows[pair[1]].text, config), caller.gate.max_concurrency
    )
    check_some_taken(found)
    said = {(at, name): labeled for (name, at), labeled in zip(asked, found, strict=True)}
    voted = []
    for at, (row, route) in enumerate(zip(rows, routes, strict=True)):
        votes = [(name, said[at, name], weight) for name, weight in route]
        limit = classifiers[route[0][0]].threshold
        first, labeled = _together(classifiers, votes, limit)
        names = (first, *(name for name, _ in route if name != first))
        voted.append(Voted(labeled, names, classifiers[first].request(row.text)))
    return voted


def prediction_of(mixture: Mixture, voted: Voted) -> ExpertPrediction:
    """Return what was found as a public prediction."""
    labeled = voted.labeled
    return {
        "prediction": "" if labeled.label is None else mixture.task.label_values[labeled.label],
        "raw_prediction": labeled.raw,
        "request": voted.request,
        "confidence": labeled.confidence,
        "principle_ids": list(labeled.principle_ids),
        "error": labeled.error,
        "experts": list(voted.experts),
    }


def _together(
    classifiers: Mapping[str, Classifier], votes: Sequence[tuple[str, Labeled, float]], limit: float | None
) -> tuple[str, Labeled]:
    """Put votes together, and tell whose answer stands for them.

    Probabilities are averaged where all have them; else the labels read are counted, and of equals the nearest one's
    wins. Who failed or abstained has no vote.
    """
    cast = [vote for vote in votes if vote[1].error is None or vote[1].label is not None] or list(votes[:1])
    shares = [classifiers[name].shares(labeled) for name, labeled, _ in cast]
    told = [share for share in shares if share is not None]
    if len(cast) > 1 and len(told) == len(cast):
        return _averaged(cast, told, limit)
    said = [vote for vote in cast if vote[1].label is not None]
    weights: dict[int | None, float] = {}
    for _, labeled, weight in said:
        weights[labeled.label] = weights.get(labeled.label, 0.0) + weight
    best = max(weights, key=lambda label: weights[label], default=None)
    return next((name, labeled) for name, labeled, _ in cast if labeled.label == best)


def _averaged(
    cast: Sequence[tuple[str, Labeled, float]], shares: Sequence[Sequence[float]], limit: float | None
) -> tuple[str, Labeled]:
    weights = [weight for *_, weight in cast]
    if not any(weights):
        weights = [1.0] * len(weights)
    total = sum(weights)
    mean = [sum(w * s[i] for w, s in zip(weights, shares, strict=True)) / total for i in range(len(shares[0]))]
    best = max(range(len(mean)), key=mean.__getitem__)
    name, labeled, _ = next((vote for vote in cast if vote[1].label == best), cast[0])
    sure = limit is None or mean[best] >= limit
    return name, replace(labeled, label=best if sure else None, confidence=mean[best])
