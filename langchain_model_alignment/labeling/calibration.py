"""From what an answer says to the probability of each label: the bias per label, the weight per principle.

Small models lean to some labels whatever the row says; the lean is learned on a few training rows and taken off (Zhou
et al., batch calibration, 2309.17249, do so without labels; here the labels of training rows are used). A small model
tells better whether one principle is true of a row than what several mean together; where it checks each, the checks
are weighed by a ridge regression on the same rows. Of three labels and more, what is said of one tells of another too
(Kull et al., Dirichlet calibration, 1910.12656, section 3: a matrix, held near a multiple of the identity).
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_model_alignment.constitution import Value

__all__ = ["FEW_LABELS", "Calibration", "Signal", "fit_calibration", "owners_by_rows", "probabilities", "weighed"]

_WEIGHT = 0.3  # of the penalty that keeps the fit near "an average row tells nothing"; it fades as rows grow
_FIRM = 0.5  # of the penalty that keeps every source at an equal say
_APART = 1.0  # of the penalty that keeps a label's log probability from speaking of the other labels
_TELLING = 1.5  # how much all sources together say, in standard deviations of what they say
_STEADY = (1.0, 0.1)  # labels, or a check, that move less than this from row to row are not blown up
_FOLDS = 5
FEW_LABELS = 2
"""Of so many labels one score is the other with its sign turned."""


class Calibration(Value):
    """How answers become probabilities: softmax(slope × logprob + logprobs · cross − bias + weighed checks)."""

    bias: tuple[float, ...]
    """In the order of the task's labels."""
    slope: float = 1.0
    """Below 1 where the model is too sure of itself."""
    cross: tuple[tuple[float, ...], ...] = ()
    """For each label what its log probability adds to the score of each; none for two, where the slope tells it."""
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
    if calibration and calibration.cross:
        for value, adds in zip(signal.logprobs, calibration.cross, strict=True):
            scores = [score + value * add for score, add in zip(scores, adds, strict=True)]
    for owner, said in zip(owners, weighed(signal, calibration, owners), strict=True):
        scores[owner] += said
    top = max(scores)
    weights = [math.exp(score - top) for score in scores]
    total = sum(weights)
    return [weight / total for weight in weights]


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

    fit = _fitted(signals, np.asarray(labels), owners)
    slope, *weights = fit.factors.round(6).tolist()
    return Calibration(
        bias=tuple(fit.bias.round(6).tolist()),
        slope=slope,
        cross=tuple(map(tuple, fit.cross.round(6).tolist())) if len(fit.bias) > FEW_LABELS else (),
        weights=tuple(weights),
        loss=round(_left_out_loss(signals, labels, owners, free), 6),
        rows=len(labels),
    )


@dataclass(frozen=True, slots=True)
class _Fit:
    """The factor of each source, the bias of each label, and what each label's own score adds to the others'."""

    factors: Any
    bias: Any
    cross: Any

    def shares(self, sources: Any) -> Any:
        """The probability of each label, by row."""
        import numpy as np

        z = np.einsum("s,snl->nl", self.factors, sources) + sources[0] @ self.cross - self.bias
        weights = np.exp(z - z.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)


def _fitted(signals: Sequence[Signal], truth: Any, owners: Sequence[int]) -> _Fit:
    """The fit to the sources as they come.

    A source says something by where it moves from row to row, nothing by where it stands: a model that finds no
    principle true of any row would push every label down, which a few rows could not tell from what it knows.
    """
    import numpy as np

    sources = _sources(signals, owners)
    middle = sources.mean(axis=1, keepdims=True)
    scales = np.array([max(_spread(source), _STEADY[at > 0]) for at, source in enumerate(sources)])
    fit = _fit((sources - middle) / scales[:, None, None], truth)
    factors = fit.factors / scales
    # A row's own scores add up to 0 as `_sources` makes them; so that it need not be made so, each column does.
    cross = (fit.cross - fit.cross.mean(axis=0)) / scales[0]
    return _Fit(factors, fit.bias + np.einsum("s,sl->l", factors, middle[:, 0]) + middle[0, 0] @ cross, cross)


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


def _fit(scaled: Any, truth: Any) -> _Fit:
    """The fit to sources of equal spread: L-BFGS on the penalised likelihood."""
    import numpy as np
    from scipy.optimize import minimize

    n_sources, n, n_labels = scaled.shape
    rows, prior = np.arange(n), _TELLING / (1 + 2 * (n_sources - 1) / n_labels)
    sizes = (n_sources, n_labels, n_labels**2)
    firm = np.repeat((_FIRM, _WEIGHT, _APART), sizes) / n
    start = np.repeat((prior, 0, 0), sizes)

    def fit_of(parameters: Any) -> _Fit:
        factors, bias, cross = np.split(parameters, np.cumsum(sizes)[:2])
        return _Fit(factors, bias, cross.reshape(n_labels, n_labels))

    def loss(parameters: Any) -> tuple[float, Any]:
        shares, off = fit_of(parameters).shares(scaled), parameters - start
        value = -float(np.log(shares[rows, truth] + 1e-12).mean()) + float((firm * off**2).sum())
        shares[rows, truth] -= 1
        by_factor, by_cross = np.einsum("snl,nl->s", scaled, shares), scaled[0].T @ shares
        slopes = np.concatenate([by_factor, -shares.sum(axis=0), by_cross.ravel()]) / n
        return value, slopes + 2 * firm * off

    apart = 0 if n_labels <= FEW_LABELS else 20
    bounds = [(0, None)] * n_sources + [(-20, 20)] * n_labels + [(-apart, apart)] * n_labels**2
    return fit_of(minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x)


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
        shares = _fitted(seen, truth[kept], own).shares(_sources([signals[at] for at in out], own))
        losses[out] = -np.log(shares[np.arange(len(out)), truth[out]] + 1e-12)
    return float(losses.mean())
