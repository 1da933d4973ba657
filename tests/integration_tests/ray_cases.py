"""Models for workers in other processes, which note their calls in files."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_core.messages import BaseMessage

from tests.fakes import ScriptedChatModel
from tests.simulated import SimulatedWorld, row_in

RAY_WARNINGS = (  # of Ray's own code, and its advice about tables that are as short as those of a test
    r"ignore::DeprecationWarning:ray\.",
    "ignore:The minimum number of concurrent actors:UserWarning",
)


@dataclass(frozen=True)
class Call:
    """One call of a model in some process; times are seconds of the clock on the wall."""

    pid: int
    node: str
    begun: float
    ended: float
    row: str


class NotingModel(ScriptedChatModel):
    """Labels as the simulated world does, and writes a line into a file of its process for each call."""

    folder: str

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Any:
        begun = time.time()
        result = await super()._agenerate(messages, *args, **kwargs)
        with Path(self.folder, str(os.getpid())).open("a", encoding="utf-8") as file:  # noqa: ASYNC230 (a test)
            file.write(f"{_node()}\t{begun}\t{time.time()}\t{row_in(messages[1])}\n")
        return result


def noting(folder: Path, latency: float = 0.0) -> Callable[[], ScriptedChatModel]:
    """Return what makes a model that notes its calls in a folder."""
    place = str(folder)
    return lambda: NotingModel(SimulatedWorld(), folder=place, latency=latency)


def dying_once(marker: Path) -> Callable[[], ScriptedChatModel]:
    """Return what makes a model that ends its process at row 200, unless the marker says that it did so before."""

    def reply(messages: list[BaseMessage]) -> Any:
        if row_in(messages[1]).endswith("0x200") and not marker.exists():
            marker.touch()
            os._exit(1)
        return SimulatedWorld()(messages)

    return lambda: ScriptedChatModel(reply)


def calls_in(folder: Path) -> list[Call]:
    """Return the calls that were noted in a folder so far."""
    found = []
    for file in folder.iterdir():
        for line in file.read_text(encoding="utf-8").splitlines():
            node, begun, ended, row = line.split("\t")
            found.append(Call(int(file.name), node, float(begun), float(ended), row))
    return found


def _node() -> str:
    import ray

    return str(ray.get_runtime_context().get_node_id())
