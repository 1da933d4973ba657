"""Chat models that play a script, and the exceptions that the providers' packages raise.

Shared by all tests. A reply is a text, an ``AIMessage``, an exception to raise, or a function of the messages
that returns one of these; a list of replies is used in order, and asking for more than it holds is an error.

    model = ScriptedChatModel("yes")                          # always "yes"
    model = ScriptedChatModel(["first", http_error(503), "third"])
    model = ScriptedChatModel(lambda messages: messages[-1].text.upper(), latency=0.01)
    model.calls, model.requests[0].messages, model.requests[0].kwargs, model.peak
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field, PrivateAttr

Reply = str | AIMessage | BaseException
Script = Reply | Callable[[list[BaseMessage]], Reply] | Sequence[Reply | Callable[[list[BaseMessage]], Reply]]


class ScriptExhaustedError(Exception):
    """The model was asked more often than its script has replies."""


class HTTPStatusError(Exception):
    """Looks like what the OpenAI and Anthropic packages raise: ``status_code``, ``response``, ``body``."""

    def __init__(self, message: str, response: httpx.Response) -> None:
        super().__init__(message)
        self.response = response
        self.status_code = response.status_code
        self.body = None


class APIConnectionError(Exception):
    """Looks, by its name, like the connection error of the OpenAI and Anthropic packages."""


def http_error(
    status: int, message: str = "", *, retry_after: float | str | None = None, headers: dict[str, str] | None = None
) -> HTTPStatusError:
    """An exception with ``status_code`` and ``response.headers``, as the providers' packages raise."""
    all_headers = dict(headers or {})
    if retry_after is not None:
        all_headers["retry-after"] = str(retry_after)
    request = httpx.Request("POST", "https://example.invalid/v1/chat/completions")
    response = httpx.Response(status, headers=all_headers, request=request)
    return HTTPStatusError(message or f"Error code: {status}", response)


def token_count(text: str) -> int:
    """The fakes' idea of tokens: words, at least one."""
    return max(1, len(text.split()))


@dataclass
class Request:
    """One request as the model saw it."""

    messages: list[BaseMessage]
    kwargs: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """All messages as one text, for `in` checks."""
        return "\n".join(f"{message.type}: {message.text}" for message in self.messages)


class _Scripted(BaseChatModel):
    """What both fakes share: the script, the records and the peak of calls at once."""

    reply: Any = "ok"
    latency: float = 0.0
    with_usage: bool = True
    model_name: str = "scripted"
    requests: list[Request] = Field(default_factory=list, repr=False)
    calls: int = 0
    active: int = 0
    peak: int = 0
    threads: set[str] = Field(default_factory=set, repr=False)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

    def __init__(self, reply: Script = "ok", **kwargs: Any) -> None:
        super().__init__(reply=reply, **kwargs)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name}

    @property
    def last(self) -> Request:
        return self.requests[-1]

    def _begin(self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]) -> Any:
        """Records the request; returns its reply. The reply is chosen here, so a list is used in order of arrival."""
        with self._lock:
            number = self.calls
            self.calls += 1
            self.active += 1
            self.peak = max(self.peak, self.active)
            self.threads.add(threading.current_thread().name)
            recorded = dict(kwargs) if stop is None else {**kwargs, "stop": stop}
            self.requests.append(Request(list(messages), recorded))
            if not isinstance(self.reply, (list, tuple)):
                return self.reply
            if number < len(self.reply):
                return self.reply[number]
            return ScriptExhaustedError(f"call {number + 1} of a script of {len(self.reply)} replies")

    def _end(self) -> None:
        with self._lock:
            self.active -= 1

    def _result(self, reply: Any, messages: list[BaseMessage]) -> ChatResult:
        if callable(reply) and not isinstance(reply, (BaseException, AIMessage)):
            reply = reply(messages)
        if isinstance(reply, BaseException):
            raise reply
        message = reply.model_copy() if isinstance(reply, AIMessage) else AIMessage(content=reply)
        if self.with_usage and message.usage_metadata is None:
            sent, received = sum(token_count(m.text) for m in messages), token_count(message.text)
            message.usage_metadata = UsageMetadata(
                input_tokens=sent, output_tokens=received, total_tokens=sent + received
            )
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        reply = self._begin(messages, stop, kwargs)
        try:
            if self.latency:
                time.sleep(self.latency)
            return self._result(reply, messages)
        finally:
            self._end()


class SyncOnlyChatModel(_Scripted):
    """A scripted model with only the sync method, as many community models are."""


class ScriptedChatModel(_Scripted):
    """A scripted model with a native async method."""

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        reply = self._begin(messages, stop, kwargs)
        try:
            if self.latency:
                await asyncio.sleep(self.latency)
            return self._result(reply, messages)
        finally:
            self._end()


class ToolModel(ScriptedChatModel):
    """A scripted model that takes tools; a reply may be an ``AIMessage`` that calls one."""

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        return self.bind(tool_names=[getattr(tool, "name", "") for tool in tools])


def texts(messages: Iterable[BaseMessage]) -> list[str]:
    """The texts of messages, for short assertions."""
    return [message.text for message in messages]
