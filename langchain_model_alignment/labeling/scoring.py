"""Labels from log probabilities: which token speaks for which label, and the bias per label.

A model that is asked for one token tells how likely each label is, in one short call. Small models lean to some labels
whatever the row says; the lean is learned on a few training rows and taken off (Zhou et al., batch calibration,
2309.17249, do so without labels; here the labels of training rows are used).
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage

from langchain_model_alignment.constitution import Value

__all__ = ["MOST_LABELS", "Calibration", "codes_for", "fit_calibration", "label_logprobs", "probabilities"]

MOST_LABELS = 20  # as many alternatives as an OpenAI-compatible server tells about one token
_FLOOR = 0.5  # a label that is not among the alternatives gets this share of the least likely one
_COMMON = 4  # labels that share so many first letters may share their first token
_WEIGHT = 0.8  # of the penalty that keeps the fit near "no bias"; it fades as rows grow
_PIECE = re.compile(r"\d|[^\W\d_]+|\W")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Calibration(Value):
    """How far a model's lean to some labels is taken off: probabilities are softmax(slope × logprob − bias)."""

    bias: tuple[float, ...]
    """In the order of the task's labels."""
    slope: float = 1.0
    """Below 1 where the model is too sure of itself."""
    loss: float = 0.0
    """Mean negative log likelihood of the right label over the rows that it was fitted on, without the penalty."""
    rows: int = 0


def codes_for(labels: Sequence[str]) -> tuple[str, ...] | None:
    """Return one-letter codes to answer with where the labels' first tokens could collide, else None.

    Example:
        >>> codes_for(["hate", "not_hate"]), codes_for(["1", "10"]), codes_for(["not sure", "not hate"])
        (None, ('A', 'B'), ('A', 'B'))
    """
    firsts = [_first_piece(label) for label in labels]
    folded = [label.casefold() for label in labels]
    for at, label in enumerate(folded):
        for other in range(at):
            same = len(_common(label, folded[other]))
            if firsts[at] == firsts[other] or same >= _COMMON or same == min(len(label), len(folded[other])):
                return tuple("ABCDEFGHIJKLMNOPQRST"[: len(labels)])
    return None


def label_logprobs(message: AIMessage, names: Sequence[str]) -> list[float] | None:
    """Return the log probability of each label by the alternatives of an answer's first token.

    Args:
        message: An answer with log probabilities, as OpenAI-compatible servers give them.
        names: What the model was asked to answer with: the labels, or their codes.

    Returns:
        A number for each label; None where no alternative speaks for any label.
    """
    content = (message.response_metadata.get("logprobs") or {}).get("content") or []
    top: list[Mapping[str, Any]] = (content[0].get("top_logprobs") or []) if content else []
    folded = [name.casefold() for name in names]
    mass = [0.0] * len(folded)
    for token in top:
        piece = str(token["token"]).strip().casefold()
        speaks = [i for i, name in enumerate(folded) if piece and (name.startswith(piece) or _continues(piece, name))]
        for index in speaks:
            mass[index] += math.exp(token["logprob"]) / len(speaks)
    if not any(mass):
        return None
    floor = _FLOOR * math.exp(min(token["logprob"] for token in top))
    return [math.log(max(share, floor, 1e-30)) for share in mass]


def probabilities(logprobs: Sequence[float], calibration: Calibration | None) -> list[float]:
    """Return the probability of each label, with the lean taken off where it was learned.

    Example:
        >>> [round(p, 2) for p in probabilities([-0.1, -2.4], Calibration(bias=(2.3, 0.0)))]
        [0.5, 0.5]
    """
    slope, bias = (calibration.slope, calibration.bias) if calibration else (1.0, (0.0,) * len(logprobs))
    scores = [slope * value - off for value, off in zip(logprobs, bias, strict=True)]
    top = max(scores)
    weights = [math.exp(score - top) for score in scores]
    return [weight / sum(weights) for weight in weights]


def fit_calibration(logprobs: Sequence[Sequence[float]], labels: Sequence[int]) -> Calibration:
    """Learn the bias and the slope from rows whose label is known: regularised maximum likelihood.

    Args:
        logprobs: For each row a number for each label.
        labels: For each row the index of its label.

    Returns:
        The calibration.
    """
    import numpy as np
    from scipy.optimize import minimize

    scores, truth = np.asarray(logprobs, dtype=float), np.asarray(labels)
    rows, weight = np.arange(len(truth)), _WEIGHT / len(truth)

    def loss(parameters: Any) -> tuple[float, float, Any]:
        slope = math.exp(parameters[0])
        z = slope * scores - parameters[1:]
        z -= z.max(axis=1, keepdims=True)
        weights = np.exp(z)
        shares = weights / weights.sum(axis=1, keepdims=True)
        fit = -float(np.log(shares[rows, truth] + 1e-12).mean())
        error = shares.copy()
        error[rows, truth] -= 1
        gradient = np.concatenate([[(error * scores).sum() * slope], -error.sum(axis=0)]) / len(truth)
        return fit + weight * float((parameters**2).sum()), fit, gradient + 2 * weight * parameters

    start = np.zeros(scores.shape[1] + 1)
    found = minimize(
        lambda p: loss(p)[::2], start, jac=True, method="L-BFGS-B", bounds=[(-3, 3), *[(-20, 20)] * (len(start) - 1)]
    )
    return Calibration(
        bias=tuple(round(float(value), 6) for value in found.x[1:]),
        slope=round(math.exp(float(found.x[0])), 6),
        loss=round(loss(found.x)[1], 6),
        rows=len(truth),
    )


def _first_piece(label: str) -> str:
    match = _PIECE.search(_HUMP.sub(" ", label))
    return match[0].casefold() if match else ""


def _common(a: str, b: str) -> str:
    at = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return a[:at]


def _continues(piece: str, name: str) -> bool:
    """Whether a token is the whole label and more, such as "yes," for yes."""
    return piece.startswith(name) and not piece[len(name) :][:1].isalnum()
