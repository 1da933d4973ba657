"""The second half of a step: candidates are sorted on training rows, then raced over validation blocks."""

import math
from collections.abc import Sequence
from typing import NotRequired

from langchain_core.runnables import RunnableConfig
from typing_extensions import NamedTuple, TypedDict

from langchain_model_alignment.labeling.calibration import probabilities
from langchain_model_alignment.labeling.classifier import Labeled
from langchain_model_alignment.labeling.proposers import Mined
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.task import Row
from langchain_model_alignment.labeling.training import Training

__all__ = [
    "Screening",
    "Standing",
    "behind",
    "likelihoods",
    "next_end",
    "screen",
    "screening_of",
    "still_racing",
    "validate",
]

_APART = 1.0  # standard errors behind the leader at which a candidate leaves
_SURPRISE = 1e-4  # the least probability of a right label that counts: one row must not decide a race


class Standing(NamedTuple):
    """What a rulebook did on the first validation rows."""

    predictions: Sequence[int]
    likelihoods: Sequence[float]
    """Log likelihood of the right labels; none where labels are read as text."""


class Screening(TypedDict):
    """The training rows that a step's candidates are sorted by."""

    wrong: list[str]
    """Ids of rows that the parent labels wrongly."""
    right: list[str]
    """Ids of rows that it labels rightly."""
    share: float
    """How many of the parent's answers on training rows are wrong."""
    given: NotRequired[list[int]]
    """What the parent answered for the wrong ones: label indices, -1 for an abstention."""


def screening_of(training: Training, mined: Mined) -> Screening:
    """Return the rows that candidates are sorted by: mistakes first, for most candidates mend none."""
    n = training.hparams.n_screening_examples
    met = mined.wrong[: max(n - len(mined.right), n - n // 3)]
    wrong = [row.id for row, _ in met]
    right = [row.id for row, _ in mined.right[: n - len(wrong)]]
    seen = len(mined.wrong) + len(mined.right)
    given = [-1 if found.label is None else found.label for _, found in met]
    return {"wrong": wrong, "right": right, "share": len(mined.wrong) / seen if seen else 0.0, "given": given}


async def screen(
    training: Training,
    parent: Rulebook,
    candidate: Rulebook,
    wrong: Sequence[Row],
    right: Sequence[Row],
    share: float,
    config: RunnableConfig | None,
) -> tuple[Rulebook, float]:
    """Compare a candidate with its parent on training rows.

    With log probabilities the bias is learned on the calibration rows, and the likelihood of the right labels under it
    is compared: it tells small differences apart that the share of right rows does not. With labels read as text, the
    share of mistakes mended is set against the share of right rows spoilt; that a candidate mends the mistake it was
    made from says nothing, and one that mends no other is not asked for the rest. A row that the candidate shows with
    its label is not asked at all.

    Returns:
        The candidate, calibrated, and its gain.
    """
    if candidate.scoring != "text" and training.calibration:
        candidate = await training.calibrate(candidate, config)
        losses = [r.calibration.loss if r.calibration else 0.0 for r in (parent, candidate)]
        return candidate, losses[0] - losses[1]
    wrong, right = ([row for row in rows if not candidate.shows(row.text)] for rows in (wrong, right))
    own = 0 if candidate.shows_more_than(parent) else 1  # a precedent's own mistake has been left out already
    mended = await _count_right(training, candidate, wrong, config)
    gain = share * (mended - own) / max(1, len(wrong) - own)
    if mended <= own or not right:
        return candidate, gain
    spoilt = len(right) - await _count_right(training, candidate, right, config)
    return candidate, gain - (1 - share) * spoilt / len(right)


async def _count_right(
    training: Training, rulebook: Rulebook, rows: Sequence[Row], config: RunnableConfig | None
) -> int:
    if not rows:
        return 0
    found, _ = await training.label(rulebook, rows, config)
    return sum(f.label == row.label for f, row in zip(found, rows, strict=True))


async def validate(
    training: Training, rulebook: Rulebook, start: int, end: int, config: RunnableConfig | None
) -> tuple[Rulebook, list[Labeled]]:
    """Label the validation rows from `start` to `end`, after the bias is learned where it was not yet."""
    rulebook = await training.calibrate(rulebook, config)
    found, _ = await training.label(rulebook, training.validation[start:end], config)
    return rulebook, found


def likelihoods(training: Training, rulebook: Rulebook, found: Sequence[Labeled], start: int) -> list[float]:
    """Return the log likelihood of the right label of validation rows, from the row `start` on; none for text."""
    if rulebook.scoring == "text":
        return []
    even = 1 / len(training.task.labels)  # of a row that failed, nothing is known
    values, fitted, owners = [], rulebook.fitted, rulebook.owners()
    for row, labeled in zip(training.validation[start:], found, strict=False):
        shares = probabilities(labeled.signal, fitted, owners) if labeled.signal else None
        share = even if shares is None or row.label is None else shares[row.label]
        values.append(round(math.log(max(share, _SURPRISE)), 4))
    return values


def next_end(training: Training, done: int) -> int:
    """Return where the next block of validation rows ends."""
    if training.hparams.evaluation == "full":
        return len(training.validation)
    return next(end for end in training.block_ends if end > done)


def still_racing(
    training: Training,
    parent: Standing,
    candidates: dict[str, Standing],
    sizes: dict[str, tuple[int, int]],
    hopeful: dict[str, bool],
) -> dict[str, str]:
    """Decide who leaves a race after a block.

    Args:
        training: The run.
        parent: What the parent did on all validation rows.
        candidates: What each candidate did on the rows so far, as many for each.
        sizes: Each candidate's number of principles and precedents, and of their characters.
        hopeful: Whether each gained on training rows; then it may be a little behind after the first block.

    Returns:
        For each candidate that leaves, why. One leaves that is not ahead of the parent, that ties with the leader and
        is longer, or that is behind the leader by more than a standard error of the paired difference. With log
        probabilities the likelihoods are compared instead of the right answers: on the same rows they tell differences
        apart that are several times smaller.
    """
    if training.hparams.evaluation == "full":
        return {}
    n = min((len(standing.predictions) for standing in candidates.values()), default=0)
    scores = {id: _score(training, standing, n) for id, standing in candidates.items()}
    base = _score(training, parent, n)
    # What gained on training rows is not given up for a row of bad luck; after the second block that is no excuse.
    early = n <= training.block_ends[0] and n < len(training.validation)
    left = {
        id: f"not ahead of its parent after {n} rows"
        for id, score in scores.items()
        if score <= base and not (early and hopeful[id] and behind(training, parent, candidates[id], n) <= _APART)
    }
    racing = [id for id in candidates if id not in left]
    if not racing:
        return left
    leader = min(racing, key=lambda id: (-scores[id], sizes[id], id))
    for id in racing:
        if id == leader:
            continue
        if candidates[leader] == candidates[id]:
            left[id] = f"the same answers as a shorter one after {n} rows"
        elif behind(training, candidates[leader], candidates[id], n) > _APART or (
            scores[id] == scores[leader] and sizes[id] >= sizes[leader]
        ):
            left[id] = f"behind the leader after {n} rows"
    return left


def _score(training: Training, standing: Standing, n: int) -> float:
    if standing.likelihoods:
        return math.fsum(standing.likelihoods[:n]) / max(1, n)
    return training.score(standing.predictions[:n])


def behind(training: Training, leader: Standing, other: Standing, n: int) -> float:
    """Return how many standard errors another is behind a leader on the first `n` rows; 0 where they are equal.

    Of right and wrong answers that is McNemar's statistic; of likelihoods, the paired t statistic.
    """
    if leader.likelihoods and other.likelihoods:
        gaps = [a - b for a, b in zip(leader.likelihoods[:n], other.likelihoods[:n], strict=True)]
    else:
        pairs = zip(training.right(leader.predictions[:n]), training.right(other.predictions[:n]), strict=True)
        gaps = [float(a) - float(b) for a, b in pairs]
    spread = math.sqrt(math.fsum(gap * gap for gap in gaps))
    return math.fsum(gaps) / spread if spread else 0.0
