"""Ten thousand hostile inputs: only errors of our own tree or a 4xx, nothing executed, every variable survives."""

import logging
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from langchain_model_alignment.errors import AlignmentError
from tests.benchmarks.faults import targets
from tests.benchmarks.faults.watch import watched
from tests.benchmarks.measure import Trial


@dataclass(frozen=True)
class Target:
    """What is fed.

    Attributes:
        name: What it is.
        inputs: What it is fed with.
        feed: Takes one input; may raise an error of ours, and nothing else.
        share: Of all inputs.
    """

    name: str
    inputs: st.SearchStrategy[Any]
    feed: Callable[[Any], None]
    share: float


def measure(inputs: int, number: int) -> list[Trial]:
    """Feed every target with its share."""
    logging.disable()  # what is odd is said in a log or a warning: ten thousand times
    try:
        with warnings.catch_warnings(), targets.open_targets() as all_of_them:
            warnings.simplefilter("ignore")
            return [feed(Target(*parts), inputs, number) for parts in all_of_them]
    finally:
        logging.disable(logging.NOTSET)


def feed(target: Target, inputs: int, number: int) -> Trial:
    """Feed one target."""
    tried = refused = 0

    @seed(number)
    @settings(
        max_examples=max(1, round(inputs * target.share)),
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(target.inputs)
    def one(value: Any) -> None:
        nonlocal tried, refused
        tried += 1
        try:
            target.feed(value)
        except AlignmentError:
            refused += 1

    broken = ""
    with watched() as executed:
        try:
            one()
        except Exception as error:  # noqa: BLE001 (a finding, and the table tells it)
            broken = _first_line(error)
    run = f"; EXECUTED {', '.join(sorted(set(executed)))}" if executed else ""
    return Trial(
        what=f"hostile {target.name}",
        tried=f"{tried:,} inputs",
        result=(f"{refused:,} refused in a sentence, no other error" if not broken else f"broke: {broken}") + run,
        reach="no other error, nothing executed, variables survive",
        reached=not broken and not executed,
        value=float(tried),
    )


def _first_line(error: BaseException) -> str:
    """Return what was raised and where."""
    where = [f for f in traceback.extract_tb(error.__traceback__) if "langchain_model_alignment" in f.filename]
    place = f" in {where[-1].filename.rpartition('/')[2]}:{where[-1].lineno}" if where else ""
    return f"{type(error).__name__}{place}: {str(error)[:200]}"
