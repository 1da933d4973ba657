"""The only door to a model.

A request passes, in this order: the cache, equal requests in flight (joined), the budget, the gate, the retries; then
its usage is counted, and what failed is raised as one of the errors in `errors.py`.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Union

from langchain_core import language_models  # lazy: the class is loaded at its first use
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import RunnableBinding, RunnableConfig
from langchain_core.runnables.config import merge_configs, run_in_executor
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from langchain_model_alignment.answers import dump_answer, load_answer, request_key, visible_text
from langchain_model_alignment.cache import AnswerCache
from langchain_model_alignment.connections import PerLoopModel
from langchain_model_alignment.errors import AlignmentError, BudgetError, ConfigurationError, ModelError, RefusalError
from langchain_model_alignment.failures import Failure, classify, refusal_in
from langchain_model_alignment.gate import Gate
from langchain_model_alignment.joining import Joining
from langchain_model_alignment.prompt_cache import mark_prefix
from langchain_model_alignment.retries import without_sdk_retries
from langchain_model_alignment.traits import traits_of
from langchain_model_alignment.usage import Budget, Usage

if TYPE_CHECKING:  # slow to import, and whoever has a model has it already
    from langchain_core.language_models import BaseChatModel

__all__ = ["Answer", "Caller", "ChatModelLike", "Gate", "as_caller", "visible_text", "without_sdk_retries"]

logger = logging.getLogger(__name__)

# Seconds; tests make them short.
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 60.0
_LONGEST_PAUSE = 600.0  # a provider that asks for more (a daily quota) will not answer in this run


@dataclass(frozen=True)
class Answer:
    """What a model answered.

    Attributes:
        text: The text without reasoning.
        message: The whole message, with tool calls, log probabilities and metadata.
        cached: Whether it came out of a cache, so that nothing was spent on it.
    """

    text: str
    message: AIMessage
    cached: bool = False


class Caller:
    """A chat model behind one gate.

    Args:
        llm: The chat model, plain or with `bind` or `with_config`; it is not changed.
        gate: How many calls run at once; share it between callers of one provider.
        cache: Where answers are kept.
        usage: Counts the calls; share it between callers to count, and to budget, them together.
        budget: What `usage` may reach.
        max_retries: How often a failed call is sent again where that can help.

    Raises:
        ConfigurationError: `llm` is not a chat model, or `max_retries` is negative.

    Example:
        >>> import asyncio
        >>> from langchain_core.language_models import FakeListChatModel
        >>> from langchain_core.messages import HumanMessage
        >>> caller = Caller(FakeListChatModel(responses=["Paris"]))
        >>> asyncio.run(caller.ask([HumanMessage("The capital of France?")])).text
        'Paris'
        >>> caller.usage.calls
        1
    """

    def __init__(
        self,
        llm: "BaseChatModel | RunnableBinding[Any, Any]",
        *,
        gate: Gate | None = None,
        cache: AnswerCache | None = None,
        usage: Usage | None = None,
        budget: Budget | None = None,
        max_retries: int = 5,
    ) -> None:
        llm, self._bound, self._config = _unbound(llm)
        if not isinstance(llm, language_models.BaseChatModel):
            raise ConfigurationError(f"A {type(llm).__name__} is not a chat model; give a BaseChatModel or its name.")
        if max_retries < 0:
            raise ConfigurationError(f"max_retries is {max_retries}; give 0 or more.")
        self.llm = llm
        self.gate = gate if gate is not None else Gate()
        self.cache = cache
        self.usage = usage if usage is not None else Usage()
        self.budget = budget
        self.max_retries = max_retries
        self.traits = traits_of(llm)
        self.name = _name_of(llm)
        self._model = without_sdk_retries(llm)
        self._per_loop = PerLoopModel(self._model)
        self._joining: Joining[AIMessage] = Joining()
        self._measured = self._unmeasured = False

    async def ask(
        self, messages: Sequence[BaseMessage], *, config: RunnableConfig | None = None, sample: int = 0, **kwargs: Any
    ) -> Answer:
        """Ask the model.

        Args:
            messages: The request.
            config: Callbacks, tags and metadata for the call.
            sample: A number that tells apart several answers wanted to one request; equal requests with equal
                numbers share one answer.
            **kwargs: Passed on to the model, for instance `stop` or `logprobs`.

        Returns:
            The answer.

        Raises:
            ModelError: The call failed; its subclasses tell how.
            BudgetError: The budget is spent, or cannot be measured with this model.
        """
        kwargs = {**self._bound, **kwargs}
        if self._config:
            config = merge_configs(self._config, config)
        key = request_key(self.traits.identity, messages, kwargs, sample)
        if key is None:
            return _answer(await self._fetch(None, messages, config, kwargs))
        if self._joining.has(key):
            self.usage.add(joined=1)
        elif self.cache is not None and (stored := self.cache.get(key)) is not None:
            message = load_answer(stored)
            if message is not None:
                self.usage.add(cache_hits=1)
                self._refuse_refusal(message)
                return _answer(message, cached=True)
        return _answer(await self._joining.share(key, lambda: self._fetch(key, messages, config, kwargs)))

    async def _fetch(
        self, key: str | None, messages: Sequence[BaseMessage], config: RunnableConfig | None, kwargs: dict[str, Any]
    ) -> AIMessage:
        """Bring one answer in: budget, gate, retries, usage, cache."""
        self._refuse_unmeasurable()
        if self.budget is not None:
            self.budget.check(self.usage)  # a spent budget need not queue at the gate
        try:
            async with self.gate:
                message = await self._with_retries(messages, config, kwargs)
            if key is not None and self.cache is not None:
                self.cache.put(key, dump_answer(message))
            self._refuse_refusal(message)
        except ModelError:
            self.usage.add(failures=1)
            raise
        self._refuse_unmeasurable()
        return message

    async def _with_retries(
        self, messages: Sequence[BaseMessage], config: RunnableConfig | None, kwargs: dict[str, Any]
    ) -> AIMessage:
        try:
            return await self._attempt(messages, config, kwargs)
        except _CallError as error:
            first = error
        # Most calls never get here, and setting up the retries would cost each of them more than all else we do.
        unsent = [first]

        async def attempt() -> AIMessage:
            if unsent:
                raise unsent.pop()
            return await self._attempt(messages, config, kwargs)

        retrying = AsyncRetrying(
            stop=stop_after_attempt(self.max_retries + 1),
            retry=retry_if_exception(_is_worth_retrying),
            wait=self._wait,
            before_sleep=self._note_retry,
            sleep=asyncio.sleep,
            reraise=True,
        )
        try:
            return await retrying(attempt)
        except _CallError as last:
            raise last.failure.error from last.__cause__

    def _wait(self, state: RetryCallState) -> float:
        """Return the seconds to wait before the next attempt: as the provider asks, else more each time."""
        failure = _failure_of(state)
        if failure is not None and failure.wait is not None:
            self.gate.pause(failure.wait)  # holds everybody back; the next attempt waits there too
            return 0.0
        backoff = wait_exponential(multiplier=_FIRST_WAIT, max=_LONGEST_WAIT) + wait_random(0, _FIRST_WAIT / 2)
        return backoff(state)

    def _note_retry(self, state: RetryCallState) -> None:
        self.usage.add(retries=1)
        failure = _failure_of(state)
        logger.info("Retrying a model call: %s", failure.error if failure else "")

    async def _attempt(
        self, messages: Sequence[BaseMessage], config: RunnableConfig | None, kwargs: dict[str, Any]
    ) -> AIMessage:
        await self.gate.ready()
        self.usage.reserve(self.budget)
        start = time.perf_counter()
        try:
            message = await self._invoke(messages, config, kwargs)
        except AlignmentError:
            raise
        except Exception as error:
            raise _CallError(classify(error, self.llm, self.name)) from error
        finally:
            self.usage.add(seconds=time.perf_counter() - start)
        self._count(message)
        return message

    async def _invoke(
        self, messages: Sequence[BaseMessage], config: RunnableConfig | None, kwargs: dict[str, Any]
    ) -> AIMessage:
        # Not before: where the mark stands is no part of what an answer is cached under.
        request = mark_prefix(messages) if self.traits.marks_prefix else list(messages)
        if not self.traits.sync_only:
            return await (await self._per_loop.here()).ainvoke(request, config, **kwargs)
        # The loop's own pool may be far narrower than the gate, and an explicit pool does not carry the context.
        call = partial(copy_context().run, partial(self._model.invoke, request, config, **kwargs))
        return await run_in_executor(self.gate.executor, call)

    def _count(self, message: AIMessage) -> None:
        used = message.usage_metadata
        if used is None:
            if refusal_in(message) is None:  # one that was blocked has no count, whatever the model
                self._unmeasured = not self._measured  # nor does a stray one make a model unmeasurable
            return
        self._measured = True
        if "total_cost" in used:  # how langchain-core marks what came out of its own cache
            self.usage.add(calls=-1, cache_hits=1)
            return
        sent, received = used["input_tokens"], used["output_tokens"]
        self.usage.add(
            input_tokens=sent,
            output_tokens=received,
            cached_input_tokens=(used.get("input_token_details") or {}).get("cache_read") or 0,
            cost=self.budget.cost_of(sent, received) if self.budget is not None else 0.0,
        )

    def _refuse_refusal(self, message: AIMessage) -> None:
        if (reason := refusal_in(message)) is not None:
            raise RefusalError(f"The model {self.name} would not answer ({reason}); change what it is asked.")

    def _refuse_unmeasurable(self) -> None:
        if self._unmeasured and self.budget is not None and self.budget.needs_tokens:
            raise BudgetError(
                f"max_tokens and max_cost cannot be measured with this model ({self.name}), which does not "
                "report its tokens; use max_calls or max_seconds."
            )


class _CallError(Exception):
    """One attempt that failed, classified."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure


def _failure_of(state: RetryCallState) -> Failure | None:
    error = state.outcome.exception() if state.outcome else None
    return error.failure if isinstance(error, _CallError) else None


def _is_worth_retrying(error: BaseException) -> bool:
    if not isinstance(error, _CallError):
        return False
    wait = error.failure.wait
    return error.failure.retry and (wait is None or wait <= _LONGEST_PAUSE)


def _name_of(llm: "BaseChatModel") -> str:
    """What messages call the model."""
    names = (getattr(llm, field, None) for field in ("model_name", "model", "model_id"))
    return next((name for name in names if isinstance(name, str) and name), type(llm).__name__)


def _unbound(llm: Any) -> tuple[Any, dict[str, Any], RunnableConfig]:
    """Take apart what `llm.bind(…)` and `llm.with_config(…)` return: the model, what it is passed, its config."""
    kwargs: dict[str, Any] = {}
    config: RunnableConfig = {}
    while isinstance(llm, RunnableBinding):
        kwargs = {**llm.kwargs, **kwargs}
        config = merge_configs(llm.config, config)
        llm = llm.bound
    return llm, kwargs, config


def _answer(message: AIMessage, *, cached: bool = False) -> Answer:
    return Answer(visible_text(message), message, cached)


ChatModelLike = Union["BaseChatModel", RunnableBinding[Any, Any], str, Caller]
"""What every entry point takes for a model: a chat model, plain or bound, its name, or a caller."""


def as_caller(model: ChatModelLike, **settings: Any) -> Caller:
    """Put a model behind a gate.

    Args:
        model: A chat model, plain or bound, a name such as `"local:qwen2.5-coder-1.5b"`, or a caller, which passes
            through as it is.
        **settings: For the new `Caller`; a caller keeps its own.

    Returns:
        The caller.

    Raises:
        ModelNameError: The name resolves to nothing here.
        ConfigurationError: It is none of the three.
    """
    if isinstance(model, Caller):
        return model
    if isinstance(model, str):
        from langchain_model_alignment.models import resolve_chat_model

        model = resolve_chat_model(model)
    return Caller(model, **settings)
