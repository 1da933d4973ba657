"""Keeping keys out of what people read: messages, logs and files."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pydantic import SecretBytes, SecretStr

if TYPE_CHECKING:  # slow to import, and whoever has a model has it already
    from langchain_core.language_models import BaseChatModel

__all__ = ["names_a_secret", "redact"]

_SHORTEST = 6  # characters of a secret; shorter ones would take ordinary words out
_NAME = re.compile(r"key|secret|passw|credential|header|bearer|auth|(access|api|hf)_?token|^token$", re.IGNORECASE)
_SECRETS = re.compile(
    r"""(?<![A-Za-z0-9])(?:sk|pk|rk|gsk|xai|hf|lsv2|ya29|key|gh[a-z])[-_.][A-Za-z0-9._*\-]{6,}
    | AIza[A-Za-z0-9_\-]{6,}
    | AQ\.[A-Za-z0-9_\-]{10,}
    | (?i:(?<=key=)|(?<=token=)|(?<=secret=)|(?<=sig=))[^&\s'"]+
    | (?<=://)[^/\s@]+(?=@)
    | (?i:(?<=bearer\s)|(?<=basic\s))[A-Za-z0-9._~+/=\-]{6,}""",
    re.VERBOSE,
)


def names_a_secret(name: str) -> bool:
    """Tell whether what has this name is to be kept to oneself.

    Example:
        >>> [name for name in ("api_key", "default_headers", "max_tokens", "token") if names_a_secret(name)]
        ['api_key', 'default_headers', 'token']
    """
    return _NAME.search(name) is not None


def redact(text: str, llm: "BaseChatModel | None" = None) -> str:
    """Take out whatever looks like a key, and the secrets that a model object holds, in whatever kind of field.

    Args:
        text: Text on its way into a message.
        llm: The model whose secrets are known.

    Returns:
        The text with `[secret]` in their places.

    Example:
        >>> redact("Incorrect API key provided: sk-abcdef123456.")
        'Incorrect API key provided: [secret]'
    """
    secrets = {secret for secret in _secrets_in(vars(llm) if llm else {}) if len(secret) >= _SHORTEST}
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "[secret]")
    return _SECRETS.sub("[secret]", text)


def _secrets_in(value: object, *, secret: bool = False) -> Iterator[str]:
    """The secrets in a value: those that are wrapped as such, and texts under a name that says so, however deep."""
    if isinstance(value, SecretStr | SecretBytes):
        yield from _secrets_in(value.get_secret_value(), secret=True)
    elif isinstance(value, bytes):
        yield from _secrets_in(value.decode(errors="replace"), secret=secret)
    elif isinstance(value, str):
        if secret:
            yield value
            yield value.rpartition(" ")[2]  # a header says "Bearer" before it
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from _secrets_in(part, secret=secret or names_a_secret(str(name)))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _secrets_in(part, secret=secret)
