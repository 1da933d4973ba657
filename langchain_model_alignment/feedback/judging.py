"""Does a new answer still do what people asked for, and is it worse than the old one?

Two strategies behind one interface, as for principles: a strong model judges everything about an answer in one call, a
small one is asked one yes or no at a time. What code sees for certain is left to neither.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig
from pydantic import BaseModel, ConfigDict, Field

from langchain_model_alignment.calls import Caller, ChatModelLike, as_caller
from langchain_model_alignment.errors import MalformedAnswerError
from langchain_model_alignment.feedback import judging_instructions as instructions
from langchain_model_alignment.feedback.changes import describe_change
from langchain_model_alignment.feedback.exchanges import Feedback, Verdict
from langchain_model_alignment.feedback.principles import Strategy, strategy_of
from langchain_model_alignment.feedback.relations import share_of_yes
from langchain_model_alignment.feedback.visible import seen_in
from langchain_model_alignment.loop import make_runnable
from langchain_model_alignment.models import limit_of
from langchain_model_alignment.structured import ask_structured

__all__ = ["IntentRequest", "Judge", "Judgement", "Wish", "create_intent_chain"]

# Measured on the local 1.5B model with the examples in `judging_instructions`.
_KEPT_AT, _WORSE_AT = 0.5, 0.7
_FEW_TOKENS = 24


class IntentRequest(BaseModel):
    """A wish and an answer that should do what it asks for."""

    model_config = ConfigDict(extra="forbid")

    feedback: Feedback = Field(description="What a person said about an earlier answer")
    response: str = Field(description="The new answer")
    principle: str = Field(default="", description="The principle that was made from the feedback")
    inputs: dict[str, Any] = Field(default={}, description="The value of each variable")


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for: the feedback, and the words of the principle made from it."""

    feedback: Feedback
    principle: str = ""

    @property
    def said(self) -> str:
        """The wish as a judge reads it; of a rewrite, what it changed."""
        plain = self.feedback.plain()
        changed = plain.kind == "rewrite"
        return instructions.wish_said(
            plain.kind, self.principle or describe_change(plain.response, plain.text) if changed else plain.text
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found about a new answer: a verdict for each wish, and whether it is worse than the old answer."""

    verdicts: tuple[Verdict, ...]
    worse: bool = False
    reason: str = ""


class _Saying(BaseModel):
    """What was decided about one saying."""

    number: int = Field(description="the number of the saying")
    kept: bool = Field(description="whether the new answer does what the person wants")
    reason: str = Field(default="", description="why, in one short sentence with the words that show it")


class _Judged(BaseModel):
    """The check of a new answer."""

    sayings: list[_Saying] = Field(default=[], description="one for each saying")
    worse: bool = Field(default=False, description="whether the new answer is worse than the old one")
    reason: str = Field(default="", description="why it is worse, in one short sentence; empty where it is not")


class Judge:
    """Judges new answers with one model.

    Args:
        caller: The model that judges.
        strategy: How to ask it; by default what fits it.
    """

    def __init__(self, caller: Caller, strategy: Strategy | None = None) -> None:
        self.caller = caller
        self.strategy = strategy or strategy_of(caller)

    async def judge(self, inputs: str, old: str, wishes: Sequence[Wish], new: str, config: RunnableConfig) -> Judgement:
        """Return a verdict for each wish, and, where there is none, whether the new answer is worse than the old one.

        Args:
            inputs: What was asked, as text.
            old: The answer before.
            wishes: What the new answer should do.
            new: The new answer.
            config: Callbacks, tags and metadata for the calls.

        Raises:
            ModelError: A call failed.
        """
        counted = [_seen(wish, new) for wish in wishes]
        open_ = [at for at, verdict in enumerate(counted) if verdict is None]
        if wishes and not open_:
            return Judgement(tuple(v for v in counted if v is not None))
        asked = [wishes[at] for at in open_]
        found = await self._ask(inputs, old, asked, new, config)
        verdicts = dict(zip(open_, found.verdicts, strict=True))
        return replace(found, verdicts=tuple(v or verdicts[at] for at, v in enumerate(counted)))

    async def _ask(self, inputs: str, old: str, wishes: Sequence[Wish], new: str, config: RunnableConfig) -> Judgement:
        if self.strategy == "one_call":
            try:
                return await self._in_one_call(inputs, old, wishes, new, config)
            except MalformedAnswerError:  # asked one thing at a time, it may still tell
                pass
        return await self._in_short_steps(inputs, old, wishes, new, config)

    async def _in_one_call(
        self, inputs: str, old: str, wishes: Sequence[Wish], new: str, config: RunnableConfig
    ) -> Judgement:
        messages = instructions.judge(inputs, old, [wish.said for wish in wishes], new)
        judged = await ask_structured(self.caller, messages, _Judged, config=config)
        by_number = {saying.number: saying for saying in judged.sayings}
        if missing := [number for number in range(1, len(wishes) + 1) if number not in by_number]:
            raise MalformedAnswerError(f"The judge said nothing about number {missing[0]} of {len(wishes)}; try again.")
        sayings = [by_number[number] for number in range(1, len(wishes) + 1)]
        verdicts = tuple(Verdict(kept=s.kept, reason=s.reason.strip()) for s in sayings)
        return Judgement(verdicts, judged.worse and not wishes, judged.reason.strip() if judged.worse else "")

    async def _in_short_steps(
        self, inputs: str, old: str, wishes: Sequence[Wish], new: str, config: RunnableConfig
    ) -> Judgement:
        if not wishes:
            worse = await share_of_yes(self.caller, instructions.is_worse(inputs, old, new), config) >= _WORSE_AT
            return Judgement((), worse, "it is much less useful, or off what was asked" if worse else "")
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._kept(wish, new, config)) for wish in wishes]
        return Judgement(tuple(task.result() for task in tasks))

    async def _kept(self, wish: Wish, new: str, config: RunnableConfig) -> Verdict:
        if await share_of_yes(self.caller, instructions.keeps(wish.said, new), config) >= _KEPT_AT:
            return Verdict(kept=True)
        asked = instructions.what_is_wrong(wish.said, new)
        answer = await self.caller.ask(asked, config=config, **limit_of(self.caller.llm, _FEW_TOKENS))
        return Verdict(kept=False, reason=" ".join(answer.text.split()).rstrip("."))


def create_intent_chain(
    llm: ChatModelLike, *, strategy: Strategy | None = None
) -> Runnable[IntentRequest | dict[str, Any], Verdict]:
    """Create the chain that judges whether an answer does what feedback asked for.

    Args:
        llm: The model that judges.
        strategy: How to ask it; by default what fits it.

    Returns:
        A Runnable from an `IntentRequest` (or a dict like it) to a `Verdict`: kept or lost, with the reason.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> judged = '{"sayings": [{"number": 1, "kept": false, "reason": "It suggests red wine."}]}'
        >>> chain = create_intent_chain(FakeListChatModel(responses=[judged]))
        >>> feedback = {"kind": "critique", "text": "I do not want any alcohol"}
        >>> chain.invoke({"feedback": feedback, "response": "Cook it in red wine."})
        Verdict(kept=False, reason='It suggests red wine.', revision=None, repaired=False)
    """
    judge = Judge(as_caller(llm), strategy)

    async def intent(value: IntentRequest | dict[str, Any], config: RunnableConfig) -> Verdict:
        request = IntentRequest.model_validate(value)
        wish = Wish(request.feedback, request.principle)
        found = await judge.judge(shown(request.inputs), request.feedback.response, [wish], request.response, config)
        return found.verdicts[0]

    return make_runnable(intent, name="intent", input_type=IntentRequest, output_type=Verdict)


def shown(inputs: dict[str, Any]) -> str:
    """Return inputs as text for a judge, a line each."""
    return "\n".join(f"{name}: {value}" for name, value in inputs.items()) or "(no input)"


def _seen(wish: Wish, response: str) -> Verdict | None:
    """Judge what code sees for certain."""
    found = seen_in(response, wish.principle)
    return None if found is None else Verdict(kept=found[0], reason=found[2])
