"""`ChatOpenAI` pointed at a server in this process. Importing this file needs langchain-openai."""

import hashlib
from typing import Any, ClassVar

from langchain_openai import ChatOpenAI
from openai import DEFAULT_CONNECTION_LIMITS, DefaultAsyncHttpxClient, DefaultHttpxClient, Timeout
from pydantic import SecretStr

from langchain_model_alignment.local.catalog import CATALOG
from langchain_model_alignment.local.server import LocalServer

__all__ = ["LocalChatModel", "make_chat_model"]

_LONGEST_WAIT = 3600.0  # seconds; a full gate waits in line for two slots
# Weights without a chat template are asked in ChatML, whose marks are plain text to them: nothing else ends their turn.
_END_OF_TURN = "<|im_end|>"


class LocalChatModel(ChatOpenAI):
    """A chat model on a server of this process.

    Attributes:
        weights_id: Names the weights by what they are; the address is another one in each process.
    """

    is_local_model: ClassVar[bool] = True
    weights_id: str = ""


def make_chat_model(name: str, server: LocalServer, kwargs: dict[str, Any]) -> LocalChatModel:
    """Make the chat model for a running server.

    Args:
        name: The name it was asked for by.
        server: The server that holds its weights.
        kwargs: What else `ChatOpenAI` takes.

    Returns:
        The chat model.
    """
    # No idle connections: one would belong to the event loop that opened it, and the next loop could not use it.
    # No environment: a proxy set there does not know this machine's loopback interface.
    transport: dict[str, Any] = {
        # The class of the limits differs between versions of openai (httpx or httpx2).
        "limits": type(DEFAULT_CONNECTION_LIMITS)(max_keepalive_connections=0),
        "trust_env": False,
        "timeout": Timeout(_LONGEST_WAIT, connect=10.0),
    }
    settings: dict[str, Any] = {
        "model": name if name in CATALOG else server.weights.stem,
        "base_url": server.base_url,
        "api_key": SecretStr(server.api_key),
        "max_retries": 0,
        "timeout": _LONGEST_WAIT,
        "stream_usage": True,
        "use_responses_api": False,
        "stop": [_END_OF_TURN],
        "openai_proxy": None,
        "http_client": DefaultHttpxClient(**transport),
        "http_async_client": DefaultAsyncHttpxClient(**transport),
        "weights_id": _weights_id(name, server),
    }
    return LocalChatModel(**{**settings, **kwargs})


def _weights_id(name: str, server: LocalServer) -> str:
    if name in CATALOG:
        return CATALOG[name].sha256
    stat = server.weights.stat()
    return hashlib.sha256(f"{server.weights}\0{stat.st_size}\0{stat.st_mtime_ns}".encode()).hexdigest()
