"""What model calls used, and the budgets that end a run."""

import sys
import threading
import time
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, PrivateAttr, model_validator

from langchain_model_alignment.errors import BudgetError

__all__ = ["Budget", "Usage"]

# One lock for all counters: each holds it for a microsecond, and counters stay copyable plain data.
_lock = threading.Lock()


class Usage(BaseModel):
    """A thread-safe counter of model calls; plain data, so it goes into JSON and back.

    Share one object between callers to count, and to budget, them together.

    Example:
        >>> usage = Usage()
        >>> usage.add(calls=1, input_tokens=12)
        >>> usage.tokens
        12
    """

    calls: int = 0
    """Requests sent to a model, retries among them; answers from a cache are not."""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    """Those of the input tokens that the provider read from its prompt cache."""
    cache_hits: int = 0
    """Answers that came out of a cache; nothing was spent on them."""
    joined: int = 0
    """Requests that shared the answer of an equal request in flight."""
    retries: int = 0
    failures: int = 0
    """Requests that failed for good."""
    seconds: float = 0.0
    """Time spent waiting for the model, summed over calls that may have run side by side."""
    cost: float = 0.0
    """In the currency of the prices given with the budget; 0 without prices."""

    _started: float | None = PrivateAttr(default=None)

    @property
    def tokens(self) -> int:
        """Input and output tokens together."""
        return self.input_tokens + self.output_tokens

    def add(self, **counts: float) -> None:
        """Add to the counters.

        Args:
            counts: Counter names and what to add to each.
        """
        with _lock:
            for name, count in counts.items():
                setattr(self, name, getattr(self, name) + count)

    def reserve(self, budget: "Budget | None" = None) -> None:
        """Count one call that is about to be sent, unless the budget is spent.

        Checking and counting are one step, so callers in parallel never send more than `max_calls`.

        Args:
            budget: What may be spent.

        Raises:
            BudgetError: The budget is spent.
        """
        with _lock:
            if budget is not None:
                budget._check(self)
            if self._started is None:
                self._started = time.monotonic()
            self.calls += 1

    def go_on(self, earlier: "Usage", elapsed: float = 0.0) -> None:
        """Count on from where an earlier process stopped.

        Args:
            earlier: What it counted.
            elapsed: Its seconds since the first call, by the clock on the wall.
        """
        self.add(**earlier.model_dump())
        with _lock:
            self._started = time.monotonic() - elapsed

    def elapsed(self) -> float:
        """Seconds since the first call, by the clock on the wall; 0 before it."""
        return 0.0 if self._started is None else time.monotonic() - self._started

    def snapshot(self) -> "Usage":
        """A copy that no longer counts, taken between two updates."""
        with _lock:
            return self.model_copy()


class Budget(BaseModel):
    """Limits on a `Usage`; each one is off when None.

    A spent budget lets the calls in flight finish and refuses the next one. Prices are per 1,000,000 tokens;
    no price table ships.

    Raises:
        BudgetError: A limit or a price is negative, or `max_cost` comes without both prices.

    Example:
        >>> budget = Budget(max_calls=2)
        >>> usage = Usage(calls=2)
        >>> budget.check(usage)
        Traceback (most recent call last):
        ...
        langchain_model_alignment.errors.BudgetError: The budget of max_calls=2 is spent (2 used); raise it to go on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_calls: int | None = None
    max_tokens: int | None = None
    """Input and output tokens together."""
    max_cost: float | None = None
    max_seconds: float | None = None
    """By the clock on the wall, from the first call on."""
    input_price: float | None = None
    output_price: float | None = None

    @model_validator(mode="after")
    def _measurable(self) -> Self:
        for name, value in self:
            if value is not None and not value >= 0:
                raise BudgetError(f"The budget has {name}={value}; give a number that is not negative.")
        if self.max_cost is not None and (self.input_price is None or self.output_price is None):
            raise BudgetError("The budget has max_cost but not both prices; give input_price and output_price as well.")
        return self

    @property
    def needs_tokens(self) -> bool:
        """Whether the budget can only be kept with a model that reports its tokens."""
        return self.max_tokens is not None or self.max_cost is not None

    def cost_of(self, input_tokens: int, output_tokens: int) -> float:
        """The price of one call; 0 without prices.

        Args:
            input_tokens: Tokens sent.
            output_tokens: Tokens received.

        Returns:
            Money, in the currency of the prices.
        """
        return (input_tokens * (self.input_price or 0.0) + output_tokens * (self.output_price or 0.0)) / 1_000_000

    def calls_left(self, usage: Usage) -> int:
        """Return how many calls may still be made; as good as endless without `max_calls`.

        Args:
            usage: What was used so far.
        """
        return sys.maxsize if self.max_calls is None else max(0, self.max_calls - usage.calls)

    def check(self, usage: Usage) -> None:
        """Refuse when a limit is reached.

        Args:
            usage: What was used so far.

        Raises:
            BudgetError: The budget is spent.
        """
        with _lock:
            self._check(usage)

    def _check(self, usage: Usage) -> None:
        limits: tuple[tuple[str, float | None, Any], ...] = (
            ("max_calls", self.max_calls, usage.calls),
            ("max_tokens", self.max_tokens, usage.tokens),
            ("max_cost", self.max_cost, usage.cost),
            ("max_seconds", self.max_seconds, usage.elapsed()),
        )
        for name, limit, used in limits:
            if limit is not None and used >= limit:
                amount = used if isinstance(used, int) else round(used, 4)
                raise BudgetError(f"The budget of {name}={limit} is spent ({amount} used); raise it to go on.")
