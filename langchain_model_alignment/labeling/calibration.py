"""From what an answer says to the probability of each label: the bias per label, the weight per principle.

Small models lean to some labels whatever the row says; the lean is learned on a few training rows and taken off (Zhou
et al., batch calibration, 2309.17249, do so without labels; here the labels of training rows are used). A small model
tells better whether one principle is true of a row than what several mean together; where it checks each, the checks
are weighed by a ridge regression on the same rows.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_model_alignment.constitution import Value

__all__ = ["Calibration", "Signal", "fit_calibration", "owners_by_rows", "probabilities", "weighed"]

_WEIGHT = 0.3  # of the penalty that keeps the fit near "no bias"; it fades as rows grow
_FIRM = 0.5  # of the penalty that keeps every source at an equal say
_TELLING = 1.5  # how much all sources together say, in standard deviations of what they say
_STEADY = (1.0, 0.1)  # labels, or a check, that move less than this from row to row are not blown up
_FOLDS = 5


class Calibration(Value):
    """How answers become probabilities: softmax(slope × logprob − bias + weighed checks of a label's principles)."""

    bias: tuple[float, ...]
    """In the order of the task's labels."""
    slope: float = 1.0
    """Below 1 where the model is too sure of itself."""
    weights: tuple[float, ...] = ()
    """For each principle in force, where each is checked: what its log odds add to the score of its label."""
    loss: float = 0.0
    """Mean negative log likelihood of the right label, over rows that were left out of the fit in turn."""
    rows: int = 0
    of: str = ""
    """Fingerprint of the rulebook that it was learned with; with other principles it says nothing."""


@dataclass(frozen=True, slots=True)
class Signal:
    """What an answer says by its log probabilities.

    Attributes:
        logprobs: A number for each label.
        checks: For each principle in force the log odds that it is true of the row; none where none was asked for.
    """

    logprobs: tuple[float, ...]
    checks: tuple[float, ...] = ()


def probabilities(signal: Signal, calibration: Calibration | None, owners: Sequence[int] = ()) -> list[float]:
    """Return the probability of each label, with the lean taken off and the checks weighed where that was learned.

    Args:
        signal: What the answer says.
        calibration: What was learned; none takes the log probabilities as they are.
        owners: For each check the index of the label that its principle speaks for.

    Example:
        >>> [round(p, 2) for p in probabilities(Signal((-0.1, -2.4)), Calibration(bias=(2.3, 0.0)))]
        [0.5, 0.5]
    """
    slope, bias = (calibration.slope, calibration.bias) if calibration else (1.0, (0.0,) * len(signal.logprobs))
    scores = [slope * value - off for value, off in zip(signal.logprobs, bias, strict=True)]
    for owner, said in zip(owners, weighed(signal, calibration, owners), strict=True):
        scores[owner] += said
    top = max(scores)
    weights = [math.exp(score - top) for score in scores]
    return [weight / sum(weights) for weight in weights]


def weighed(signal: Signal, calibration: Calibration | None, owners: Sequence[int]) -> list[float]:
    """Return what each check adds to the score of its label; an equal share of its log odds where none was learned."""
    share = 1 / (1 + 2 * len(owners) / len(signal.logprobs))
    weights = calibration.weights if calibration and calibration.weights else (share,) * len(owners)
    return [weight * check for weight, check in zip(weights, signal.checks, strict=True)]


def owners_by_rows(
    signals: Sequence[Signal], labels: Sequence[int], owners: Sequence[int], free: Collection[int]
) -> list[int]:
    """Return for each check the label that it speaks for: of the free ones, the label whose rows it is truest of.

    A sentence that describes one row is often true of the rows of another label, more than of its own. How well a check
    tells a label's rows is measured by the area under its curve.

    Args:
        signals: For each row what the answer says.
        labels: For each row the index of its label.
        owners: For each check the index of the label that its principle was written for.
        free: The places of the checks that may change their label.

    Example:
        >>> says = [Signal((0.0, 0.0), (value,)) for value in (2.0, 1.0, -1.0, -2.0)]
        >>> owners_by_rows(says, [0, 0, 1, 1], [1], free=[0])
        [0]
    """
    import numpy as np
    from scipy.stats import rankdata

    chosen, truth = list(owners), np.asarray(labels)
    for at in free:
        ranks = rankdata([signal.checks[at] for signal in signals])
        areas = {owners[at]: 0.5}
        for label in sorted(set(labels)):
            mine = truth == label
            n = int(mine.sum())
            if n < len(truth):
                areas[label] = (float(ranks[mine].sum()) - n * (n + 1) / 2) / (n * (len(truth) - n))
        chosen[at] = max(areas, key=lambda label: (areas[label], label == owners[at]))
    return chosen


def fit_calibration(
    signals: Sequence[Signal], labels: Sequence[int], owners: Sequence[int] = (), free: Collection[int] = ()
) -> Calibration:
    """Learn bias, slope and weights from rows whose label is known: regularised maximum likelihood.

    Slope and weights are held near what they would be if every source told equally much: a few dozen rows say little
    about each of them.

    Args:
        signals: For each row what the answer says.
        labels: For each row the index of its label.
        owners: For each check the index of the label that its principle speaks for.
        free: The places of the checks whose owners were chosen by these rows.

    Returns:
        The calibration; its loss is that of rows which were left out of the fit and of the choice of owners, five times
        a fifth of them.
    """
    import numpy as np

    factors, bias = _fitted(signals, np.asarray(labels), owners)
    slope, *weights = factors.round(6).tolist()
    return Calibration(
        bias=tuple(bias.round(6).tolist()),
        slope=slope,
        weights=tuple(weights),
        loss=round(_left_out_loss(signals, labels, owners, free), 6),
        rows=len(labels),
    )


def _fitted(signals: Sequence[Signal], truth: Any, owners: Sequence[int]) -> tuple[Any, Any]:
    """The factor of each source as it comes, and the bias of each label.

    A source says something by where it moves from row to row, nothing by where it stands: a model that finds no
    principle true of any row would push every label down, which a few rows could not tell from what it knows.
    """
    import numpy as np

    sources = _sources(signals, owners)
    middle = sources.mean(axis=1, keepdims=True)
    scales = np.array([max(_spread(source), _STEADY[at > 0]) for at, source in enumerate(sources)])
    factors, bias = _fit((sources - middle) / scales[:, None, None], truth)
    factors = factors / scales
    return factors, bias + np.einsum("s,sl->l", factors, middle[:, 0])


def _sources(signals: Sequence[Signal], owners: Sequence[int]) -> Any:
    """Scores by source, row and label: the labels' own log probabilities first, then every check at its label."""
    import numpy as np

    own = np.asarray([signal.logprobs for signal in signals], dtype=float)
    sources = np.zeros((1 + len(owners), *own.shape))
    sources[0] = own - own.mean(axis=1, keepdims=True)
    for at, owner in enumerate(owners):
        sources[1 + at, :, owner] = [signal.checks[at] for signal in signals]
    return sources


def _spread(source: Any) -> float:
    """How far a source moves a label away from the others, from row to row."""
    per_label = source.std(axis=0)
    moved = per_label[per_label > 0]
    others = max(1, len(moved) - 1)
    return float(moved.mean()) * len(moved) / others if len(moved) else 0.0


def _fit(scaled: Any, truth: Any) -> tuple[Any, Any]:
    """The factor of each source and the bias of each label."""
    import numpy as np
    from scipy.optimize import minimize

    n_sources, n, n_labels = scaled.shape
    rows, prior = np.arange(n), _TELLING / (1 + 2 * (n_sources - 1) / n_labels)
    firm = np.concatenate([np.full(n_sources, _FIRM), np.full(n_labels, _WEIGHT)]) / n
    start = np.concatenate([np.full(n_sources, prior), np.zeros(n_labels)])

    def loss(parameters: Any) -> tuple[float, Any]:
        shares = _shares(scaled, parameters[:n_sources], parameters[n_sources:])
        off = parameters - start
        value = -float(np.log(shares[rows, truth] + 1e-12).mean()) + float((firm * off**2).sum())
        shares[rows, truth] -= 1
        slopes = np.concatenate([np.einsum("snl,nl->s", scaled, shares), -shares.sum(axis=0)]) / n
        return value, slopes + 2 * firm * off

    bounds = [(0, None)] * n_sources + [(-20, 20)] * n_labels
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return found[:n_sources], found[n_sources:]


def _shares(scaled: Any, factors: Any, bias: Any) -> Any:
    import numpy as np

    z = np.einsum("s,snl->nl", factors, scaled) - bias
    weights = np.exp(z - z.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def _left_out_loss(
    signals: Sequence[Signal], labels: Sequence[int], owners: Sequence[int], free: Collection[int]
) -> float:
    """Mean negative log likelihood of the right labels of rows that were not fitted on."""
    import numpy as np

    truth, n = np.asarray(labels), len(labels)
    losses = np.zeros(n)
    for first in range(min(_FOLDS, n)):
        out = list(range(first, n, min(_FOLDS, n)))
        kept = [at for at in range(n) if at not in set(out)]
        if not kept:  # one row alone
            continue
        seen = [signals[at] for at in kept]
        own = owners_by_rows(seen, truth[kept].tolist(), owners, free)
        shares = _shares(_sources([signals[at] for at in out], own), *_fitted(seen, truth[kept], own))
        losses[out] = -np.log(shares[np.arange(len(out)), truth[out]] + 1e-12)
    return float(losses.mean())
