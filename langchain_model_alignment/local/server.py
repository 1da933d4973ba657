"""xllamacpp's OpenAI-compatible server: one for each weights file and process, on the loopback interface only.

It runs in a process of its own that ends with this one. In this process its threads would outlive a fork badly, and
an answer still being written at exit would hang or crash the interpreter.
"""

import atexit
import contextlib
import json
import logging
import os
import secrets
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from langchain_model_alignment.errors import ServerError

__all__ = ["LocalServer", "start_server", "stop_servers"]

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
# Two slots: a new slot reads its prefix again, which on few cores costs more than writing side by side gains. Prefixes
# beyond two come back from memory in a quarter of a second.
SLOTS = 2
CONTEXT = 4096  # tokens in each slot
CACHE_MIB = 1024  # prompt prefixes kept in memory beside the slots
VERBOSE = "LANGCHAIN_ALIGN_SERVER_LOG"  # set to a llama.cpp log level (1 to 5) to see its log on stderr

_lock = threading.Lock()
_servers: dict[Path, "LocalServer"] = {}


@dataclass(frozen=True)
class LocalServer:
    """A running server.

    Attributes:
        base_url: Address of the OpenAI-compatible interface, with ``/v1``.
        api_key: The key it asks for, made anew at each start, so that nobody else on this machine can use it.
        weights: The file it serves.
        owner: Id of the process that started it; a fork starts its own.
        process: The process it runs in.
    """

    base_url: str
    api_key: str = field(repr=False)
    weights: Path
    owner: int
    process: "subprocess.Popen[str]" = field(repr=False)


def start_server(weights: Path, *, port: int = 0) -> LocalServer:
    """Serve a weights file, or return the server that already does.

    Args:
        weights: A .gguf file.
        port: Where to listen; 0 takes a free port. A server that already runs for this file keeps its port.

    Returns:
        The running server, with the weights loaded.

    Raises:
        ServerError: xllamacpp is missing, the port is taken, or the weights cannot be loaded.
    """
    weights = weights.resolve()
    with _lock:
        running = _servers.get(weights)
        if running is not None and running.owner == os.getpid() and running.process.poll() is None:
            return running
        _servers[weights] = started = _start(weights, port)
        return started


def stop_servers() -> None:
    """Stop every server of this process; at exit this happens by itself."""
    with _lock:
        for server in _servers.values():
            if server.owner == os.getpid():
                _end(server.process)
        _servers.clear()


def _start(weights: Path, port: int) -> LocalServer:
    if find_spec("xllamacpp") is None:
        raise ServerError('Local models need the package xllamacpp: pip install "langchain-model-alignment[local]".')
    if port:
        _check_port(port)
    key = secrets.token_hex(16)
    verbosity = _verbosity()
    script = str(Path(__file__).with_name("serve.py"))
    process = subprocess.Popen(  # noqa: S603 (our own script)
        [sys.executable, "-P", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if verbosity else subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        # Threads that spin while they wait for each other starve beside any other busy process: an answer of 64 tokens
        # took 83 s there, and 5 s with threads that soon sleep; on a quiet machine both take 2.4 s.
        env={"GOMP_SPINCOUNT": "500", **os.environ},
    )
    settings: dict[str, object] = {"weights": str(weights), "host": HOST, "port": port, "key": key}
    settings |= {
        "slots": SLOTS,
        "context": CONTEXT,
        "cache_mib": CACHE_MIB,
        "threads": _cores(),
        "verbosity": verbosity,
    }
    try:
        answer = _talk(process, settings)
    except BaseException:
        _end(process)
        raise
    if "address" not in answer:
        _end(process)
        logger.debug("The server did not start: %s", answer)
        if "libgomp" in answer.get("error", ""):
            raise ServerError("xllamacpp needs the system's library libgomp: apt-get install libgomp1, or the like.")
        raise ServerError(
            f"The local model server could not load {weights}: check that it is a whole .gguf file and that there is "
            f"memory for it, or set {VERBOSE}=3 to see why."
        )
    logger.info("Serving %s on %s", weights, answer["address"])
    return LocalServer(f"{answer['address']}/v1", key, weights, os.getpid(), process)


def _talk(process: "subprocess.Popen[str]", settings: dict[str, object]) -> dict[str, str]:
    """Send the settings (the key does not belong on a command line) and wait until the weights are loaded."""
    if process.stdin is None or process.stdout is None:
        return {}
    try:
        process.stdin.write(json.dumps(settings) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
    except (OSError, ValueError):  # it died: out of memory, or weights that crash it
        return {}
    return {str(name): str(value) for name, value in answer.items()}


def _end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _verbosity() -> int:
    with contextlib.suppress(ValueError):
        return int(os.environ.get(VERBOSE, "0"))
    return 0


def _cores() -> int:
    if sys.platform != "win32" and hasattr(os, "sched_getaffinity"):  # fewer where a container pins cores
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def _check_port(port: int) -> None:
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise ServerError(
                f"Port {port} on {HOST} cannot be used ({error}): leave it out to get a free one, or name another."
            ) from error


def _forget() -> None:
    """Leave the servers of the parent to the parent: a fork must neither stop them nor keep them alive."""
    global _lock  # another thread may have held it when this process was forked
    _lock = threading.Lock()
    for server in _servers.values():
        server.process.returncode = 0  # it is no child of this process: nothing to wait for
        for pipe in (server.process.stdin, server.process.stdout):
            if pipe is not None:
                pipe.close()
    _servers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
atexit.register(stop_servers)
