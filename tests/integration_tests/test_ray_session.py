"""Where no Ray cluster is, one sentence within seconds says so."""

import re
import socket
import time

import pytest

pytest.importorskip("ray", reason='needs Ray: pip install "langchain-model-alignment[ray]"')
import ray

from langchain_model_alignment.errors import ConfigurationError
from langchain_model_alignment.integrations import ray_session as sessions
from langchain_model_alignment.integrations.ray_session import ray_session
from tests.integration_tests.ray_cases import RAY_WARNINGS

pytestmark = pytest.mark.filterwarnings(*RAY_WARNINGS)


def said_of(address: str) -> str:
    assert not ray.is_initialized()
    with pytest.raises(ConfigurationError) as caught, ray_session(address):
        pass
    assert not ray.is_initialized()
    return str(caught.value)


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_where_nothing_is(scheme: str):
    started = time.perf_counter()
    said = said_of(f"{scheme}127.0.0.1:1")
    assert time.perf_counter() - started < 10
    assert said == (
        f"No Ray cluster is at {scheme}127.0.0.1:1; check the address, or start one with: ray start --head."
    )


def test_an_address_where_something_else_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sessions, "_CHECK", 5.0)
    with socket.create_server(("127.0.0.1", 0)) as other:
        said = said_of(f"127.0.0.1:{other.getsockname()[1]}")
    assert said.endswith("(something answers there, but it is no Ray cluster).")


def test_an_address_that_is_none():
    assert re.match(r"No Ray cluster could be used at somewhere \(Invalid address format", said_of("somewhere"))


def test_no_cluster_on_this_machine():
    assert said_of("auto").startswith("No Ray cluster could be used at auto (Could not find any running Ray instance")
