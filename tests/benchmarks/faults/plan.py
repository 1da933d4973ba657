"""Which call gets which fault: drawn from the seed, the request and how often it came, never from a clock."""

import threading
from collections import Counter
from dataclasses import dataclass, field

from langchain_core.messages import AIMessage

from tests.simulated import chance

PASSING = ("limit, told when", "limit, not told", "overloaded", "timeout", "dropped", "slow body", "broken body")
"""Faults of the way, which asking again gets past."""
SAID = ("nonsense", "cut off", "refusal", "empty", "another answer")
"""Faults of what the model says."""
KINDS = (*PASSING, *SAID)

REFUSED = "I would rather not."
NONSENSE = 'As a language model I like {turtles} %s {{7*7}} {"": '


@dataclass
class Plan:
    """The faults of a run.

    Attributes:
        seed: Other seeds strike other calls.
        share: Of the calls that are struck, from 0 to 1.
        given: How often each fault was given.
        calls: How many calls came.
    """

    seed: int
    share: float
    given: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    _seen: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def strike(self, request: str) -> str:
        """Return the fault of a call, or nothing; it is counted as given."""
        with self._lock:
            self.calls += 1
            self._seen[request] += 1
            time = self._seen[request]
            if chance(self.seed, "whether", request, time) >= self.share:
                return ""
            fault = KINDS[int(len(KINDS) * chance(self.seed, "which", request, time))]
            self.given[fault] += 1
            return fault


def spoiled(fault: str, answer: AIMessage, call: int) -> AIMessage:
    """Return what a model says in the place of its answer."""
    if fault == "nonsense":
        return AIMessage(NONSENSE)
    if fault == "cut off":
        return AIMessage(answer.text[: len(answer.text) // 2])
    if fault == "refusal":
        return AIMessage("", additional_kwargs={"refusal": REFUSED})
    if fault == "empty":
        return AIMessage("")
    if fault == "another answer":
        return AIMessage(f"{answer.text} (as I see it the {call}th time)")
    return answer
