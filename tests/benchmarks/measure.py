"""What a measurement is, and how two ways of doing one thing are measured side by side."""

import statistics
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of a table."""

    what: str
    result: str
    reach: str = ""
    reached: bool | None = None
    value: float | None = None
    """The result as a number, for comparing runs."""

    def as_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Row(Finding):
    """What we take, beside what the same work takes without us."""

    bare: str
    ours: str


@dataclass(frozen=True, kw_only=True)
class Trial(Finding):
    """What was tried, and what came of it."""

    tried: str


async def interleaved(
    ways: dict[str, Callable[[], Awaitable[float]]], rounds: int
) -> tuple[dict[str, float], list[dict[str, float]]]:
    """Measure each way once a round, in turn, so that a busy machine slows all alike; medians and all rounds."""
    taken = []
    for number in range(rounds):
        names = list(ways) if number % 2 else list(reversed(ways))
        taken.append({name: await ways[name]() for name in names})
    return {name: statistics.median(round[name] for round in taken) for name in ways}, taken


def ratio(taken: list[dict[str, float]], ours: str, bare: str) -> float:
    """Return the median over the rounds of ours by bare; in one round both met the same load."""
    return statistics.median(round[ours] / round[bare] for round in taken)
