"""What a server may be told."""

import ipaddress
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from langchain_model_alignment.errors import ConfigurationError

__all__ = ["API_KEY", "DATABASE", "ServeSettings", "check_address", "is_loopback"]

API_KEY = "LANGCHAIN_ALIGN_API_KEY"
"""The environment variable with the key that callers send."""
DATABASE = "LANGCHAIN_ALIGN_DATABASE"
"""The environment variable with the database, which may hold a password."""


class ServeSettings(BaseModel):
    """What a server may be told.

    Example:
        >>> ServeSettings(api_key="secret", max_body=10_000).api_key
        SecretStr('**********')
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    database: str = "langchain-align-data"
    """A folder for SQLite files, or `postgresql://…`."""
    api_key: Annotated[SecretStr, Field(min_length=1)] | None = None
    """What callers send as `Authorization: Bearer KEY`; nothing is asked for where it is None."""
    max_body: int = Field(default=1_000_000, ge=1)
    """The largest body, in bytes."""
    max_in_flight: int = Field(default=256, ge=1)
    """How many requests are answered at once; the next one is told to come back."""
    candidates: int = Field(default=1, ge=1)
    """How many answers a person chooses from."""
    checks: bool = True
    """Whether new answers are judged by what was said, and earlier inputs looked after."""


def check_address(host: str, api_key: str | None) -> None:
    """Refuse to listen where others can reach, without a key.

    Raises:
        ConfigurationError: The host is not this machine's own, and there is no key.

    Example:
        >>> check_address("127.0.0.1", None)
        >>> check_address("0.0.0.0", None)
        Traceback (most recent call last):
        langchain_model_alignment.errors.ConfigurationError: ...
    """
    if not api_key and not is_loopback(host):
        raise ConfigurationError(
            f"Others could reach {host}, and there is no key to ask them for; set {API_KEY}, or listen on 127.0.0.1."
        )


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
