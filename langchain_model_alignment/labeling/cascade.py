"""A small model labels; the rows of which it is not sure go to a large one."""

from dataclasses import dataclass, replace

from langchain_core.runnables import RunnableConfig

from langchain_model_alignment.calls import Caller
from langchain_model_alignment.errors import AuthenticationError, ConfigurationError, ModelError
from langchain_model_alignment.labeling.classifier import Classifier, Labeled, scoring_for
from langchain_model_alignment.labeling.rulebook import Rulebook

__all__ = ["Cascade", "Saved"]


@dataclass(frozen=True, slots=True)
class Saved:
    """What a cascade saved in this process, against asking the large model alone.

    Attributes:
        rows: Rows that were asked about.
        large_rows: Those of them that went to the large model.
        large_calls: Calls of the large model that were not made.
        large_tokens: Tokens of the large model that were not used, at its own tokens a row; None where it reported
            none.
        small_calls: Calls of the small model, which would not have been made.
        small_tokens: Its tokens.
        money: What was saved, less what the small model cost; None without prices for both.
    """

    rows: int
    large_rows: int
    large_calls: int
    large_tokens: int | None
    small_calls: int
    small_tokens: int
    money: float | None


class Cascade:
    """A small model and a large one behind the same rulebook.

    A row goes to the large model where the small one's confidence is below a bound, and where its answer speaks for no
    label. A row whose small call failed does not: a server that is down must not send everything to the dear model.

    Args:
        small: The model asked first.
        large: The model asked where the first is not sure. It needs no log probabilities: without them its labels are
            read as text.
        rulebook: What both are asked with; its calibration and threshold are the small model's.
        below: The confidence, from 0 to 1, below which the large model is asked.
        explain: Whether each row's principles are asked for.
        threshold: Abstain where the model that decides has a confidence below it.

    Raises:
        ConfigurationError: The small model tells no confidence, or `below` is none.
    """

    def __init__(
        self,
        small: Caller,
        large: Caller,
        rulebook: Rulebook,
        *,
        below: float,
        explain: bool = False,
        threshold: float | None = None,
    ) -> None:
        if rulebook.scoring == "text":
            raise ConfigurationError(
                "A cascade needs to know how sure the small model is, and labels read as text tell nothing of it; use "
                "a rulebook that is scored by log probabilities."
            )
        if not 0 < below <= 1:
            raise ConfigurationError(f"The bound of the cascade is {below}; give a confidence above 0 and at most 1.")
        self.below = below
        self.explain = explain
        self.small = Classifier(small, rulebook, threshold=threshold)
        scoring = scoring_for(large, rulebook.task)
        telling = scoring != "text"
        other = rulebook.model_copy(update={"calibration": None, "threshold": None, "scoring": scoring})
        self.large = Classifier(large, other, explain=explain, threshold=self.small.threshold if telling else None)
        self.rows = self.large_rows = 0

    async def label(self, row: str, config: RunnableConfig | None = None) -> Labeled:
        """Label a row.

        Raises:
            AuthenticationError: A key is wrong.
            BudgetError: A budget is spent.
        """
        found = await self.small.label(row, config)
        self.rows += 1
        if found.error is not None or (found.confidence is not None and found.confidence >= self.below):
            return await self._explained(row, found, config)
        self.large_rows += 1
        return await self.large.label(row, config)

    async def _explained(self, row: str, found: Labeled, config: RunnableConfig | None) -> Labeled:
        if not self.explain:
            return found
        try:
            return replace(found, principle_ids=await self.small.deciding(row, found, config))
        except AuthenticationError:
            raise
        except ModelError as error:  # the label was paid for and stays
            return replace(found, error=str(error), kind=type(error).__name__)

    def saved(self) -> Saved:
        """Return what was saved so far."""
        small, large = self.small.caller.usage, self.large.caller.usage
        spared = self.rows - self.large_rows
        each = spared / self.large_rows if self.large_rows else None
        priced = all(c.budget is not None and c.budget.input_price is not None for c in self._callers)
        return Saved(
            rows=self.rows,
            large_rows=self.large_rows,
            large_calls=spared,
            large_tokens=round(large.tokens * each) if each is not None and large.tokens else None,
            small_calls=small.calls,
            small_tokens=small.tokens,
            money=large.cost * each - small.cost if priced and each is not None else None,
        )

    @property
    def _callers(self) -> tuple[Caller, Caller]:
        return self.small.caller, self.large.caller
