"""The nodes of the training graph: what each does to the state, and where it leads."""

from collections.abc import Callable, Coroutine
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.graph import END
from langgraph.types import Send
from typing_extensions import TypedDict

from langchain_model_alignment.constitution import Add
from langchain_model_alignment.errors import ArtifactError, BudgetError
from langchain_model_alignment.labeling import evaluate, mutate, select
from langchain_model_alignment.labeling.additions import suggested
from langchain_model_alignment.labeling.describing import first_principles
from langchain_model_alignment.labeling.ledger import Ledger
from langchain_model_alignment.labeling.proposers import Proposal
from langchain_model_alignment.labeling.records import CandidateRecord
from langchain_model_alignment.labeling.rulebook import Rulebook, Score
from langchain_model_alignment.labeling.state import (
    CandidateState,
    LabelerEvent,
    LabelerState,
    as_json,
    left_race,
    new_candidate,
    new_step,
    proposal_of,
)
from langchain_model_alignment.labeling.training import Training
from langchain_model_alignment.loop import GraphNode
from langchain_model_alignment.tracing import marked, tell

__all__ = ["Nodes"]

_NO_PLACE = "gained less than others on training rows"
_TOO_FEW = "The calls left in the budget do not pay for another step; raise max_calls to go on."
_LUCK = "ahead by no more than luck, which is not enough for a precedent"
_FINALISTS = 2  # the combination among them
_COMBINED = 3  # edits in a combination


class _Work(TypedDict):
    """What one Send carries."""

    id: str
    data: str
    step: int
    candidate: CandidateState
    parent: CandidateState | None
    screening: evaluate.Screening | None


class Nodes:
    """The nodes of the loop, over what the factory closed over.

    Args:
        training: The models, rows and settings.
        keep: Rulebooks to keep from step to step.
        zero_shot: Whether the empty rulebook takes part too.
    """

    def __init__(self, training: Training, keep: int, zero_shot: bool) -> None:
        self._training = training
        self._keep = keep
        self._zero_shot = zero_shot
        self._all = len(training.validation)
        self._rows = {row.id: row for row in training.training}
        self._fingerprint = training.fingerprint
        self._ledger = Ledger(training)

    def node(self, name: str) -> Runnable[Any, Any]:
        """Return a step as a node, which refuses to go on with other data wherever the run stood."""
        step: Callable[[Any, RunnableConfig], Coroutine[Any, Any, LabelerState]] = getattr(self, name)

        async def checked(state: Any, config: RunnableConfig) -> LabelerState:
            if state.get("data", self._fingerprint) != self._fingerprint:
                raise ArtifactError(
                    f"This run was begun with other data, another task or another seed (fingerprint {state['data']}, "
                    f"these have {self._fingerprint}): give the same ones, or begin a new run in another place."
                )
            marks = {"data": self._fingerprint, "step": state.get("step", 0) + (name == "mutate")}
            candidate = {"candidate": state["id"]} if "id" in state else {}
            return await step(state, marked(config, **marks, **candidate))

        return GraphNode(checked, name=name)

    async def begin(self, state: LabelerState, config: RunnableConfig) -> LabelerState:
        """Put up what training begins with; a run that ended goes on from where it stood."""
        steps = state.get("steps", 1)
        if state.get("best"):
            best = Rulebook.model_validate(state["candidates"][state["best"][0]]["rulebook"])
            if state["step"] >= steps:
                return {"stopped": state["stopped"], "budget": "", "idle": 0}
            too_few = "" if self._pays_for_a_step(best) else _TOO_FEW
            return {"stopped": too_few, "budget": too_few, "idle": 0}
        given = state.get("rulebook")
        started: dict[str, CandidateState] = {}
        budget = ""
        try:
            empty = await self._training.begin(config)
            if given is None:
                written = await first_principles(self._training.writer, empty, self._training.sample(0), config)
            else:
                written = Rulebook.from_dict(given, "The state's rulebook")
                written.check_task(self._training.task)
                # The task may say by now that labels are ordered.
                written = written.model_copy(update={"task": self._training.task})
                self._training.check_precedents(written)
            if written.score is None:
                written = await self._training.settle(written, empty, config)
            # Asked as before, but what is added to it is checked where the others are; its race calibrates it.
            scoring = "checks" if written.scoring == "checks" else empty.scoring
            empty = empty.model_copy(update={"scoring": scoring, "calibration": None})
            started["c1"] = new_candidate(
                "c1", None, "initial", Proposal((), "where training begins"), written, written
            )
            if self._zero_shot and written.enabled():
                why = Proposal((), "the task and labels alone")
                started["c2"] = new_candidate("c2", None, "zero-shot", why, empty, empty)
        except BudgetError as error:
            raise BudgetError(f"The budget does not even pay for a beginning: {error}") from error
        self._tell({"type": "begin", "steps": steps, "of": self._all})
        return {
            "data": self._fingerprint,
            "step": 0,
            "idle": 0,
            "number": len(started),
            "best": [],
            "candidates": dict(started),
            "current": new_step(0, None),
            "history": [],
            "tried": [Rulebook.model_validate(c["rulebook"]).fingerprint() for c in started.values()],
            "budget": budget,
            "stopped": "",
        }

    def after_begin(self, state: LabelerState) -> Any:
        """Score what training begins with, or go on."""
        if not state["best"]:
            return self.to_race(state)
        return "mutate" if not state["stopped"] else END

    async def mutate(self, state: LabelerState, config: RunnableConfig) -> LabelerState:
        """Find mistakes of the best rulebook and put up candidates that would mend them."""
        step, parent_id = state["step"] + 1, state["best"][0]
        parent = state["candidates"][parent_id]
        rulebook = Rulebook.model_validate(parent["rulebook"])
        current = new_step(step, parent_id)
        if self._training.corrected:
            current["corrected"] = self._training.corrected
        changed: LabelerState = {"step": step, "current": current}
        try:
            mined, classifier = await mutate.mine(self._training, rulebook, config)
            current["sampled"] = len(mined.wrong) + len(mined.right)
            current["wrong"] = len(mined.wrong)
            current["abstained"] = sum(found.label is None for _, found in mined.wrong)
            self._tell({"type": "mistakes", "step": step, "sampled": current["sampled"], "wrong": current["wrong"]})
            rulebook = await mutate.with_evidence(self._training, rulebook, mined, classifier, config)
            hparams = self._training.hparams
            proposals = await self._training.proposer.propose(
                rulebook, mined, hparams.n_incorrect_predictions_to_sample, hparams.n_mutations_to_try, config
            )
        except BudgetError as error:
            return {**changed, "budget": str(error)}
        for kind in (*mined.failed, *proposals.failed):
            current["failures"][kind] = current["failures"].get(kind, 0) + 1
        known = set(state["tried"])
        others = [Rulebook.model_validate(state["candidates"][id]["rulebook"]) for id in state["best"][1:2]]
        extra = [
            ("deletion", mutate.deletion(rulebook)),
            ("deletion", mutate.thinning(rulebook)),
            *(("crossover", mutate.crossover(rulebook, other, hparams.max_precedents)) for other in others),
            *(("precedent", p) for p in mutate.precedents(self._training, rulebook, mined, known)),
        ]
        put_up: dict[str, CandidateState] = {parent_id: {**parent, "rulebook": as_json(rulebook)}}
        number, refused = state["number"], current["refused"]
        said = tuple(self._training.suggestions)  # it may grow meanwhile; what comes now is for the next step
        kept, no = suggested(rulebook, said[state.get("suggested", 0) :], known)
        made = [("person", *pair) for pair in kept]
        refused += no
        pool = [("proposal", p) for p in proposals.found[: hparams.max_candidates]]
        pool += [(origin, p) for origin, p in extra if p is not None]
        for origin, proposal in pool[: max(1, self._training.affordable(rulebook))]:
            kept, no = mutate.refine(self._training, rulebook, [proposal], known)
            refused += no
            made += [(origin, *pair) for pair in kept]
        for origin, applied, after in made:
            number += 1
            put_up[f"c{number}"] = new_candidate(f"c{number}", parent_id, origin, applied, rulebook, after)
        self._tell({"type": "candidates", "step": step, "alive": len(put_up) - 1})
        return {
            **changed,
            "candidates": dict(put_up),
            "number": number,
            "tried": sorted(known),
            "suggested": len(said),
            "screening": evaluate.screening_of(self._training, mined),
        }

    def after_mutate(self, state: LabelerState) -> Any:
        """Sort the candidates, where there are any."""
        return self._sends("screen", state) or "select"

    async def screen(self, work: _Work, config: RunnableConfig) -> LabelerState:
        """Sort a candidate by training rows."""
        candidate, parent, screening = work["candidate"], work["parent"], work["screening"]
        if parent is None or screening is None:
            return {}
        before, after = (Rulebook.model_validate(c["rulebook"]) for c in (parent, candidate))
        # A row that a person corrected meanwhile is not there any more.
        wrong, right = (
            [self._rows[id] for id in ids if id in self._rows] for ids in (screening["wrong"], screening["right"])
        )
        try:
            after, gain = await evaluate.screen(self._training, before, after, wrong, right, screening["share"], config)
        except BudgetError as error:
            return {"budget": str(error)}
        record: CandidateRecord = {**candidate["record"], "screened": round(gain, 6)}
        return {"candidates": {work["id"]: {**candidate, "rulebook": as_json(after), "record": record}}}

    async def combine(self, state: LabelerState, config: RunnableConfig) -> LabelerState:
        """Choose who races: the best candidates by training rows, and the ones that gained as one."""
        step, parent_id = state["step"], state["current"]["parent"] or ""
        racing = self._racing(state)
        gains = {id: c["record"]["screened"] or 0.0 for id, c in racing.items()}
        changed: dict[str, CandidateState] = {}
        known, number = set(state["tried"]), state["number"]
        parent = Rulebook.model_validate(state["candidates"][parent_id]["rulebook"])
        room = self._training.hparams.max_precedents - len(parent.precedents)
        joint = mutate.combine([(proposal_of(racing[id]["record"]), gains[id]) for id in racing], _COMBINED, room)
        if joint is not None:
            kept, _ = mutate.refine(self._training, parent, [joint], known)
            for applied, after in kept:
                number += 1
                changed[f"c{number}"] = new_candidate(f"c{number}", parent_id, "combination", applied, parent, after)
        if self._training.hparams.evaluation == "race":
            ranked = sorted(_sortable(racing), key=lambda id: (-gains[id], len(id), id))
            for id in ranked[_FINALISTS - len(changed) :]:
                changed[id] = left_race(racing[id], _NO_PLACE)
        alive = len([id for id in {**racing, **changed} if not {**racing, **changed}[id]["record"]["left"]])
        self._tell({"type": "candidates", "step": step, "alive": alive})
        return {"candidates": dict(changed), "number": number, "tried": sorted(known)}

    async def race(self, work: _Work, config: RunnableConfig) -> LabelerState:
        """Score a candidate on the next block of validation rows, or on all that are left."""
        candidate = work["candidate"]
        done = len(candidate["predictions"])
        end = self._all if work["parent"] is None else evaluate.next_end(self._training, done)
        rulebook = Rulebook.model_validate(candidate["rulebook"])
        try:
            rulebook, found = await evaluate.validate(self._training, rulebook, done, end, config)
        except BudgetError as error:
            return {"budget": str(error)}
        predictions = [*candidate["predictions"], *(-1 if f.label is None else f.label for f in found)]
        score = self._training.score(predictions)
        record: CandidateRecord = {**candidate["record"], "rows": end, "score": score}
        self._tell({"type": "scored", "candidate": work["id"], "rows": end, "of": self._all, "score": score})
        scored: CandidateState = {
            "record": record,
            "rulebook": as_json(rulebook),
            "predictions": predictions,
            "confidences": [*candidate["confidences"], *(_rounded(f.confidence) for f in found)],
            "likelihoods": [*candidate["likelihoods"], *evaluate.likelihoods(self._training, rulebook, found, done)],
            "errors": [*candidate["errors"], *(f.kind for f in found if f.kind)],
        }
        return {"candidates": {work["id"]: scored}}

    async def judge(self, state: LabelerState, config: RunnableConfig) -> LabelerState:
        """Let those leave that cannot win."""
        parent_id = state["current"]["parent"]
        if parent_id is None or state["budget"]:
            return {}
        racing = self._racing(state)
        sizes = {id: select.size_of(Rulebook.model_validate(c["rulebook"])) for id, c in racing.items()}
        left = evaluate.still_racing(
            self._training,
            _standing(state["candidates"][parent_id]),
            {id: _standing(c) for id, c in racing.items()},
            sizes,
            {
                id: c["record"]["origin"] == "combination" or (c["record"]["screened"] or 0) > 0
                for id, c in racing.items()
            },
        )
        # Who suggested a principle is told what it reached on all rows.
        done = {id: why for id, why in left.items() if id in _sortable(racing) and not self._is_scored(racing[id])}
        return {"candidates": {id: left_race(racing[id], why) for id, why in done.items()}}

    def to_race(self, state: LabelerState) -> Any:
        """Race those that are left on the next rows, until all are scored."""
        unfinished = {id: c for id, c in self._racing(state).items() if not self._is_scored(c)}
        return self._sends("race", state, unfinished) or "select"

    async def select(self, state: LabelerState, config: RunnableConfig) -> LabelerState:
        """Keep the best, write the step down, and decide whether to go on."""
        step, current, candidates = state["step"], state["current"], state["candidates"]
        finished = {
            id: (Rulebook.model_validate(c["rulebook"]), _standing(c))
            for id, c in candidates.items()
            if self._is_scored(c)
        }
        if not finished:
            raise BudgetError(f"The budget ended before one rulebook was scored: {state['budget']}")
        before = next(iter(state["best"]), None)
        lucky = select.unproven(self._training, finished, before)
        candidates = {id: left_race(c, _LUCK) if id in lucky else c for id, c in candidates.items()}
        order = sorted(finished.keys() - lucky, key=lambda id: int(id[1:]))
        best = select.choose(self._training, {id: finished[id] for id in order}, order, self._keep, before)
        idle = 0 if best[:1] != state["best"][:1] else state["idle"] + 1
        record, usage = self._ledger.close_step({**state, "candidates": candidates}, best[0])
        wrong = current["wrong"] if step and self._all_seen(state) else None
        patience = self._training.hparams.patience
        why = budget = state["budget"]
        if not why:
            why = select.why_stop(step, state.get("steps", 1), idle, patience, wrong)
        if not why and not self._pays_for_a_step(finished[best[0]][0]):
            why = budget = _TOO_FEW
        self._tell({"type": "step", "record": record, "usage": usage.model_dump()})
        if why:
            self._tell({"type": "end", "why": why})
        parent = current["parent"]
        steps = 0 if parent is None else candidates[parent]["rulebook"]["steps"] + 1
        kept: dict[str, CandidateState | None] = {}
        for id, c in candidates.items():
            if id in best:
                kept[id] = self._scored(c, steps)
            else:  # what training began with stays, for comparison
                stays = c["record"]["origin"] in ("initial", "zero-shot")
                kept[id] = left_race(c, "not among the best") if stays else None
        return {
            "best": best,
            "idle": idle,
            "candidates": kept,  # type: ignore[typeddict-item]  # the reducer takes None out
            "history": [*state["history"], record],
            "usage": usage.model_dump(),
            "budget": budget,
            "stopped": why,
            **(self._put_up_again(state) if state["budget"] else {}),
        }

    def after_select(self, state: LabelerState) -> Any:
        """Take another step, or end."""
        return END if state["stopped"] else "mutate"

    def _put_up_again(self, state: LabelerState) -> LabelerState:
        """What people suggested and the budget ended before it was scored is put up by the next step."""
        lost = [c for c in self._racing(state).values() if c["record"]["origin"] == "person" and not self._is_scored(c)]
        if not lost:
            return {}
        parent = Rulebook.model_validate(state["candidates"][state["current"]["parent"] or ""]["rulebook"])
        proposals = [proposal_of(candidate["record"]) for candidate in lost]
        untried = {parent.apply(proposal.edits).fingerprint() for proposal in proposals}
        words = {edit.text for proposal in proposals for edit in proposal.edits if isinstance(edit, Add)}
        first = next(at for at, said in enumerate(self._training.suggestions) if said.text in words)
        return {"suggested": min(first, state["suggested"]), "tried": sorted(set(state["tried"]) - untried)}

    def _pays_for_a_step(self, rulebook: Rulebook) -> bool:
        """Whether the calls that are left pay for a step from this rulebook."""
        return self._training.affordable(rulebook) >= 1

    def _is_scored(self, candidate: CandidateState) -> bool:
        """Whether a candidate was scored on all validation rows."""
        return len(candidate["predictions"]) == self._all

    def _all_seen(self, state: LabelerState) -> bool:
        """Whether the step labeled every training row that could be a mistake."""
        parent = Rulebook.model_validate(state["candidates"][state["current"]["parent"] or ""]["rulebook"])
        return state["current"]["sampled"] == len(self._training.unshown(parent))

    def _scored(self, candidate: CandidateState, steps: int) -> CandidateState:
        rulebook = Rulebook.model_validate(candidate["rulebook"])
        score = Score(
            metric=self._training.metric_name,
            value=self._training.score(candidate["predictions"]),
            rows=self._all,
            data=self._fingerprint,
        )
        return {
            **candidate,
            "rulebook": as_json(rulebook.model_copy(update={"score": score, "steps": max(steps, rulebook.steps)})),
        }

    def _racing(self, state: LabelerState) -> dict[str, CandidateState]:
        return {id: c for id, c in state["candidates"].items() if id not in state["best"] and not c["record"]["left"]}

    def _sends(self, node: str, state: LabelerState, chosen: dict[str, CandidateState] | None = None) -> list[Send]:
        if state["budget"]:
            return []
        racing = self._racing(state) if chosen is None else chosen
        parent = state["current"]["parent"]
        return [
            Send(
                node,
                _Work(
                    id=id,
                    data=state["data"],
                    step=state["step"],
                    candidate=candidate,
                    parent=state["candidates"][parent] if parent else None,
                    screening=state.get("screening"),
                ),
            )
            for id, candidate in racing.items()
        ]

    def _tell(self, event: LabelerEvent) -> None:
        tell(event)


def _sortable(racing: dict[str, CandidateState]) -> list[str]:
    """The candidates that may leave before all rows are scored: those that no person suggested."""
    return [id for id, c in racing.items() if c["record"]["origin"] != "person"]


def _standing(candidate: CandidateState) -> evaluate.Standing:
    return evaluate.Standing(candidate["predictions"], candidate["likelihoods"])


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
