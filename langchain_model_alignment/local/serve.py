"""The process that serves one weights file; `server` starts it as a script and is the only one who should.

It reads its settings from one line of standard input, answers with one line on standard output, and ends when its
standard input closes, which happens however the process that started it ends.
"""

import json
import os
import signal
import sys
from typing import Any

__all__ = ["main"]


def main() -> None:
    """Serve until standard input closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asked, which may go on asking
    settings = json.loads(sys.stdin.readline())
    answer: dict[str, str] = {}
    server: Any = None
    try:
        server = _start(settings)
        answer["address"] = str(server.listening_address)
    except Exception as error:  # noqa: BLE001 (whatever it is, the other process has to hear of it)
        answer["error"] = str(error)
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
    if server is not None:
        sys.stdin.read()
    # No destructors: the server's own waits for every answer being written, and may never end.
    os._exit(0)


def _start(settings: dict[str, Any]) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings["weights"]
    params.hostnames = [settings["host"]]
    params.port = settings["port"]
    params.api_keys = [settings["key"]]
    params.ui = False
    params.endpoint_slots = False
    params.verbosity = settings["verbosity"]
    params.n_parallel = settings["slots"]
    params.n_ctx = settings["slots"] * settings["context"]
    params.cache_ram_mib = settings["cache_mib"]
    params.slot_prompt_similarity = 0.5  # a slot is taken over only by a prompt that shares half of it
    params.cpuparams.n_threads = settings["threads"]
    params.warmup = False
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
