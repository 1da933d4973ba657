"""Gemini's HTTP interface, played from responses written down here in the shape that its documentation gives.

Skips, with the install line, where langchain-google-genai is missing.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import pytest

pytest.importorskip("langchain_google_genai", reason='pip install "langchain-model-alignment[google]"')

from langchain_model_alignment.models import resolve_chat_model

Body = dict[str, Any]
Reply = tuple[int, Body] | Body
COUNTS: Body = {
    "promptTokenCount": 7,
    "candidatesTokenCount": 3,
    "thoughtsTokenCount": 5,
    "cachedContentTokenCount": 4,
    "totalTokenCount": 15,
}


class Gemini:
    """Answers requests with a body, with each body of a list in turn, or with what a function makes of a request."""

    def __init__(self, replies: Reply | Sequence[Reply] | Callable[[Body], Reply]) -> None:
        self.replies = replies
        self.requests: list[Body] = []
        self.urls: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        self.requests.append(asked)
        self.urls.append(str(request.url))
        reply: Any = self.replies
        if callable(reply):
            reply = reply(asked)
        elif isinstance(reply, list):
            reply = reply[min(len(self.requests), len(reply)) - 1]
        status, body = reply if isinstance(reply, tuple) else (200, reply)
        return httpx.Response(status, json=body)

    def model(self, name: str = "gemini-2.5-flash", **settings: Any) -> Any:
        transport = {"transport": httpx.MockTransport(self)}
        return resolve_chat_model(
            f"google_genai:{name}", api_key="AIzaSy-no-key-0000", client_args=transport, **settings
        )


def said(*texts: str, reason: str = "STOP") -> Body:
    """An answer of one candidate, or of several."""
    candidates = [
        {"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": reason, "index": at}
        for at, text in enumerate(texts)
    ]
    return {"candidates": candidates, "usageMetadata": COUNTS, "modelVersion": "gemini-2.5-flash"}


def stopped(reason: str) -> Body:
    """An answer that a filter stopped: a candidate without content."""
    ratings = [{"category": "HARM_CATEGORY_HATE_SPEECH", "probability": "HIGH", "blocked": True}]
    candidate = {"finishReason": reason, "index": 0, "safetyRatings": ratings}
    return {"candidates": [candidate], "usageMetadata": {"promptTokenCount": 7, "totalTokenCount": 7}}


def blocked(reason: str) -> Body:
    """A prompt that a filter stopped: no candidate at all."""
    return {"promptFeedback": {"blockReason": reason}, "usageMetadata": {"promptTokenCount": 7, "totalTokenCount": 7}}


def failed(code: int, status: str, message: str, *details: Body) -> tuple[int, Body]:
    return code, {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


def over_quota(delay: str, quota: str = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier") -> tuple[int, Body]:
    metric = "generativelanguage.googleapis.com/generate_content_free_tier_requests"
    return failed(
        429,
        "RESOURCE_EXHAUSTED",
        "You exceeded your current quota, please check your plan and billing details.",
        {
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{"quotaMetric": metric, "quotaId": quota, "quotaValue": "10"}],
        },
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
    )
