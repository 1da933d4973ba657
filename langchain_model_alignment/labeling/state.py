"""The state of a training run, and the events that it tells: plain JSON values."""

from typing import Annotated, Any, Literal

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from langchain_model_alignment.labeling.evaluate import Screening
from langchain_model_alignment.labeling.precedents import RulebookEdit
from langchain_model_alignment.labeling.proposers import Proposal
from langchain_model_alignment.labeling.records import CandidateRecord, StepRecord
from langchain_model_alignment.labeling.rulebook import Rulebook

__all__ = [
    "CandidateState",
    "LabelerEvent",
    "LabelerInput",
    "LabelerOutput",
    "LabelerState",
    "as_json",
    "doing_after",
    "left_race",
    "new_candidate",
    "new_step",
    "proposal_of",
]

_EDITS: TypeAdapter[tuple[RulebookEdit, ...]] = TypeAdapter(tuple[RulebookEdit, ...])


class CandidateState(TypedDict):
    """A rulebook in the run: one of the best so far, or one that is being tried."""

    record: CandidateRecord
    rulebook: dict[str, Any]
    predictions: list[int]
    """On the validation rows so far: label indices, -1 for an abstention."""
    confidences: list[float | None]
    likelihoods: list[float]
    """Log likelihood of each row's right label; none where labels are read as text."""
    errors: list[str]
    """Classes of the errors of the rows that failed."""


def _merged(old: dict[str, CandidateState], new: dict[str, CandidateState | None]) -> dict[str, CandidateState]:
    """Candidates side by side; None takes one out."""
    return {id: value for id, value in {**old, **new}.items() if value is not None}


def _latest(old: str, new: str) -> str:
    return new


class LabelerState(TypedDict, total=False):
    """The state of a training run; give `steps`, and a `rulebook` to begin with one."""

    steps: int
    rulebook: dict[str, Any] | None
    """What to begin with; written from examples where it is absent."""
    data: str
    """Fingerprint of the task and the rows."""
    step: int
    idle: int
    """Steps without gain."""
    number: int
    """The counter that candidates' ids come from."""
    best: list[str]
    """Ids of the best rulebooks, the best first."""
    candidates: Annotated[dict[str, CandidateState], _merged]
    suggested: int
    """How many of the principles that people suggested have been put up."""
    screening: Screening
    """The training rows that this step's candidates are sorted by."""
    current: StepRecord
    """The step under way."""
    history: list[StepRecord]
    tried: list[str]
    """Fingerprints of all rulebooks that were tried."""
    usage: dict[str, Any]
    budget: Annotated[str, _latest]
    """What a spent budget said; several candidates may meet its end at once."""
    stopped: str
    """Why training ended; empty while it runs."""


class LabelerInput(TypedDict, total=False):
    """What begins a run, or goes on with one that ended."""

    steps: int
    """How many steps there are to be in all."""
    rulebook: dict[str, Any] | None
    """The JSON of a rulebook to begin with."""


class LabelerOutput(TypedDict):
    """What a run ends with."""

    best: list[str]
    candidates: dict[str, CandidateState]
    history: list[StepRecord]
    usage: dict[str, Any]
    stopped: str


class LabelerEvent(TypedDict, total=False):
    """What the graph tells while it runs (`stream_mode="custom"`); `type` says which of the other keys are there."""

    type: Literal["begin", "mistakes", "candidates", "scored", "step", "end"]
    step: int
    steps: int
    sampled: int
    wrong: int
    alive: int
    """Candidates in the race."""
    candidate: str
    rows: int
    of: int
    """With `scored`: validation rows so far, and all of them."""
    score: float | None
    record: StepRecord
    usage: dict[str, Any]
    why: str


def new_candidate(
    id: str, parent: str | None, origin: Any, proposal: Proposal, before: Rulebook, after: Rulebook
) -> CandidateState:
    """Return a candidate that was put up, before it is tried."""
    return {
        "record": {
            "id": id,
            "parent": parent,
            "origin": origin,
            "reason": proposal.reason,
            "edits": [edit.model_dump(mode="json") for edit in proposal.edits],
            "changes": before.diff(after),
            "evidence": list(proposal.evidence),
            "screened": None,
            "score": None,
            "rows": 0,
            "principles": len(after.enabled()),
            "left": "",
        },
        "rulebook": as_json(after),
        "predictions": [],
        "confidences": [],
        "likelihoods": [],
        "errors": [],
    }


def proposal_of(record: CandidateRecord) -> Proposal:
    """Return the edits that made a candidate, to make them again on another rulebook."""
    edits = _EDITS.validate_python(record["edits"])
    return Proposal(edits, record["reason"], tuple(record["evidence"]))


def left_race(candidate: CandidateState, why: str) -> CandidateState:
    """Return a candidate that is out of the race, and why."""
    return {**candidate, "record": {**candidate["record"], "left": why}}


def new_step(step: int, parent: str | None) -> StepRecord:
    """Return the record of a step that begins."""
    return {
        "step": step,
        "parent": parent,
        "sampled": 0,
        "wrong": 0,
        "abstained": 0,
        "failures": {},
        "refused": [],
        "candidates": [],
        "best": "",
        "score": 0.0,
        "interval": [0.0, 1.0],
        "gained": False,
        "calls": 0,
        "tokens": 0,
        "seconds": 0.0,
    }


def doing_after(event: LabelerEvent) -> str:
    """Return what a run does after an event, in words.

    Example:
        >>> doing_after({"type": "scored", "candidate": "c3", "rows": 50, "of": 100, "score": 0.8})
        'c3 scored on 50 of 100 rows'
    """
    if event["type"] == "scored":
        return f"{event['candidate']} scored on {event['rows']} of {event['of']} rows"
    return _DOING[event["type"]]


_DOING = {
    "begin": "scoring what training begins with",
    "mistakes": "learning from mistakes",
    "candidates": "trying candidates",
    "step": "looking for mistakes",
    "end": "finishing",
}


def as_json(rulebook: Rulebook) -> dict[str, Any]:
    """Return a rulebook as state holds it."""
    return rulebook.model_dump(mode="json")
