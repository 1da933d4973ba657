"""Whether a program runs anything that it was given: Python itself tells what is compiled, loaded and started."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.benchmarks.faults.hostile import CANARY

_STARTS = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "pickle.find_class")
_watching: list[list[str]] = []
_hooked = False


@contextmanager
def watched() -> Iterator[list[str]]:
    """Collect what was executed during a block; a hook of Python cannot be taken off, so it only rests afterwards."""
    global _hooked
    if not _hooked:
        sys.addaudithook(_note)
        _hooked = True
    executed: list[str] = []
    _watching.append(executed)
    try:
        yield executed
    finally:
        _watching.remove(executed)


def _note(event: str, given: tuple[Any, ...]) -> None:
    if _watching and (event in _STARTS or (event == "compile" and CANARY in str(given[0]))):
        for executed in _watching:
            executed.append(event)
