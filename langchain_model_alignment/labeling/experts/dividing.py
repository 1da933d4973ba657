"""The search for regions: halve one, train an expert for each half, and keep those that win on rows they never met.

Deciding for one rulebook is cheap. Halving costs no call; where a region holds too few mistakes for experts to win by
more than luck, none is trained; and where none is ahead when half of the steps are done, none is trained on.
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
_MENDED = 0.6  # the share of a region's mistakes that experts can be hoped to mend
_UNSEEN = 1 / 3  # of a region's training rows are kept from its expert, to decide by
_MOST_UNSEEN = 100


@dataclass(eq=False)
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
class _Side:
    """Half of a region, and the expert in training for it."""

    leaf: Leaf
    part: Training
    unseen: list[Row]
    """Training rows of the half that its expert never meets, to decide by."""
    run: TrainingResult | None = None
    before: list[bool] = field(default_factory=list)
    """Which unseen rows are labeled rightly by what labels the region now."""
    after: list[bool] = field(default_factory=list)
    """Which by the expert."""

    @property
    def ahead(self) -> bool:
        return sum(self.after) > sum(self.before)

    def told(self, kept: bool) -> Half:
        return Half(
            name=self.leaf.name,
            training_rows=len(self.leaf.training),
            validation_rows=len(self.leaf.validation),
            decided_on=len(self.after),
            before=sum(self.before) if self.after else 0,
            after=sum(self.after),
            kept=kept,
            run=self.run,
        )


@dataclass
class Search:
    """A search for regions.

    Attributes:
        run: The models, rows and settings of the whole.
        points: The direction of each row's embedding, by the row's id.
        start: What every expert begins from.
        steps: How many steps an expert is trained for at most.
        max_experts: The most regions.
        min_rows: The fewest training rows of a region.
        config: Callbacks, tags and metadata for the calls.
        checkpointer: Where the experts' states are kept.
        trials: The divisions that were tried, as they come.
    """

    run: Training
    points: dict[str, "Vector"]
    start: Rulebook
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
            room = self.max_experts - len(leaves) if self.steps else 0
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
        sides: list[_Side] = []

        def whole(why: str) -> tuple[Trial, list[Leaf]]:
            return Trial(region=leaf.name, verdict=why, halves=tuple(s.told(False) for s in sides if s.run)), []

        if trouble := self._trouble(leaf, halves):
            return whole(trouble)
        try:
            sides = [self._side(half) for half in halves]
            right = await self._right(leaf.rulebook, [row for side in sides for row in side.unseen])
            if sign_test(int(_MENDED * right.count(False)), 0) > _LUCK:
                return whole(f"{right.count(False)} mistakes on {len(right)} rows are too few to tell experts by")
            sides[0].before, sides[1].before = right[: len(sides[0].unseen)], right[len(sides[0].unseen) :]
            halfway = (self.steps + 1) // 2
            await self._train(sides, halfway)
            if not any([await self._is_ahead(side, leaf.rulebook) for side in sides]):
                return whole(f"no expert is ahead after {halfway} step{'' if halfway == 1 else 's'}")
            await self._train(sides, self.steps)
            for side in sides:
                if side.run is not None:
                    side.after = await self._right(side.run.rulebook, side.unseen)
        except BudgetError as error:
            return whole(f"undecided: {error}")
        return _judged(leaf, sides)

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

    def _side(self, half: Leaf) -> _Side:
        """Split the rows of a half: some that nobody but the judge sees, some to race over, and some to learn from."""
        seed, apart = self.run.hparams.seed, {row.id for row in self.run.calibration}
        rows = stratified([row for row in half.training if row.id not in apart], seed, "unseen")
        calibration = [row for row in half.training if row.id in apart]
        n = min(_MOST_UNSEEN, round(_UNSEEN * len(rows)))
        # A half's validation rows alone are too few to race over; training rows that it does not learn from join them.
        raced = stratified([*half.validation, *rows[n : 2 * n]], seed, "blocks")
        return _Side(half, part_of(self.run, rows[2 * n :], calibration, raced), rows[:n])

    async def _train(self, sides: Sequence[_Side], steps: int) -> None:
        """Train experts side by side, until each has done so many steps in all."""
        # Another bias is learned for the region, and what decided elsewhere says nothing here.
        # A precedent may be among the rows that the region is raced over.
        forgotten: dict[str, Any] = {"precedents": (), "calibration": None, "score": None, "evidence": {}}
        start = self.start.model_copy(update=forgotten)
        if self.checkpointer is None:
            self.checkpointer = InMemorySaver()
        thread = (self.config or {}).get("configurable", {}).get("thread_id", "training")

        async def train(side: _Side) -> TrainingResult:
            config = merge_configs(self.config, {"configurable": {"thread_id": f"{thread}/{side.leaf.name}"}})
            return await run_training(side.part, start, steps, config, checkpointer=self.checkpointer)

        for side, run in zip(sides, await gather_from(sides, train, len(sides)), strict=True):
            side.run = run

    async def _is_ahead(self, side: _Side, rulebook: Rulebook) -> bool:
        """Whether an expert does better than what labels the region now on the rows that it is raced over."""
        if side.run is None:
            return False
        ours, theirs = [await self._right(book, side.part.validation) for book in (side.run.rulebook, rulebook)]
        return sum(ours) > sum(theirs)

    async def _right(self, rulebook: Rulebook, rows: Sequence[Row]) -> list[bool]:
        return await right_answers(self.run, rulebook, rows, self.config)


def _judged(leaf: Leaf, sides: Sequence[_Side]) -> tuple[Trial, list[Leaf]]:
    """Compare experts with what labels the region now, on rows that only the latter has met.

    Experts that are not ahead are left out before the test, which makes it a little kinder to the others than it says;
    that the other side was trained on these rows makes it a little harder.
    """
    ahead = [side for side in sides if side.ahead]
    pairs = [(a, b) for side in ahead for a, b in zip(side.after, side.before, strict=True)]
    wins, losses = sum(a > b for a, b in pairs), sum(a < b for a, b in pairs)
    won = sign_test(wins, losses) <= _LUCK
    found = [
        replace(side.leaf, rulebook=side.run.rulebook)
        if side.ahead and side.run is not None
        else replace(side.leaf, name=leaf.name, closed=True)
        for side in sides
    ]
    verdict = "no expert does better on rows not met in training"
    if ahead:
        of = f"{wins} and spoil {losses} of {len(pairs)} rows not met in training"
        verdict = f"experts mend {of}, which is {'more than' if won else 'no more than may be'} luck"
    told = tuple(side.told(won and side.ahead) for side in sides)
    return Trial(region=leaf.name, verdict=verdict, divided=won, halves=told), found if won else []


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
    part.take_turns_with(run)
    return part


def sign_test(wins: int, losses: int) -> float:
    """Return how probable it is that a fair coin shows at least so many wins.

    Example:
        >>> sign_test(5, 0), sign_test(4, 0), sign_test(0, 0)
        (0.03125, 0.0625, 1.0)
    """
    n = wins + losses
    return float(sum(math.comb(n, k) for k in range(wins, n + 1)) / 2**n)
