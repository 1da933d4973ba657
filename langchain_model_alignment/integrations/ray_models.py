"""Models for the workers on Ray: sent as a name or a function, made where they work, and kept to one pace."""

import asyncio
import io
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Union

from langchain_core import language_models, rate_limiters  # lazy: the classes are loaded at their first use
from langchain_core.runnables import RunnableBinding
from pydantic import SecretBytes, SecretStr

from langchain_model_alignment.calls import Caller
from langchain_model_alignment.errors import AlignmentError, ConfigurationError
from langchain_model_alignment.integrations.ray_session import import_ray
from langchain_model_alignment.models import resolve_chat_model
from langchain_model_alignment.redaction import redact

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

__all__ = ["ModelSource", "Pace", "check_sendable", "keep_pace", "make_model", "shared_pace"]

ModelSource = Union[str, "Callable[[], BaseChatModel | RunnableBinding[Any, Any]]"]
"""A model's name, or a function without arguments that makes it where it is called."""


def check_sendable(model: Any) -> None:
    """Refuse a model that is alive, as it stands or inside a function: its key would go over the wire.

    Raises:
        ConfigurationError: It is alive, cannot be sent, or is neither a name nor a function.
    """
    from ray.cloudpickle import CloudPickler

    if isinstance(model, str):
        return
    alive = (language_models.BaseLanguageModel, Caller, SecretStr, SecretBytes)

    class Guard(CloudPickler):  # type: ignore[misc]
        def reducer_override(self, obj: Any) -> Any:
            if isinstance(obj, alive):
                raise ConfigurationError(
                    f"A {type(obj).__name__} would be sent to the workers, and its key with it; give the model's name "
                    '("provider:model"), or a function without arguments that makes it where it is called.'
                )
            return super().reducer_override(obj)

    try:
        Guard(io.BytesIO()).dump(model)
    except ConfigurationError:
        raise
    except Exception as error:
        raise ConfigurationError(
            f"The function that makes the model cannot be sent to the workers ({redact(str(error))}); make it one that "
            "holds no open file, lock or connection."
        ) from error
    if not callable(model):
        raise ConfigurationError(f"A {type(model).__name__} is no model; give its name, or a function that makes it.")


def make_model(model: ModelSource) -> Any:
    """Make the model, on the worker.

    Raises:
        AlignmentError: The name means nothing here, a key is missing, or the function fails.
    """
    if isinstance(model, str):
        return resolve_chat_model(model)
    try:
        return model()
    except AlignmentError:
        raise
    except Exception as error:
        raise ConfigurationError(
            f"The function that makes the model failed with {type(error).__name__}: {redact(str(error)).rstrip('.')}."
        ) from error


class Pace:
    """Spreads calls evenly over time; one object paces all workers.

    Args:
        per_minute: How many calls a minute.

    Example:
        >>> pace = Pace(120)
        >>> [round(pace.wait(), 1) for _ in range(3)]
        [0.0, 0.5, 1.0]
    """

    def __init__(self, per_minute: float) -> None:
        self._gap = 60 / per_minute
        self._next = 0.0

    def wait(self) -> float:
        """Take the next free moment, and return the seconds until then."""
        now = time.monotonic()
        moment = max(now, self._next)
        self._next = moment + self._gap
        return moment - now


def shared_pace(ray: Any, per_minute: float) -> Any:
    """Return a `Pace` that lives as long as the dataset, beside the process that made it."""
    here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=True
    )
    kept = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)(Pace)
    return kept.remote(per_minute)


def keep_pace(llm: Any, pace: Any) -> None:
    """Have the model wait for the shared pace before each call, and for its own limiter where it has one."""

    class Paced(rate_limiters.BaseRateLimiter):
        def __init__(self, own: rate_limiters.BaseRateLimiter | None) -> None:
            self._own = own

        def acquire(self, *, blocking: bool = True) -> bool:
            time.sleep(import_ray().get(pace.wait.remote()))
            return self._own is None or self._own.acquire(blocking=blocking)

        async def aacquire(self, *, blocking: bool = True) -> bool:
            await asyncio.sleep(await pace.wait.remote())
            return self._own is None or await self._own.aacquire(blocking=blocking)

    while isinstance(llm, RunnableBinding):
        llm = llm.bound
    llm.rate_limiter = Paced(llm.rate_limiter)
