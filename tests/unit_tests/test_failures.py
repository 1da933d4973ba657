"""Providers' exceptions become ours."""

import email.utils
import time

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage

from langchain_model_alignment import errors
from langchain_model_alignment.failures import classify, refusal_in, retry_after
from langchain_model_alignment.redaction import redact
from tests.fakes import APIConnectionError, ScriptedChatModel, http_error

MODEL = ScriptedChatModel()


class WithCodeError(Exception):
    """As google-genai raises."""

    def __init__(self, code: int | str, message: str = "") -> None:
        super().__init__(message)
        self.code = code


def wrapped(cause: Exception) -> Exception:
    try:
        raise RuntimeError("outer") from cause
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(
    ("status", "kind", "retry"),
    [
        *((401, errors.AuthenticationError, False), (403, errors.AuthenticationError, False)),
        *((400, errors.BadRequestError, False), (404, errors.BadRequestError, False)),
        *((422, errors.BadRequestError, False), (408, errors.UnavailableError, True)),
        *((409, errors.UnavailableError, True), (429, errors.RateLimitError, True)),
        *((500, errors.UnavailableError, True), (529, errors.UnavailableError, True)),
    ],
)
def test_a_status_tells_wherever_it_is_found(status: int, kind: type, retry: bool):
    for error in (
        http_error(status),
        WithCodeError(status),
        wrapped(http_error(status)),
        wrapped(WithCodeError(status)),
    ):
        failure = classify(error, MODEL, "m")
        assert type(failure.error) is kind
        assert failure.retry is retry


@pytest.mark.parametrize(
    "error",
    [TimeoutError(), ConnectionRefusedError(), APIConnectionError(), RuntimeError("Event loop is closed")],
)
def test_what_did_not_get_through_is_tried_again(error: Exception):
    for shown in (error, wrapped(error)):
        failure = classify(shown, MODEL, "m")
        assert isinstance(failure.error, errors.UnavailableError)
        assert failure.retry


def test_httpx_errors_are_connection_errors():
    for error in (httpx.ConnectError("no"), httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("odd")):
        assert classify(error, MODEL, "m").retry


def test_a_reply_that_a_proxy_cut_short_is_tried_again():
    with pytest.raises(ValueError, match="Expecting") as caught:
        httpx.Response(200, content=b'{"choices": [').json()
    failure = classify(wrapped(caught.value), MODEL, "m")
    assert type(failure.error) is errors.UnavailableError
    assert failure.retry


def test_geminis_bad_key_is_a_400_and_still_a_bad_key():
    error = http_error(400, "400 INVALID_ARGUMENT. API key not valid. Please pass a valid API key.")
    assert isinstance(classify(error, MODEL, "m").error, errors.AuthenticationError)


def test_a_key_that_was_never_given_is_a_bad_key():
    error = RuntimeError("The api_key client option must be set either by passing api_key to the client or otherwise")
    assert isinstance(classify(error, MODEL, "m").error, errors.AuthenticationError)


def test_an_empty_account_is_not_tried_again():
    failure = classify(http_error(429, "Error: insufficient_quota"), MODEL, "m")
    assert isinstance(failure.error, errors.RateLimitError)
    assert not failure.retry


def test_a_string_code_is_no_status():
    assert type(classify(WithCodeError("content_filter"), MODEL, "m").error) is errors.ModelError


def test_our_own_errors_pass_as_they_are():
    own = errors.ServerError("The server did not start.")
    assert classify(own, MODEL, "m").error is own
    assert classify(wrapped(own), MODEL, "m").error is own


def test_an_error_raised_while_another_of_ours_was_handled_is_still_itself():
    error = KeyError("odd")
    error.__context__ = errors.BudgetError("spent")
    assert type(classify(error, MODEL, "m").error) is errors.ModelError


def test_refusing_exceptions_are_refusals():
    refusing = type("ContentFilterFinishReasonError", (Exception,), {})
    assert isinstance(classify(refusing("no"), MODEL, "m").error, errors.RefusalError)


@pytest.mark.parametrize("header", ["retry-after", "Retry-After"])
def test_retry_after_is_read_in_seconds_and_as_a_date(header: str):
    assert retry_after(http_error(429, headers={header: "7"})) == 7
    date = email.utils.formatdate(time.time() + 60, usegmt=True)
    assert 55 < (retry_after(http_error(429, headers={header: date})) or 0) <= 60
    assert retry_after(wrapped(http_error(429, retry_after="1.5"))) == 1.5


def test_retry_after_is_read_in_milliseconds_and_from_googles_details():
    assert retry_after(http_error(429, headers={"retry-after-ms": "250"})) == 0.25
    details = "{'@type': 'type.googleapis.com/google.rpc.RetryInfo', 'retryDelay': '39s'}"
    assert retry_after(WithCodeError(429, details)) == 39


@given(st.text())
def test_any_header_is_a_number_or_nothing(value: str):
    error = http_error(429)
    error.response = type("Response", (), {"headers": {"retry-after": value}})()
    wait = retry_after(error)
    assert wait is None or wait >= 0


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        *(({"finish_reason": name}, name) for name in ("SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "content_filter")),
        ({"stop_reason": "refusal"}, "refusal"),
        ({"prompt_feedback": {"block_reason": "SAFETY"}}, "blocked prompt: SAFETY"),
        ({"finish_reason": "stop"}, None),
        ({"finish_reason": None, "prompt_feedback": {"block_reason": 0}}, None),
        ({}, None),
    ],
)
def test_a_refusal_is_known_by_its_metadata(metadata: dict, reason: str | None):
    assert refusal_in(AIMessage("", response_metadata=metadata)) == reason


def test_a_refusal_is_known_by_its_own_field():
    assert refusal_in(AIMessage("", additional_kwargs={"refusal": "I cannot."})) == "I cannot."
    assert refusal_in(AIMessage("yes", additional_kwargs={"refusal": None})) is None
    assert refusal_in(AIMessage([{"type": "refusal", "refusal": "No."}])) == "No."


@pytest.mark.parametrize(
    "secret",
    ["sk-proj-abcDEF123456", "AIzaSyA1234567890abc", "hf_abcdefghij", "gsk_abcdefghij", "sk-ant-api03-xyz_123456"],
)
@given(before=st.text("abc .:", max_size=5), after=st.sampled_from(["", " ", ".", "'", '"', ",", "\n"]))
def test_keys_are_taken_out_of_any_text(secret: str, before: str, after: str):
    assert secret not in redact(f"{before} {secret}{after}")


def test_bearer_tokens_and_keys_in_addresses_are_taken_out():
    assert "abcdef123" not in redact("Authorization: Bearer abcdef123456")
    assert "abcdef123" not in redact("https://host/v1?key=abcdef123456&alt=sse")


def test_ordinary_words_stay():
    text = "The key was refused, the risk-free sk- prefix and the task-list stay."
    assert redact(text) == text


def test_long_words_of_a_provider_are_cut():
    assert len(str(classify(http_error(400, "x" * 10_000), MODEL, "m").error)) < 500
