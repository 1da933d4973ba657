"""Chat models by name: a string such as ``"local:qwen2.5-coder-1.5b"`` becomes a chat model."""

import os
import re
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from langchain_model_alignment.errors import AlignmentError, AuthenticationError, ModelNameError

if TYPE_CHECKING:  # slow to import, and whoever has a model has it already
    from langchain_core.language_models import BaseChatModel

__all__ = ["resolve_chat_model"]

_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def resolve_chat_model(name: str, **kwargs: Any) -> "BaseChatModel":
    """Make a chat model from its name.

    ``local`` and ``local:NAME`` (or NAME alone, see ``langchain-align models list``) run on this machine, as does
    ``local:/path/to/weights.gguf``. ``google_genai:…``, ``openai:…`` and ``huggingface:REPO_OR_FOLDER`` need the
    provider's package; any other ``provider:model`` goes to `langchain.chat_models.init_chat_model`. Any server that
    speaks OpenAI's API is reached with ``"openai:…"`` and ``base_url=``, or the environment variable OPENAI_BASE_URL;
    on this machine it needs no key. The provider's own retries are off, since this library retries.

    Args:
        name: ``provider:model``, or the name of a known local model.
        **kwargs: Passed on to the chat model's constructor.

    Returns:
        The chat model.

    Raises:
        ModelNameError: The name means nothing here, or its package is not installed.
        AuthenticationError: The provider's key is missing.
        WeightsError: A local model's weights cannot be had.
        ServerError: The local model server cannot start.
    """
    from langchain_model_alignment.local.catalog import CATALOG

    name = name.strip()
    if name in CATALOG or (name.endswith(".gguf") and name.partition(":")[0] not in _MAKERS):
        name = f"local:{name}"
    provider, _, model = name.partition(":")
    if not model and provider != "local":
        raise ModelNameError(
            f"The model name {name!r} has no provider: write it as provider:model, for example "
            f"'google_genai:gemini-2.5-flash', or take a local one ({', '.join(CATALOG)})."
        )
    maker = _MAKERS.get(provider)
    with _ConstructorErrors(name):
        return maker(model, kwargs) if maker else _init_chat_model(name, kwargs)


def _local(model: str, kwargs: dict[str, Any]) -> "BaseChatModel":
    from langchain_model_alignment.local import local_chat_model

    return local_chat_model(model, **kwargs) if model else local_chat_model(**kwargs)


def _google(model: str, kwargs: dict[str, Any]) -> "BaseChatModel":
    chat = _load("langchain_google_genai", "ChatGoogleGenerativeAI", "langchain-model-alignment[google]")
    # 1 is one attempt; Google's package reads 0 as its own default.
    return chat(**{"model": model, "max_retries": 1, **kwargs})  # type: ignore[no-any-return]


def _openai(model: str, kwargs: dict[str, Any]) -> "BaseChatModel":
    chat = _load("langchain_openai", "ChatOpenAI", "langchain-openai")
    given = {_OPENAI_ALIASES.get(name, name): value for name, value in kwargs.items()}
    options: dict[str, Any] = {"model": model, "max_retries": 0, "stream_usage": True, **given}
    # Named here, so that the identity tells servers apart: the SDK would read the variable for itself.
    if url := options.get("base_url") or os.environ.get("OPENAI_API_BASE") or os.environ.get("OPENAI_BASE_URL"):
        options["base_url"] = url
        if not os.environ.get("OPENAI_API_KEY") and urlsplit(str(url)).hostname in _THIS_MACHINE:
            options = {"api_key": "-", **options}  # a server on this machine seldom asks for one
    return chat(**options)  # type: ignore[no-any-return]


def _hugging_face(model: str, kwargs: dict[str, Any]) -> "BaseChatModel":
    for package in ("torch", "transformers", "langchain_huggingface"):
        _need(package, "langchain-model-alignment[huggingface]")
    from langchain_model_alignment.local import hugging_face_chat_model

    return hugging_face_chat_model(model, **kwargs)


_MAKERS: "dict[str, Callable[[str, dict[str, Any]], BaseChatModel]]" = {
    "local": _local,
    "google_genai": _google,
    "openai": _openai,
    "huggingface": _hugging_face,
}
_OPENAI_ALIASES = {"openai_api_key": "api_key", "openai_api_base": "base_url"}  # ChatOpenAI takes both names of each
_RETRIES_OFF = ("anthropic", "azure_openai", "deepseek", "fireworks", "groq", "mistralai", "together", "xai")


def _init_chat_model(name: str, kwargs: dict[str, Any]) -> "BaseChatModel":
    if not _installed("langchain"):
        raise ModelNameError(
            f"The model name {name!r} is not one this package knows by itself: pip install langchain and the "
            f"provider's package, or name one of {', '.join(f'{known}:…' for known in _MAKERS)}."
        )
    init: Callable[..., BaseChatModel] = import_module("langchain.chat_models").init_chat_model
    if name.partition(":")[0] in _RETRIES_OFF:
        kwargs = {"max_retries": 0, **kwargs}
    return init(name, **kwargs)


class _ConstructorErrors:
    """Turns what a provider's constructor raises into one sentence that repeats no input, since it may hold a key."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, AlignmentError) or not isinstance(error, Exception):
            return
        first = error.errors(include_input=False)[0]["msg"] if isinstance(error, ValidationError) else str(error)
        reason = (first.strip() or type(error).__name__).splitlines()[0].rstrip(".")
        if re.search(r"api.?key|credential|api.?token|unauthori[sz]ed", first, re.IGNORECASE):
            raise AuthenticationError(f"No usable key for {self.name!r}: {reason}.") from None
        raise ModelNameError(f"The model {self.name!r} cannot be made here: {reason}.") from None


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def _need(package: str, requirement: str) -> None:
    if not _installed(package):
        raise ModelNameError(f'This model needs the package {package}: pip install "{requirement}".')


def _load(package: str, attribute: str, requirement: str) -> Any:
    _need(package, requirement)
    return getattr(import_module(package), attribute)
