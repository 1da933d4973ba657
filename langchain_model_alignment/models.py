"""What a chat model can do, and chat models by name.

`resolve_chat_model` turns a string such as ``"local:qwen2.5-coder-1.5b"`` into a chat model; `traits_of` tells what
the rest of this library has to know about a chat model before it asks it anything.
"""

import hashlib
import itertools
import json
import os
import re
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from langchain_core import language_models  # lazy: the classes are loaded at their first use
from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError

from langchain_model_alignment.errors import AlignmentError, AuthenticationError, ModelNameError

if TYPE_CHECKING:  # slow to import, and whoever has a model has it already
    from langchain_core.language_models import BaseChatModel, BaseLanguageModel

__all__ = ["ModelTraits", "resolve_chat_model", "traits_of"]

_NAMES = ("model_name", "model", "model_id", "repo_id", "deployment_name", "azure_deployment", "weights_id")
_URLS = ("openai_api_base", "base_url", "azure_endpoint", "anthropic_api_url", "endpoint_url", "inference_server_url")
_SAMPLING = (
    *("temperature", "top_p", "top_k", "seed", "n", "stop", "stop_sequences", "max_tokens", "max_output_tokens"),
    *("max_new_tokens", "num_predict", "presence_penalty", "frequency_penalty", "reasoning_effort", "thinking_budget"),
)
_OPAQUE = ("model_kwargs", "pipeline_kwargs", "extra_body", "reasoning", "thinking", "thinking_level", "logit_bias")
_SECRET = re.compile(r"key|secret|passw|credential|header|bearer|auth|(access|api|hf)_?token|^token$", re.IGNORECASE)
_SIZE = re.compile(r"(?<![\d.])(?:(\d+)x)?(\d+(?:\.\d+)?)([bm])(?![a-z0-9])", re.IGNORECASE)
_THINKING = re.compile(r"gemini-(2\.5|[3-9]|(flash|pro)(-lite)?-latest)|(?:^|/)(o\d|gpt-[5-9])(?![a-z\d])")
_LOGPROBS = ("BaseChatOpenAI", "HuggingFaceChatModel")
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
_SMALL_UP_TO = 4e9  # parameters; what was measured to need short steps ends well below

_process = uuid.uuid4().hex[:12]
_counter = itertools.count(1)
_tokens: dict[int, str] = {}


@dataclass(frozen=True)
class ModelTraits:
    """What this library needs to know about a chat model.

    Attributes:
        identity: Names the model and all that shapes its answers, never a secret; answers are cached under it.
        structured: Whether `with_structured_output` really constrains or parses, or a prompt has to ask for JSON.
        small: Whether the model does better in short single-purpose steps (about 4 billion parameters or fewer).
        sync_only: Whether the model has only the synchronous method, so that each call needs a thread.
        logprobs: Whether it takes `logprobs=True` and `top_logprobs=n` as OpenAI's API does. A model that was made with
            `logprobs=False` does not: that is how to say that a server has none to tell.
        marks_prefix: Whether its prompt cache has to be told, in the request, where the stable part ends.
    """

    identity: str
    structured: Literal["native", "prompted"]
    small: bool
    sync_only: bool
    logprobs: bool
    marks_prefix: bool = False


def traits_of(llm: "BaseChatModel") -> ModelTraits:
    """Tell what `llm` can do, without calling it.

    Args:
        llm: Any chat model. A model class without a model name and without `_identifying_params` of its own gets an
            identity that only this object has in this process, so that two of them never share cached answers.

    Returns:
        The traits.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> traits = traits_of(FakeListChatModel(responses=["yes"]))
        >>> traits.structured, traits.small, traits.sync_only
        ('prompted', False, False)
    """
    ancestors = {base.__name__ for base in type(llm).__mro__}
    hugging_face = "ChatHuggingFace" in ancestors
    pipeline = hugging_face and "Pipeline" in type(getattr(llm, "llm", None)).__name__
    local = pipeline or getattr(llm, "is_local_model", False)
    return ModelTraits(
        identity=_identity(llm),
        structured="prompted" if hugging_face or not _has_structured_output(type(llm), ancestors) else "native",
        small=_is_small(llm, local),
        sync_only=pipeline or not _has_async(type(llm)),
        logprobs=not ancestors.isdisjoint(_LOGPROBS)
        and getattr(llm, "logprobs", None) is not False
        and not _thinks(llm),
        marks_prefix="ChatAnthropic" in ancestors,
    )


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


def _has_structured_output(kind: "type[BaseChatModel]", ancestors: set[str]) -> bool:
    if kind.with_structured_output is not language_models.BaseChatModel.with_structured_output:
        return True
    fake = any(name.startswith("Fake") or name == "GenericFakeChatModel" for name in ancestors)
    return not fake and kind.bind_tools is not language_models.BaseChatModel.bind_tools


def _has_async(kind: "type[BaseChatModel]") -> bool:
    # SimpleChatModel's _agenerate only runs the synchronous method in a thread.
    base = language_models.BaseChatModel
    agenerate = kind._agenerate not in (base._agenerate, language_models.SimpleChatModel._agenerate)
    return agenerate or kind._astream is not base._astream


def _is_small(llm: "BaseChatModel", local: bool) -> bool:
    name = " ".join(name for name in _model_names(llm) if name != getattr(llm, "weights_id", ""))  # a hash has no size
    sizes = [
        float(times or 1) * float(size) * (1e9 if unit.lower() == "b" else 1e6)
        for times, size, unit in _SIZE.findall(name)
    ]
    sizes = [size for size in sizes if size >= 3e7]  # "1m" in a name is a context length
    return max(sizes) <= _SMALL_UP_TO if sizes else local


def _model_names(llm: object) -> Iterator[str]:
    for field in _NAMES:
        value = getattr(llm, field, None)
        if isinstance(value, str) and value:
            yield value
    inner = getattr(llm, "llm", None)
    if isinstance(inner, language_models.BaseLanguageModel):
        yield from _model_names(inner)
    named = getattr(getattr(getattr(llm, "pipeline", None), "model", None), "name_or_path", None)
    if isinstance(named, str) and named:
        yield named


def _identity(llm: "BaseLanguageModel[Any]") -> str:
    names = list(dict.fromkeys(_model_names(llm)))
    # For a model of ours the address holds a port that is another one in each process.
    urls = [] if getattr(llm, "is_local_model", False) else [_bare_url(getattr(llm, field, None)) for field in _URLS]
    sampling = {field: _plain(getattr(llm, field, None)) for field in _SAMPLING}
    own = type(llm)._identifying_params is not language_models.BaseLanguageModel._identifying_params
    rest: dict[str, Any] = {field: getattr(llm, field, None) for field in _OPAQUE}
    rest["own"] = {
        key: value
        for key, value in (dict(llm._identifying_params) if own else {}).items()
        if key not in (*_NAMES, *_URLS, *_SAMPLING)
    }
    inner = getattr(llm, "llm", None)
    parts = {
        "class": f"{type(llm).__module__}.{type(llm).__qualname__}",
        "model": names,
        "url": [url for url in urls if url],
        "sampling": {field: value for field, value in sampling.items() if value is not None},
        "more": hashlib.sha256(json.dumps(_plain(rest), sort_keys=True).encode()).hexdigest()[:16],
        "inner": _identity(inner) if isinstance(inner, language_models.BaseLanguageModel) else "",
    }
    if not names and not own:
        parts["object"] = _token(llm)
    return json.dumps({key: value for key, value in parts.items() if value}, sort_keys=True, ensure_ascii=False)


def _bare_url(value: object) -> str:
    """Return scheme, host, port and path: user info and query may hold a key."""
    text = str(value or "")
    parts = urlsplit(text)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.netloc else ""


def _plain(value: object) -> Any:
    """Return what of `value` is plain data; secrets, callables and objects with an address are left out."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, SecretStr | SecretBytes):
        return None
    if isinstance(value, BaseModel):
        value = value.model_dump()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items() if not _SECRET.search(str(key))}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None


def _token(llm: object) -> str:
    """Return a name that only this object has: an address alone is used again after the object is gone."""
    key = id(llm)
    if key not in _tokens:
        _tokens[key] = f"{_process}-{os.getpid()}-{next(_counter)}"
        weakref.finalize(llm, _tokens.pop, key, None)
    return _tokens[key]


def limit_of(llm: "BaseChatModel", tokens: int) -> dict[str, Any]:
    """Tell what to pass to a call so that its answer stays within some tokens; nothing where that is not known.

    A name that a model does not take is an error with some and ignored by others, so none is guessed. What a model
    thinks first counts too, and a short limit would leave nothing for the answer: such a model gets none.
    """
    if _thinks(llm):
        return {}
    for ancestor in type(llm).__mro__:
        if ancestor.__name__ in _LIMITS:
            return {_LIMITS[ancestor.__name__]: tokens}
    return {}


def _thinks(llm: "BaseChatModel") -> bool:
    """Whether a model thinks before it answers, unless it was told not to; known for those that do so by default."""
    if getattr(llm, "thinking_budget", None) == 0:
        return False
    return any(_THINKING.search(name) for name in _model_names(llm))


_LIMITS = {
    "BaseChatOpenAI": "max_tokens",
    "ChatAnthropic": "max_tokens",
    "ChatGroq": "max_tokens",
    "ChatMistralAI": "max_tokens",
    "ChatGoogleGenerativeAI": "max_output_tokens",
    "HuggingFaceChatModel": "max_tokens",
}


def variation_of(llm: "BaseChatModel", sample: int) -> dict[str, Any]:
    """Tell what to pass to a call so that several candidates for one request differ.

    A local model answers greedily, so its candidates need a temperature and a seed each. Any other model is asked as
    it was configured.
    """
    return {"temperature": 0.8, "seed": sample + 1} if getattr(llm, "is_local_model", False) else {}
