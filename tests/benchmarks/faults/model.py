"""A chat model that fails as providers do, in this process: for many calls in little time."""

import asyncio
import json
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult

from tests.benchmarks.faults.answers import answer
from tests.benchmarks.faults.plan import Plan, spoiled
from tests.fakes import APIConnectionError, ScriptedChatModel, http_error

_SLOW = 0.05  # seconds
_AGAIN = 0.01  # seconds that a rate limit asks to wait


class FaultyChatModel(ScriptedChatModel):
    """Answers by rule, and fails by plan."""

    plan: Any

    async def _agenerate(self, messages: list[BaseMessage], *given: Any, **more: Any) -> ChatResult:
        fault = self.plan.strike("\n".join(f"{m.type}: {m.text}" for m in messages))
        await asyncio.sleep(_SLOW if fault == "slow body" else self.latency)
        if (error := error_of(fault)) is not None:
            raise error
        return self._result(spoiled(fault, answer(messages), self.plan.calls), messages)


def faulty_model(plan: Plan, **more: Any) -> FaultyChatModel:
    """Make a model whose calls are struck by a plan."""
    return FaultyChatModel(plan=plan, **more)


def error_of(fault: str) -> Exception | None:
    """Return what a provider's package raises for a fault of the way."""
    errors: dict[str, Exception] = {
        "limit, told when": http_error(429, "slow down", retry_after=_AGAIN),
        "limit, not told": http_error(429, "slow down"),
        "overloaded": http_error(503, "overloaded"),
        "timeout": TimeoutError("no answer in time"),
        "dropped": APIConnectionError("the connection was closed"),
        "broken body": json.JSONDecodeError("Expecting value", "", 0),
    }
    return errors.get(fault)
