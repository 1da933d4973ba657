"""After training: experts that hardly differ become one, and what all of them say the general rulebook says too."""

from collections.abc import Sequence

from langchain_core.runnables import RunnableConfig

from langchain_model_alignment.constitution import Add, Principle
from langchain_model_alignment.labeling.experts.dividing import Leaf, right_answers
from langchain_model_alignment.labeling.experts.mixture import GENERAL
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.training import Training
from langchain_model_alignment.wording import near_duplicate

__all__ = ["likeness", "merge_alike", "with_shared"]

_ALIKE = 0.85  # the share of two rulebooks' principles that both have, from which on they hardly differ


def likeness(a: Rulebook, b: Rulebook) -> float:
    """Return the share of two rulebooks' principles and precedents that have their like in the other, from 0 to 1.

    Example:
        >>> from langchain_model_alignment.labeling.task import LabelingTask
        >>> task = LabelingTask(input_names=["x"], label_name="y", label_values=["a", "b"])
        >>> one = Rulebook.of(task, {"a": ["It names a fee."], "b": ["It names a lost key."]})
        >>> likeness(one, Rulebook.of(task, {"a": ["It names fees."]})), likeness(one, one)
        (0.666..., 1.0)
    """
    ours, theirs = a.enabled(), b.enabled()
    total = len(ours) + len(theirs) + len(a.precedents) + len(b.precedents)
    alike = len(_in_both(ours, theirs)) + len(_in_both(theirs, ours)) + 2 * len({*a.precedents} & {*b.precedents})
    return alike / total if total else 1.0


async def merge_alike(
    run: Training, general: Rulebook, leaves: list[Leaf], config: RunnableConfig | None
) -> tuple[list[Leaf], list[str]]:
    """Let one rulebook label the regions of two that hardly differ, where it labels them no worse.

    Returns:
        The regions, and what was done, a sentence each.
    """
    told: list[str] = []
    for other in [leaf.name for leaf in leaves]:
        books = {GENERAL: general, **{leaf.name: leaf.rulebook for leaf in leaves}}
        if other == GENERAL or other not in books:
            continue
        rows = [row for leaf in leaves if leaf.name == other for row in leaf.validation]
        for name, book in books.items():
            if name == other or likeness(book, books[other]) < _ALIKE:
                continue
            kept, gone = [sum(await right_answers(run, b, rows, config)) for b in (book, books[other])]
            if kept >= gone:
                told.append(f"{other} hardly differs from {name}, which labels its region from now on")
                leaves = [_given(leaf, name, book) if leaf.name == other else leaf for leaf in leaves]
                break
    return leaves, told


async def with_shared(
    run: Training, general: Rulebook, experts: Sequence[Rulebook], config: RunnableConfig | None
) -> tuple[Rulebook, list[str]]:
    """Add to the general rulebook what all experts say and it does not, where that makes it no worse.

    Returns:
        The general rulebook, and what was done, a sentence each.
    """
    if len(experts) < 2:
        return general, []
    first, *others = [expert.enabled() for expert in experts]
    shared = [
        p for p in first if all(_in_both([p], other) for other in others) and not _in_both([p], general.enabled())
    ]
    if not shared:
        return general, []
    adds = [Add(text=p.text, label=p.label, condition=p.condition, reason="all experts say so") for p in shared]
    richer = await run.calibrate(general.apply(adds), config)
    before, after = [sum(await right_answers(run, book, run.validation, config)) for book in (general, richer)]
    if after < before:
        return general, []
    return richer, [f"all experts say, and now the general rulebook too: {p.sentence()}" for p in shared]


def _in_both(ours: Sequence[Principle], theirs: Sequence[Principle]) -> list[Principle]:
    return [p for p in ours if any(p.label == q.label and near_duplicate(p.sentence(), q.sentence()) for q in theirs)]


def _given(leaf: Leaf, name: str, rulebook: Rulebook) -> Leaf:
    return Leaf(rulebook, name, leaf.training, leaf.validation, closed=True)
