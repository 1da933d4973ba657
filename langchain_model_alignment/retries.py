"""One retry layer: the providers' own retries are taken off a copy of the model."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # slow to import, and whoever has a model has it already
    from langchain_core.language_models import BaseChatModel


__all__ = ["without_sdk_retries"]

_ROOTS = ("root_client", "root_async_client")
_RESOURCES = (("client", "root_client"), ("async_client", "root_async_client"))


def without_sdk_retries(llm: "BaseChatModel") -> "BaseChatModel":
    """The model with the retries of its provider's package turned off.

    Two layers of retries multiply, and the inner one hides the provider's `Retry-After` from the gate.

    Args:
        llm: A chat model; it stays as it is.

    Returns:
        A copy that asks once, or the model itself when it has no retries of its own.
    """
    if "max_retries" not in type(llm).model_fields:
        return llm
    # To Google's package 0 means its own default, and 1 is one attempt.
    google = any(base.__module__.startswith("langchain_google") for base in type(llm).__mro__)
    off = 1 if google else 0
    if llm.max_retries == off:  # type: ignore[attr-defined]
        return llm
    copy = llm.model_copy()
    values = vars(copy)
    for name in set(values) - set(type(copy).model_fields):
        if isinstance(getattr(type(copy), name, None), cached_property):
            del values[name]  # such as a client made with the old number
    values["max_retries"] = off
    if not google:
        _replace_clients(values)
    return copy


def _replace_clients(values: dict[str, Any]) -> None:
    """Clients made together with the model keep their own number of retries; they are remade, their transport kept."""
    for name in _ROOTS:
        if hasattr(values.get(name), "with_options"):
            values[name] = values[name].with_options(max_retries=0)
    for name, root in _RESOURCES:
        resource: Any = values.get(name)
        sdk: Any = values.get(root) or getattr(resource, "_client", None)
        if hasattr(resource, "create") and hasattr(sdk, "with_options"):
            values[name] = sdk.with_options(max_retries=0).chat.completions
