"""What went wrong with a model call, and whether asking again can help.

Providers' packages raise their own exceptions, often wrapped. They are told apart by what they share: an HTTP status,
a class name, a `Retry-After` header.
"""

import asyncio
import email.utils
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core import exceptions as core_exceptions
from langchain_core.messages import AIMessage

from langchain_model_alignment.errors import (
    AlignmentError,
    AuthenticationError,
    BadRequestError,
    MalformedAnswerError,
    ModelError,
    RateLimitError,
    RefusalError,
    UnavailableError,
)
from langchain_model_alignment.redaction import redact

if TYPE_CHECKING:  # slow to import, and whoever has a model has it already
    from langchain_core.language_models import BaseChatModel

__all__ = ["Failure", "classify", "refusal_in", "retry_after"]

_DETAIL = 300  # characters of the provider's own words in a message
_BAD_KEY = re.compile(
    r"api[ _-]?key (is )?(not valid|invalid|expired|missing)|API_KEY_INVALID|invalid api[ _-]?key", re.IGNORECASE
)
_NO_KEY = re.compile(r"api[ _-]?key\b.*(must be set|not set|missing|required|not found)|credentials", re.IGNORECASE)
_NO_QUOTA = "insufficient_quota"
_CONNECTION = frozenset(
    {
        *("APIConnectionError", "APITimeoutError", "TransportError", "ConnectionError", "Timeout", "TimeoutException"),
        *("ModelConnectionError", "ModelTimeoutError", "ModelAPIError", "StreamChunkTimeoutError"),
        *("ClientConnectionError", "ClientPayloadError", "ServerDisconnectedError", "ServiceUnavailable"),
    }
)
_BY_NAME = {  # langchain-core's own classes, and Google's older ones, say it without a status
    "ModelInvalidRequestError": 400,
    "ModelAuthenticationError": 401,
    "ModelPermissionDeniedError": 403,
    "ModelNotFoundError": 404,
    "ModelRateLimitError": 429,
    "ResourceExhausted": 429,
}
_OTHER_LOOP = re.compile("event loop is closed|different (event )?loop", re.IGNORECASE)
_REFUSING = frozenset({"ContentFilterFinishReasonError", "OpenAIRefusalError"})
_REFUSED = frozenset(
    {
        *("safety", "prohibited_content", "blocklist", "content_filter", "refusal", "spii", "image_safety", "blocked"),
        *("guardrail_intervened", "content_filtered", "sensitive", "recitation", "language"),
        *("image_prohibited_content", "image_recitation"),
    }
)
_REFUSAL_TYPE: type[BaseException] | None = getattr(core_exceptions, "ModelRefusalError", None)  # langchain-core 1.7.5


@dataclass(frozen=True)
class Failure:
    """One failed attempt.

    Attributes:
        error: What this library raises for it.
        retry: Whether asking again can help.
        wait: Seconds that the provider asked to wait; None when it did not say.
    """

    error: AlignmentError
    retry: bool = False
    wait: float | None = None


def classify(exception: BaseException, llm: "BaseChatModel", name: str) -> Failure:
    """Say what an exception of a model call means.

    Args:
        exception: What the call raised.
        llm: The model; its secrets are kept out of the message.
        name: What the message calls the model.

    Returns:
        The failure.
    """
    chain = list(_chain(exception))
    for link in _chain(exception, contexts=False):
        if isinstance(link, AlignmentError):
            return Failure(link)
    words = redact(" ".join(str(exception).split()), llm)[:_DETAIL] or type(exception).__name__
    detail = words.rstrip(".")
    model = f"the model {name}"
    if any(_is_refusal(link) for link in chain):
        return Failure(RefusalError(f"T{model[1:]} would not answer: {detail}."))
    if any(type(link).__name__ == "LengthFinishReasonError" for link in chain):
        return Failure(
            MalformedAnswerError(f"The answer of {model} was cut off at its length limit; raise max_tokens.")
        )
    status = next((code for link in chain if (code := _status(link)) is not None), None)
    if status is not None:
        text = " ".join(str(link) for link in chain)
        return _by_status(status, text, f"{model} ({status}): {detail}.", retry_after(exception))
    if any(_NO_KEY.search(str(link)) for link in chain):
        return Failure(AuthenticationError(f"There is no usable key for {model}: {detail}."))
    if any(_is_connection(link) for link in chain):
        return Failure(UnavailableError(f"Could not reach {model}: {detail}."), retry=True)
    if any(isinstance(link, json.JSONDecodeError) for link in _chain(exception, contexts=False)):
        # The body of a reply, whole by its length: a proxy cut it short. What a model says is read elsewhere.
        return Failure(UnavailableError(f"A reply of {model} cannot be read: {detail}."), retry=True)
    return Failure(ModelError(f"The call of {model} failed with {type(exception).__name__}: {detail}."))


def _by_status(status: int, text: str, subject: str, wait: float | None) -> Failure:
    if status in (401, 403) or (status == 400 and _BAD_KEY.search(text)):
        return Failure(AuthenticationError(f"The key was not accepted; check it for {subject}"))
    if status == 429:
        return Failure(RateLimitError(f"Over the rate limit of {subject}"), retry=_NO_QUOTA not in text, wait=wait)
    if status in (408, 409) or status >= 500:
        return Failure(UnavailableError(f"No answer from {subject}"), retry=True, wait=wait)
    if 400 <= status < 500:
        return Failure(BadRequestError(f"The request was refused by {subject}"))
    return Failure(ModelError(f"Unexpected status from {subject}"))


def refusal_in(message: AIMessage) -> str | None:
    """Why an answer is a refusal.

    Args:
        message: An answer.

    Returns:
        The reason in the provider's words, or None for an ordinary answer.
    """
    if said := message.additional_kwargs.get("refusal"):
        return str(said)
    metadata = message.response_metadata
    for name in ("finish_reason", "stop_reason"):
        reason = metadata.get(name)
        if isinstance(reason, str) and reason.lower().removeprefix("finishreason.") in _REFUSED:
            return reason
    feedback = metadata.get("prompt_feedback")
    if isinstance(feedback, dict) and feedback.get("block_reason") and not message.content:
        return f"blocked prompt: {getattr(feedback['block_reason'], 'name', feedback['block_reason'])}"
    if isinstance(message.content, list):
        for block in message.content:
            if isinstance(block, dict) and block.get("type") == "refusal":
                return str(block.get("refusal") or "refusal")
    return None


def retry_after(exception: BaseException) -> float | None:
    """How long the provider asks to wait.

    Args:
        exception: What the call raised.

    Returns:
        Seconds, at least 0; None when it does not say.
    """
    for link in _chain(exception):
        headers = getattr(getattr(link, "response", None), "headers", None)
        if headers is not None and hasattr(headers, "get"):
            if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
                return milliseconds / 1000
            if (seconds := _header(headers.get("retry-after") or headers.get("Retry-After"))) is not None:
                return seconds
        # Google's RetryInfo is part of the body, and of the message made of it.
        if found := re.search(
            r"retry_?delay['\"]?\s*[:=]?\s*['\"{]?\s*(?:seconds:\s*)?(\d+(?:\.\d+)?)", str(link), re.IGNORECASE
        ):
            return float(found[1])
    return None


def _chain(exception: BaseException, *, contexts: bool = True) -> Iterator[BaseException]:
    """The exception and what it was raised from (and during), outermost first."""
    seen: set[int] = set()
    link: BaseException | None = exception
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        context = link.__context__ if contexts and not link.__suppress_context__ else None
        link = link.__cause__ or context


def _status(link: BaseException) -> int | None:
    response: Any = getattr(link, "response", None)
    for value in (
        getattr(link, "status_code", None),
        getattr(link, "code", None),
        getattr(response, "status_code", None),
        getattr(response, "status", None),
        getattr(link, "status", None),
    ):
        number = getattr(value, "value", value)
        if isinstance(number, int) and not isinstance(number, bool) and 300 <= number <= 599:
            return number
    return next((_BY_NAME[base.__name__] for base in type(link).__mro__ if base.__name__ in _BY_NAME), None)


def _is_connection(link: BaseException) -> bool:
    if isinstance(link, (TimeoutError, asyncio.TimeoutError, ConnectionError)):
        return True
    if isinstance(link, RuntimeError) and _OTHER_LOOP.search(str(link)):
        return True  # a kept connection of another event loop; the attempt threw it away and sent nothing
    return any(base.__name__ in _CONNECTION for base in type(link).__mro__)


def _is_refusal(link: BaseException) -> bool:
    if _REFUSAL_TYPE is not None and isinstance(link, _REFUSAL_TYPE):
        return True
    return type(link).__name__ in _REFUSING


def _header(value: Any) -> float | None:
    """Retry-After holds seconds or a date."""
    if value is None or (seconds := _number(value)) is not None:
        return None if value is None else seconds
    try:
        return max(0.0, email.utils.parsedate_to_datetime(str(value)).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (ValueError, TypeError):
        return None
    return number if 0 <= number < float("inf") else None
