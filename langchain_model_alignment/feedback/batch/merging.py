"""Each group of principles that say much the same becomes one principle, or two, in one call a group."""

import logging
from collections.abc import Sequence

from langchain_core.runnables import RunnableConfig

from langchain_model_alignment.calls import Caller
from langchain_model_alignment.errors import AuthenticationError, ModelError
from langchain_model_alignment.feedback.batch.groups import Group
from langchain_model_alignment.feedback.batch.instructions import merge_rules
from langchain_model_alignment.feedback.relations import clash
from langchain_model_alignment.feedback.suggestions import read_items
from langchain_model_alignment.gathering import gather_from
from langchain_model_alignment.wishes import lost
from langchain_model_alignment.wording import names_in, numbers_in

__all__ = ["calls_allowed", "merge_groups"]

logger = logging.getLogger(__name__)

_SHARE = 20  # all calls after the extraction are at most one for so many records …
_WEAVING = 4  # … the most that writing the principles into the prompt takes among them …
_FEW = 3  # … but a small batch may merge so many groups all the same.
_SHOWN = 20
_AT_MOST = 2


def calls_allowed(records: int) -> int:
    """Return how many groups of a batch may be merged by a model.

    Example:
        >>> calls_allowed(1000), calls_allowed(10)
        (46, 3)
    """
    return max(_FEW, records // _SHARE - _WEAVING)


async def merge_groups(
    caller: Caller, groups: Sequence[Group], most: int, records: int, config: RunnableConfig | None
) -> list[list[str]]:
    """Return the principles that each group becomes.

    The largest groups of several wordings are merged by the model; where that fails, or the calls are used up, or the
    group is so small that its principle will be left out, the wording that says best what all say stands.

    Args:
        caller: The model.
        groups: The groups, the largest one first.
        most: How many principles there may be.
        records: How many records the groups came from.
        config: Callbacks, tags and metadata for the calls.

    Returns:
        One or two sentences for each group.

    Raises:
        AuthenticationError: The key is wrong.
        BudgetError: The budget is spent.
    """
    several = [at for at, group in enumerate(groups[:most]) if len(group.wordings) > 1]

    async def merge(at: int) -> list[str]:
        return await _merged(caller, groups[at], config)

    chosen = several[: calls_allowed(records)]
    merged = await gather_from(chosen, merge, caller.gate.max_concurrency)
    by_group = dict(zip(chosen, merged, strict=True))
    return [by_group.get(at) or [group.central] for at, group in enumerate(groups)]


async def _merged(caller: Caller, group: Group, config: RunnableConfig | None) -> list[str]:
    """What the model makes of a group; nothing where the answer would lose what the group says."""
    shown = group.wordings[:_SHOWN]
    try:
        answer = await caller.ask(merge_rules([(w.text, len(w.records)) for w in shown]), config=config)
    except AuthenticationError:
        raise
    except ModelError as error:
        logger.warning("A group of principles could not be merged: %s", error)
        return []
    rules = read_items(answer.text)
    fault = _fault_in(rules, group)
    if fault:
        logger.info("A merged principle was not taken, because it %s: %s", fault, answer.text)
        return []
    return rules


def _fault_in(rules: Sequence[str], group: Group) -> str:
    """What is wrong with merged rules, as far as code can see it."""
    if not 1 <= len(rules) <= _AT_MOST:
        return "is no rule" if not rules else "is too many rules"
    text, told = " ".join(rules), " ".join(wording.text for wording in group.wordings)
    if missing := lost(group.central, text, "critique"):
        return f"loses {missing[0]}"
    if made_up := (numbers_in(text) - numbers_in(told)) or {
        n for n in names_in(text) if n.casefold() not in told.casefold()
    }:
        return f"makes up {min(made_up)}"
    if any(clash(group.central, rule) for rule in rules):
        return "turns round what was asked"
    return ""
