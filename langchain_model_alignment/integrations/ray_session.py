"""Ray itself: imported when it is needed, begun on this machine or joined where it runs, and left again."""

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from langchain_model_alignment import errors
from langchain_model_alignment.errors import AlignmentError, ConfigurationError, UnavailableError

__all__ = ["import_ray", "one_sentence", "ray_session"]

_EXTRA = 'Labeling on several machines needs Ray: pip install "langchain-model-alignment[ray]".'
_KNOCK = 3.0  # seconds until a machine that does not answer is taken for gone
_CHECK = 20.0  # seconds that a cluster has for saying that it is well; importing Ray takes some of them


def import_ray() -> Any:
    """Return the package `ray`, with Ray Data.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        import ray
        import ray.data
        import ray.util.scheduling_strategies
    except ImportError as error:
        raise ConfigurationError(_EXTRA) from error
    return ray


@contextmanager
def ray_session(address: str | None = None) -> Iterator[Any]:
    """Use Ray for a while: a cluster that runs already, or one of this machine's own that ends with the session.

    Ray's word about its use to its makers, its dashboard and its progress bars are off. Where this process is connected
    already, that connection is used and stays.

    Args:
        address: `host:port` of a cluster's head, `auto` for the one that runs on this machine; without it what
            `RAY_ADDRESS` says, or else a new one.

    Yields:
        The package `ray`.

    Raises:
        ConfigurationError: Ray is missing, or no cluster is at the address; it is said within seconds.

    Example:
        >>> with ray_session("127.0.0.1:6379") as ray:  # doctest: +SKIP
        ...     print(ray.cluster_resources())
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = import_ray()
    if ray.is_initialized():
        yield ray
        return
    where = address or os.environ.get("RAY_ADDRESS") or "local"
    _check(where)
    try:
        more = {"include_dashboard": False} if where == "local" else {}
        ray.init(where, log_to_driver=False, logging_level=logging.ERROR, **more)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".:")
        raise ConfigurationError(f"No Ray cluster could be used at {where} ({reason}); check the address.") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def one_sentence(error: Exception) -> AlignmentError:
    """Return what ended a run on Ray without the traces of the machines that it came through.

    Args:
        error: An error of this library, as Ray passes it on; or Ray's own, or one that Ray met while it read or wrote.

    Returns:
        The error to raise in its place.

    Example:
        >>> one_sentence(OSError("No space left on device"))
        UnavailableError('The run on Ray ended early (OSError: No space left on device).')
    """
    cause = getattr(error, "cause", None) or error  # Ray adds its own advice below our sentence
    said = (str(cause).strip() or type(cause).__name__).splitlines()[0].rstrip(".")
    for kind in type(cause).__mro__:
        if kind.__module__ == errors.__name__:
            return kind(f"{said}.")  # type: ignore[no-any-return]
    return UnavailableError(f"The run on Ray ended early ({type(cause).__name__}: {said}).")


def _check(where: str) -> None:
    """Look whether a cluster is there: `ray.init` itself tries for more than a minute, and then ends the process."""
    bare = where.rpartition("://")[2]
    host, _, port = bare.rpartition(":")
    if not (host and port.isdigit()):
        return  # "local" and "auto", which Ray refuses at once
    gone = f"No Ray cluster is at {where}; check the address, or start one with: ray start --head"
    try:
        socket.create_connection((host.strip("[]"), int(port)), _KNOCK).close()
    except (OSError, OverflowError) as error:
        raise ConfigurationError(f"{gone}.") from error
    if where != bare:
        return  # Ray's client has a port of its own, which the check below does not speak to
    asked = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", where]
    try:
        well = subprocess.run(asked, capture_output=True, timeout=_CHECK, check=False).returncode == 0  # noqa: S603
    except subprocess.TimeoutExpired:
        well = False
    if not well:
        raise ConfigurationError(f"{gone} (something answers there, but it is no Ray cluster).")
