"""Macro-F1 and accuracy, and how far chance alone would move them: paired bootstrap over the test rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np

RESAMPLES = 2_000


def draws(n: int, seed: int = 0) -> Any:
    """Return how often each of `n` rows is drawn, a line for each resample; the same for every method."""
    chance = np.random.default_rng(seed)
    return chance.multinomial(n, np.full(n, 1 / n), size=RESAMPLES)


def once(n: int) -> Any:
    """Return every row drawn once: the score itself."""
    return np.ones((1, n), dtype=int)


def macro_f1(truth: Sequence[str], given: Sequence[str], labels: Sequence[str], drawn: Any) -> Any:
    """Return the mean F1 over labels, for each line of `drawn`; an answer that is no label is wrong.

    A label that is neither there nor given does not count.

    Example:
        >>> float(macro_f1(["a", "b"], ["a", "a"], ["a", "b"], once(2))[0].round(3))
        0.333
    """
    real, said = np.asarray(truth), np.asarray(given)
    scores = []
    for label in labels:
        hit, there, told = (drawn @ mask for mask in ((real == label) & (said == label), real == label, said == label))
        total = there + told
        scores.append(np.where(total > 0, 2 * hit / np.maximum(total, 1), np.nan))
    return np.nanmean(np.stack(scores), axis=0)


def accuracy(truth: Sequence[str], given: Sequence[str], drawn: Any) -> Any:
    """Return the share that is right, for each line of `drawn`."""
    return drawn @ (np.asarray(truth) == np.asarray(given)) / len(truth)


def interval(values: Any) -> tuple[float, float]:
    """Return where 95% of the values lie."""
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
