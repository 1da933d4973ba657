"""What one piece of work takes, in the process that does it; nothing but the standard library.

A system's own model of `toy` calls `Meter.reply` for each request: it sleeps for the latency, notes the request, and
answers. Requests are looked at only after the work is done.
"""

import asyncio
import bisect
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks import toy

_ROW = re.compile(r"(?:[a-z]+ ){9}note \d+-\d+")
_TOKEN = re.compile(r"\w+|[^\w\s]")


class Meter:
    """Counts the requests of one piece of work."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self._lock = threading.Lock()
        self._active = self.peak = 0

    def reply(self, request: str, answer: Callable[[str], str]) -> str:
        """Answer after the latency, for a thread that waits."""
        self._enter(request)
        time.sleep(toy.LATENCY)
        self._leave()
        return answer(request)

    async def areply(self, request: str, answer: Callable[[str], str]) -> str:
        """Answer after the latency, for a task that waits."""
        self._enter(request)
        await asyncio.sleep(toy.LATENCY)
        self._leave()
        return answer(request)

    def measured(self, work: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
        """Do the work; return what it took and what it tells of itself."""
        self.requests.clear()
        self.peak = 0
        memory, cpu, wall = _memory("VmRSS"), time.process_time(), time.perf_counter()
        told = work() or {}
        taken = {
            "seconds": time.perf_counter() - wall,
            "cpu": time.process_time() - cpu,
            "memory": _memory("VmHWM") - memory,
            "calls": len(self.requests),
            "in_flight": self.peak,
        }
        tokens = sum(map(tokens_in, self.requests))
        return {**taken, "tokens": tokens, "prefix": prefix_share(self.requests), **told}

    def _enter(self, request: str) -> None:
        with self._lock:
            self.requests.append(request)
            self._active += 1
            self.peak = max(self.peak, self._active)

    def _leave(self) -> None:
        with self._lock:
            self._active -= 1


def label_of(request: str) -> str:
    """Label the row in a request: the last one in it, for examples come before."""
    rows = _ROW.findall(request)
    if not rows:
        raise ValueError(f"no row in the request: {request[-500:]}")
    return toy.answer(rows[-1], request)


def tokens_in(text: str) -> int:
    """The same idea of tokens for everyone: words and marks."""
    return len(_TOKEN.findall(text))


def prefix_share(requests: list[str]) -> float:
    """Return the share of all text that begins like an earlier request: what a boundless prefix cache would serve.

    Example:
        >>> prefix_share(["abcd", "abxy"])
        0.25
    """
    seen: list[str] = []
    served = total = 0
    for request in requests:
        at = bisect.bisect(seen, request)
        # Of all earlier requests, those next to it in order share the most.
        served += max((_shared(request, near) for near in seen[max(0, at - 1) : at + 1]), default=0)
        total += len(request)
        seen.insert(at, request)
    return served / total if total else 0.0


def _shared(a: str, b: str) -> int:
    """How many characters two texts begin with alike; by halves, for requests are long and there are many."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if a[:middle] == b[:middle] else (low, middle - 1)
    return low


def _memory(field: str) -> float:
    """What the system says of this process, in MB; 0 where it says nothing."""
    file = Path("/proc/self/status")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return next((int(line.split()[1]) / 1e3 for line in lines if line.startswith(f"{field}:")), 0.0)
