"""From the state that a training run ended with to the result that a person keeps."""

from collections.abc import Iterable, Sequence

from langchain_model_alignment.labeling.records import Mistake, TrainingResult
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.scorecard import Scorecard, make_scorecard
from langchain_model_alignment.labeling.state import CandidateState, LabelerState
from langchain_model_alignment.labeling.task import Row
from langchain_model_alignment.labeling.training import Training
from langchain_model_alignment.usage import Usage

__all__ = ["mistakes_met", "mistakes_of", "result_of"]

_MOST_MISTAKES = 50


def result_of(training: Training, state: LabelerState) -> TrainingResult:
    """Return what a run left behind, from the state that its graph ended with."""
    candidates = state["candidates"]
    best = candidates[state["best"][0]]
    by_origin = {c["record"]["origin"]: c for c in candidates.values()}
    zero = by_origin.get("zero-shot")
    if zero and len(zero["predictions"]) < len(training.validation):  # a budget may end before it is scored
        zero = None
    hparams = training.hparams.model_dump(exclude={"score_fn"})
    return TrainingResult(
        rulebook=Rulebook.model_validate(best["rulebook"]),
        initial=Rulebook.model_validate(by_origin["initial"]["rulebook"]),
        history=tuple(state["history"]),
        usage=Usage.model_validate(state["usage"]),
        stopped_because=state["stopped"],
        scorecard=_scorecard(training, best),
        zero_shot=_scorecard(training, zero) if zero else None,
        mistakes=mistakes_of(training, best["predictions"], best["confidences"]),
        about={
            "train_model": training.writer.name,
            "eval_model": training.caller.name,
            "data": training.fingerprint,
            "task": training.task.fingerprint(),
            "training_rows": len(training.training),
            **({"corrected_rows": training.corrected} if training.corrected else {}),
            "calibration_rows": len(training.calibration),
            "validation_rows": len(training.validation),
            "metric": training.metric_name,
            "hyperparameters": hparams,
        },
    )


def _scorecard(training: Training, candidate: CandidateState) -> Scorecard:
    true = [row.label for row in training.validation if row.label is not None]
    return make_scorecard(training.task, true, candidate["predictions"], len(candidate["errors"]))


def mistakes_of(
    training: Training, predictions: Sequence[int], confidences: Sequence[float | None]
) -> tuple[Mistake, ...]:
    """Return the validation rows that are labeled wrongly, the surest first.

    Args:
        training: The run.
        predictions: On all validation rows: label indices, -1 for an abstention.
        confidences: As many, from 0 to 1.
    """
    labels = training.task.labels
    wrong: list[Mistake] = [
        {
            "row": row.text,
            "label": labels[row.label or 0],
            "prediction": labels[given] if given >= 0 else "",
            "confidence": sure,
        }
        for row, given, sure in zip(training.validation, predictions, confidences, strict=True)
        if row.label != given
    ]
    return tuple(sorted(wrong, key=lambda m: -(m["confidence"] or 0.0))[:_MOST_MISTAKES])


def mistakes_met(state: LabelerState, rows: Iterable[Row]) -> list[tuple[Row, int]]:
    """Return the training rows that the last step found labeled wrongly, each with what was answered.

    Args:
        state: The state of a run.
        rows: The training rows.

    Returns:
        The rows, each with the index of the label that was given, -1 for an abstention.
    """
    screening = state.get("screening")
    if screening is None:
        return []
    by_id = {row.id: row for row in rows}
    met = zip(screening["wrong"], screening.get("given", []), strict=False)
    return [(by_id[id], given) for id, given in met if id in by_id]
