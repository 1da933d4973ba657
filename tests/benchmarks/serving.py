"""What a served chain costs above calling it in process, with 50 requests in flight."""

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path

from langchain_model_alignment import create_classifier_chain
from tests.benchmarks.measure import Row
from tests.fakes import ScriptedChatModel
from tests.serving import SCRIPTED, mind, process, python, rulebook

IN_FLIGHT, REQUESTS, LATENCY = 50, 500, 0.5
REACH = 5.0

SERVE = SCRIPTED.replace("ScriptedChatModel(mind)", f"ScriptedChatModel(mind, latency={LATENCY})") + (
    "from langchain_model_alignment.gate import Gate\n"
    "import langchain_model_alignment.integrations.serving.loading as loading\n"
    "whole = loading.as_caller\n"
    f"loading.as_caller = lambda model: whole(model, gate=Gate({IN_FLIGHT}))\n"
    "from langchain_model_alignment.cli import main; main()"
)
SAID = "Uvicorn running on "


async def measure(rounds: int) -> list[Row]:
    """Time each request in both ways, in turn, round by round."""
    if find_spec("uvicorn") is None or find_spec("fastapi") is None:
        return [Row(what="a served chain", bare="", ours="", result='not installed: pip install ".[serve]"')]
    with tempfile.TemporaryDirectory() as folder:
        book = rulebook().save(Path(folder) / "toxic.json")
        told = ("--port", "0", "--model", "scripted:mind", "--rulebook", str(book), "--database", f"{folder}/data")
        with process(python(SERVE, "serve", *told), ready=SAID) as line:
            port = int(line.partition(SAID)[2].split()[0].rpartition(":")[2])
            return [await _compared(port, min(rounds, 3))]


async def _compared(port: int, rounds: int) -> Row:
    from langchain_model_alignment import Caller, Gate

    book = rulebook()
    caller = Caller(ScriptedChatModel(mind, latency=LATENCY), gate=Gate(IN_FLIGHT))
    chain = create_classifier_chain(caller, book.task, book)

    async def in_process(number: int, _: object) -> None:
        await chain.ainvoke({"comment": f"message {number}"})

    added, bare, ours = [], [], []
    for number in range(rounds):
        first = number * REQUESTS
        bare.append(await _median(in_process, first, port=None))
        ours.append(await _median(_over_http, first, port=port))
        added.append(1e3 * (ours[-1] - bare[-1]))
    found = statistics.median(added)
    return Row(
        what=f"a served chain, {IN_FLIGHT} in flight, a {LATENCY * 1e3:.0f} ms model: median request",
        bare=f"{1e3 * statistics.median(bare):.1f} ms",
        ours=f"{1e3 * statistics.median(ours):.1f} ms",
        result=f"{found:+.1f} ms",
        reach=f"≤ {REACH:.0f} ms",
        reached=found <= REACH,
        value=found,
    )


async def _median(
    ask: "Callable[[int, tuple[asyncio.StreamReader, asyncio.StreamWriter] | None], Awaitable[None]]",
    first: int,
    port: int | None,
) -> float:
    """Keep so many requests in flight, begun one after the other, and return the median seconds of one."""
    numbers, seconds = iter(range(first, first + REQUESTS)), []

    async def worker(place: int) -> None:
        line = await asyncio.open_connection("127.0.0.1", port) if port else None
        await asyncio.sleep(LATENCY * place / IN_FLIGHT)  # spread over the time that one takes, as callers are
        for number in numbers:
            start = time.perf_counter()
            await ask(number, line)
            seconds.append(time.perf_counter() - start)
        if line:
            line[1].close()
            await line[1].wait_closed()

    async with asyncio.TaskGroup() as group:
        for place in range(IN_FLIGHT):
            group.create_task(worker(place))
    return statistics.median(seconds)


async def _over_http(number: int, line: "tuple[asyncio.StreamReader, asyncio.StreamWriter] | None") -> None:
    """One request on a connection that is kept; a client library would cost as much as what is measured."""
    assert line is not None
    reader, writer = line
    body = json.dumps({"row": {"comment": f"message {number}"}}).encode()
    writer.write(
        b"POST /rulebooks/toxic/invoke HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body) + body
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    answer = json.loads(await reader.readexactly(int(length.partition(b":")[2])))
    assert answer["prediction"] is False
