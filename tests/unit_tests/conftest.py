"""Unit tests open no sockets and send no traces."""

import os

import pytest
from pytest_socket import disable_socket, enable_socket

TRACING = ("LANGSMITH_", "LANGCHAIN_TRACING", "LANGCHAIN_API_KEY", "LANGCHAIN_ENDPOINT", "LANGCHAIN_PROJECT")

for _name in [name for name in os.environ if name.startswith(TRACING)]:
    del os.environ[_name]


@pytest.fixture(autouse=True)
def _no_network():
    """A unit test that reaches for the network fails (event loops need their socket pair, so unix sockets stay)."""
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch):
    """A retried call waits for a millisecond, not for half a second."""
    monkeypatch.setattr("langchain_model_alignment.calls._FIRST_WAIT", 0.001)
