"""The search for regions: halve one, train an expert for each half, and keep them if they win on rows not seen.

Deciding for one rulebook is cheap. Halving costs no call; where a region holds too few mistakes for experts to win by
more than luck, none is trained; and one step tells whether it is worth training on.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Checkpointer

from langchain_model_alignment.errors import BudgetError
from langchain_model_alignment.gathering import gather_from
from langchain_model_alignment.labeling.experts.mixture import GENERAL
from langchain_model_alignment.labeling.experts.records import Half, Trial
from langchain_model_alignment.labeling.experts.vectors import halves_of
from langchain_model_alignment.labeling.records import TrainingResult
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.running import run_training
from langchain_model_alignment.labeling.splits import stratified
from langchain_model_alignment.labeling.task import Row
from langchain_model_alignment.labeling.training import Training

if TYPE_CHECKING:
    import numpy as np

    Vector = np.ndarray[Any, Any]

__all__ = ["Leaf", "Search", "part_of", "right_answers", "sign_test"]

_LUCK = 0.05  # how probable it may be that experts which are no better win as they did
_MENDED = 0.5  # the share of a region's mistakes that experts can be hoped to mend
_UNSEEN = 1 / 3  # of a region's training rows are kept from its expert, to decide by
_MOST_UNSEEN = 100


@dataclass
class Leaf:
    """A region that is not divided, or not yet.

    Attributes:
        rulebook: What labels its rows.
        name: What that is called.
        training: Its training rows, those among them that the bias is learned on included.
        validation: Its validation rows.
        closed: Whether it stays as it is.
    """

    rulebook: Rulebook
    name: str
    training: list[Row]
    validation: list[Row]
    closed: bool = False


@dataclass
class Search:
    """A search for regions.

    Attributes:
        run: The models, rows and settings of the whole.
        points: The direction of each row's embedding, by the row's id.
        steps: How many steps an expert is trained for at most.
        max_experts: The most regions.
        min_rows: The fewest training rows of a region.
        config: Callbacks, tags and metadata for the calls.
        checkpointer: Where the experts' states are kept.
        trials: The divisions that were tried, as they come.
    """

    run: Training
    points: dict[str, "Vector"]
    steps: int
    max_experts: int
    min_rows: int
    config: RunnableConfig | None = None
    checkpointer: Checkpointer = None
    trials: list[Trial] = field(default_factory=list)
    _named: int = 0

    async def divide(self, general: Rulebook) -> list[Leaf]:
        """Divide the data until no division wins any more, and return the regions with their rulebooks."""
        everything = [*self.run.training, *self.run.calibration]
        leaves = [
            Leaf(
                general,
                GENERAL,
                [row for row in everything if row.id in self.points],
                [row for row in self.run.validation if row.id in self.points],
            )
        ]
        while True:
            room = self.max_experts - len(leaves)
            chosen = [leaf for leaf in leaves if not leaf.closed][: max(room, 0)]
            if not chosen:
                return leaves
            pairs = [(leaf, self._halves(leaf)) for leaf in chosen]
            tried = await gather_from(pairs, lambda pair: self._try(*pair), len(pairs))
            for (leaf, _), (trial, found) in zip(pairs, tried, strict=True):
                self.trials.append(trial)
                leaf.closed = True
                if found:
                    at = leaves.index(leaf)
                    leaves[at : at + 1] = found

    def _halves(self, leaf: Leaf) -> list[Leaf]:
        """Halve a region by its rows' directions, and name the experts to be."""
        centers = halves_of([self.points[row.id] for row in leaf.training], self.run.hparams.seed)
        if len(centers) < 2:
            return []
        halves = [Leaf(leaf.rulebook, "", [], []) for _ in centers]
        for kind in ("training", "validation"):
            for row in getattr(leaf, kind):
                similar = [float(self.points[row.id] @ center) for center in centers]
                getattr(halves[similar.index(max(similar))], kind).append(row)
        halves.sort(key=lambda half: -len(half.training))
        for half in halves:
            self._named += 1
            half.name = f"e{self._named}"
        return halves

    async def _try(self, leaf: Leaf, halves: Sequence[Leaf]) -> tuple[Trial, list[Leaf]]:
        """Train experts for the halves of a region, and decide.

        Returns:
            What was decided, and the regions to put in its place; none where it stays whole.
        """

        def refuse(why: str, done: Sequence[Half] = ()) -> tuple[Trial, list[Leaf]]:
            return Trial(region=leaf.name, verdict=why, halves=tuple(done)), []

        if trouble := self._trouble(leaf, halves):
            return refuse(trouble)
        done: list[Half] = []
        try:
            parts = [self._part(half) for half in halves]
            unseen = [row for _, rows in parts for row in rows]
            mistakes = (await right_answers(self.run, leaf.rulebook, unseen, self.config)).count(False)
            if sign_test(int(_MENDED * mistakes), 0) > _LUCK:
                return refuse(f"{mistakes} mistakes on {len(unseen)} rows are too few to tell experts by")
            for steps in (1, self.steps):
                runs = await gather_from(
                    list(zip(halves, parts, strict=True)),
                    lambda pair, steps=steps: self._train(pair[0], pair[1][0], steps),  # type: ignore[misc]
                    len(halves),
                )
                done = [_half(half, run) for half, run in zip(halves, runs, strict=True)]
                if not any(_gained(run) for run in runs):
                    return refuse(f"no expert gained in {steps} step{'s' if steps > 1 else ''}", done)
            return await self._judge(leaf, halves, runs, [unseen for _, unseen in parts])
        except BudgetError as error:
            return refuse(f"undecided: {error}", done)

    def _trouble(self, leaf: Leaf, halves: Sequence[Leaf]) -> str:
        """Why a division is not worth a call; empty where it is."""
        if len(halves) < 2:
            return "its rows are all in one place"
        least = min(len(half.training) for half in halves)
        if least < self.min_rows:
            return f"a half has {least} training rows, and {self.min_rows} is the least"
        if not all(half.validation for half in halves):
            return "a half has no validation row"
        return ""

    def _part(self, half: Leaf) -> tuple[Training, list[Row]]:
        """Return the training of a half's expert, and the rows of the half that it is decided on."""
        apart = {row.id for row in self.run.calibration}
        rows = stratified([row for row in half.training if row.id not in apart], self.run.hparams.seed, "unseen")
        n = min(_MOST_UNSEEN, round(_UNSEEN * len(rows)))
        calibration = [row for row in half.training if row.id in apart]
        # The rulebook of the whole was chosen on the validation rows and looks better there than it is, so an expert
        # that began from it could hardly win: as many rows again are raced over that it was not chosen on.
        raced = stratified([*half.validation, *rows[n : 2 * n]], self.run.hparams.seed, "blocks")
        return part_of(self.run, rows[2 * n :], calibration, raced), rows[:n]

    async def _train(self, half: Leaf, part: Training, steps: int) -> TrainingResult:
        # Another bias is learned for the region, and what decided elsewhere says nothing here.
        start = half.rulebook.model_copy(update={"calibration": None, "score": None, "evidence": {}})
        if self.checkpointer is None:
            self.checkpointer = InMemorySaver()
        given = (self.config or {}).get("configurable", {}).get("thread_id", "training")
        config = merge_configs(self.config, {"configurable": {"thread_id": f"{given}/{half.name}"}})
        return await run_training(part, start, steps, config, checkpointer=self.checkpointer)

    async def _judge(
        self, leaf: Leaf, halves: Sequence[Leaf], runs: Sequence[TrainingResult], unseen: Sequence[Sequence[Row]]
    ) -> tuple[Trial, list[Leaf]]:
        """Compare the experts with what they began from, on rows that only the latter has met."""
        done, found = [], []
        wins = losses = 0
        for half, run, rows in zip(halves, runs, unseen, strict=True):
            before, after = [
                await right_answers(self.run, rulebook, rows, self.config) for rulebook in (leaf.rulebook, run.rulebook)
            ]
            kept = sum(after) > sum(before)
            if kept:
                wins += sum(a > b for a, b in zip(after, before, strict=True))
                losses += sum(a < b for a, b in zip(after, before, strict=True))
            counts = {"decided_on": len(rows), "before": sum(before), "after": sum(after), "kept": kept}
            done.append(_half(half, run).model_copy(update=counts))
            found.append(replace(half, rulebook=run.rulebook) if kept else replace(half, name=leaf.name, closed=True))
        chance = sign_test(wins, losses)
        told = f"experts mend {wins} and spoil {losses} of {sum(map(len, unseen))} rows not met in training"
        won = chance <= _LUCK
        if not won:
            done = [half.model_copy(update={"kept": False}) for half in done]
        verdict = f"{told}, which is {'more than' if won else 'no more than may be'} luck"
        return Trial(region=leaf.name, verdict=verdict, divided=won, halves=tuple(done)), found if won else []


async def right_answers(
    run: Training, rulebook: Rulebook, rows: Sequence[Row], config: RunnableConfig | None
) -> list[bool]:
    """Tell which rows a rulebook labels rightly.

    Raises:
        AlignmentError: The key is wrong, the budget is spent, or the model refuses every request.
    """
    found, _ = await run.label(rulebook, rows, config)
    return [labeled.label == row.label for labeled, row in zip(found, rows, strict=True)]


def part_of(run: Training, training: Sequence[Row], calibration: Sequence[Row], validation: Sequence[Row]) -> Training:
    """Return the training of one region: its rows, with the models, settings and turns of the whole.

    Where the region's own calibration rows lack a label, those of the whole are taken: a bias learned without a label
    would never give it again.
    """
    lacking = {row.label for row in calibration} != {row.label for row in run.calibration}
    part = replace(
        run, training=training, calibration=run.calibration if lacking else calibration, validation=validation
    )
    part._turn = run._turn  # experts on one local server take turns with each other too
    return part


def sign_test(wins: int, losses: int) -> float:
    """Return how probable it is that a fair coin shows at least so many wins.

    Example:
        >>> sign_test(5, 0), sign_test(4, 0), sign_test(0, 0)
        (0.03125, 0.0625, 1.0)
    """
    n = wins + losses
    return float(sum(math.comb(n, k) for k in range(wins, n + 1)) / 2**n)


def _half(half: Leaf, run: TrainingResult) -> Half:
    return Half(name=half.name, training_rows=len(half.training), validation_rows=len(half.validation), run=run)


def _gained(run: TrainingResult) -> bool:
    return run.rulebook.fingerprint() != run.initial.fingerprint()
