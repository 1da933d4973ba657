"""Chat models that run on this machine.

Either weights, a server inside this process and `ChatOpenAI` pointed at it, or a transformers pipeline.
"""

import logging
from typing import TYPE_CHECKING, Any

from langchain_model_alignment.errors import ModelNameError
from langchain_model_alignment.local.catalog import DEFAULT_MODEL
from langchain_model_alignment.local.download import Progress

if TYPE_CHECKING:
    from langchain_huggingface import HuggingFacePipeline
    from langchain_openai import ChatOpenAI

    from langchain_model_alignment.local.huggingface import HuggingFaceChatModel

__all__ = ["hugging_face_chat_model", "local_chat_model"]

logger = logging.getLogger(__name__)

_EXTRA = 'Local models need more packages: pip install "langchain-model-alignment[local]".'
_HUGGING_FACE_EXTRA = (
    'Hugging Face models in this process need more packages: pip install "langchain-model-alignment[huggingface]".'
)


def local_chat_model(
    name: str = DEFAULT_MODEL,
    *,
    temperature: float = 0.0,
    max_tokens: int = 512,
    progress: Progress | None = None,
    **kwargs: Any,
) -> "ChatOpenAI":
    """Make a chat model that runs on this machine, without any key.

    The weights are pulled if they are missing, and one server for each weights file starts in this process, on the
    loopback interface; it stops when the process ends. The same object serves sync and async calls in any number of
    event loops.

    Any other server that speaks OpenAI's API serves just as well: ``ChatOpenAI(base_url=…, api_key=…)``, or
    ``resolve_chat_model("openai:NAME", base_url=…)``.

    Args:
        name: A name from ``langchain-align models list``, or the path of a .gguf file.
        temperature: 0 gives the likeliest answer each time.
        max_tokens: The longest answer, in tokens; the prompt and the answer share 4,096.
        progress: Called while weights are pulled, with bytes done, bytes in total and what is going on; without it
            the steps are logged.
        **kwargs: Passed on to `ChatOpenAI`.

    Returns:
        The chat model, ready to be asked.

    Raises:
        ModelNameError: The packages of the extra ``local`` are not installed.
        WeightsError: The weights cannot be had.
        ServerError: The server cannot start with them.
    """
    try:
        from langchain_model_alignment.local.chat import make_chat_model
    except ImportError as error:
        raise ModelNameError(_EXTRA) from error
    from langchain_model_alignment.local.server import start_server
    from langchain_model_alignment.local.weights import pull

    server = start_server(pull(name, progress or _Logged(name)))
    return make_chat_model(name, server, {"temperature": temperature, "max_tokens": max_tokens, **kwargs})


def hugging_face_chat_model(model: "str | HuggingFacePipeline", **kwargs: Any) -> "HuggingFaceChatModel":
    """Make a chat model of Hugging Face weights that run in this process.

    It has what langchain-huggingface's own chat model lacks: calls in flight are generated in batches, sync and async;
    `stop` is obeyed; tokens are counted; `logprobs=True` tells log probabilities as OpenAI's API does; a system message
    is put where the chat template has room for it, and a model without a template gets plain turns (``User: …``,
    ``Assistant: …``). On a CPU the same weights as a .gguf file answer faster through `local_chat_model`.

    Args:
        model: A repository of the hub such as ``google/gemma-3-1b-it``, a folder, the path of a .gguf file (which
            needs the package gguf), or a `HuggingFacePipeline` that is loaded already.
        **kwargs: Fields of the chat model: `temperature` (0 by default), `max_tokens` (512), `top_p`, `top_k`, `seed`,
            `stop`, `batch_size` (16). For weights also what `HuggingFacePipeline.from_model_id` takes, such as
            `device` or `model_kwargs`.

    Returns:
        The chat model.

    Raises:
        ModelNameError: The packages of the extra ``huggingface`` are not installed.
        ConfigurationError: The pipeline has settings that this chat model does not know.
    """
    try:
        from langchain_model_alignment.local.huggingface import make_hugging_face_model
    except ImportError as error:
        raise ModelNameError(_HUGGING_FACE_EXTRA) from error
    return make_hugging_face_model(model, **kwargs)


class _Logged:
    """Logs each step of a pull once, and each tenth of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.last = ("", -1)

    def __call__(self, done: int, total: int, what: str) -> None:
        now = (what, 10 * done // total)
        if now != self.last:
            self.last = now
            logger.info("%s: %s, %d of %d MB", self.name, what, done // 1_000_000, total // 1_000_000)
