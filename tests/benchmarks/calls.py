"""What `Caller.ask` costs above `llm.ainvoke` on the same messages, in the same event loop."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from langchain_core.messages import HumanMessage, SystemMessage

from langchain_model_alignment.calls import Caller, Gate
from tests.benchmarks.measure import Row, interleaved, ratio
from tests.fakes import ScriptedChatModel, SyncOnlyChatModel

WIDTH = 32
OWN_COST_CALLS = 1_000
LATENCY, SLOW_CALLS = 0.05, 100
OWN_COST, ASYNC_RATIO, SYNC_RATIO = 150.0, 1.15, 1.3

Model = ScriptedChatModel | SyncOnlyChatModel


async def measure(rounds: int) -> list[Row]:
    """Time calls that take no time, and calls of 50 ms."""
    rows = [await _own_cost(rounds)]
    for kind, name, reach in (
        (ScriptedChatModel, "an async model", ASYNC_RATIO),
        (SyncOnlyChatModel, "a sync-only model", SYNC_RATIO),
    ):
        medians, taken = await interleaved(_ways(lambda kind=kind: kind("ok", latency=LATENCY), SLOW_CALLS), rounds)
        found = ratio(taken, "ours", "bare")
        rows.append(
            Row(
                what=f"{SLOW_CALLS} calls of {LATENCY * 1e3:.0f} ms, {WIDTH} in flight, {name}",
                bare=f"{medians['bare'] * 1e3:.0f} ms",
                ours=f"{medians['ours'] * 1e3:.0f} ms",
                result=f"{found:.2f} ×",
                reach=f"≤ {reach} ×",
                reached=found <= reach,
                value=found,
            )
        )
    return rows


async def _own_cost(rounds: int) -> Row:
    medians, taken = await interleaved(_ways(lambda: ScriptedChatModel("ok"), OWN_COST_CALLS), rounds)
    each = sorted(1e6 * (round["ours"] - round["bare"]) / OWN_COST_CALLS for round in taken)
    found = each[len(each) // 2]
    return Row(
        what=f"our own cost a call, {OWN_COST_CALLS:,} calls of 0 ms",
        bare=f"{1e6 * medians['bare'] / OWN_COST_CALLS:.0f} µs",
        ours=f"{1e6 * medians['ours'] / OWN_COST_CALLS:.0f} µs",
        result=f"{found:+.0f} µs",
        reach=f"≤ {OWN_COST:.0f} µs",
        reached=found <= OWN_COST,
        value=found,
    )


def _ways(make: Callable[[], Model], count: int) -> dict[str, Callable[[], Awaitable[float]]]:
    """Both sides: `asyncio.gather` over different messages, as many in flight."""
    requests = [[SystemMessage("Answer."), HumanMessage(f"Question {i}")] for i in range(count)]

    pool = ThreadPoolExecutor(WIDTH)

    async def bare() -> float:
        # As wide as the gate: the loop's own pool has six threads on a small machine, and would flatter us.
        asyncio.get_running_loop().set_default_executor(pool)
        llm, gate = make(), asyncio.Semaphore(WIDTH)

        async def one(messages: list[object]) -> str:
            async with gate:
                return (await llm.ainvoke(messages)).text  # type: ignore[arg-type]

        return await _timed([one(messages) for messages in requests])  # type: ignore[arg-type]

    async def ours() -> float:
        caller = Caller(make(), gate=Gate(WIDTH))
        return await _timed([caller.ask(messages) for messages in requests])

    return {"bare": bare, "ours": ours}


async def _timed(work: "list[Awaitable[object]]") -> float:
    gc.collect()
    start = time.perf_counter()
    await asyncio.gather(*work)
    return time.perf_counter() - start
