"""What this library has to know about a chat model before it asks it anything."""

import hashlib
import itertools
import json
import os
import re
import uuid
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from langchain_core import language_models  # lazy: the classes are loaded at their first use
from pydantic import BaseModel, SecretBytes, SecretStr

from langchain_model_alignment.redaction import names_a_secret

if TYPE_CHECKING:  # slow to import, and whoever has a model has it already
    from langchain_core.language_models import BaseChatModel, BaseLanguageModel

__all__ = ["ModelTraits", "limit_of", "traits_of", "variation_of"]

_NAMES = ("model_name", "model", "model_id", "repo_id", "deployment_name", "azure_deployment", "weights_id")
_URLS = ("openai_api_base", "base_url", "azure_endpoint", "anthropic_api_url", "endpoint_url", "inference_server_url")
_SAMPLING = (
    *("temperature", "top_p", "top_k", "seed", "n", "stop", "stop_sequences", "max_tokens", "max_output_tokens"),
    *("max_new_tokens", "num_predict", "presence_penalty", "frequency_penalty", "reasoning_effort", "thinking_budget"),
)
_OPAQUE = ("model_kwargs", "pipeline_kwargs", "extra_body", "reasoning", "thinking", "thinking_level", "logit_bias")
_SIZE = re.compile(r"(?<![\d.])(?:(\d+)x)?(\d+(?:\.\d+)?)([bm])(?![a-z0-9])", re.IGNORECASE)
_THINKING = re.compile(r"gemini-(2\.5|[3-9]|(flash|pro)(-lite)?-latest)|(?:^|/)(o\d|gpt-[5-9])(?![a-z\d])")
_LOGPROBS = ("BaseChatOpenAI", "HuggingFaceChatModel")
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
        return {str(key): _plain(item) for key, item in value.items() if not names_a_secret(str(key))}
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
