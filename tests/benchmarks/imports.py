"""How long imports take, in fresh interpreters, against what a LangGraph program imports anyway."""

import asyncio
import subprocess
import sys

from tests.benchmarks.measure import Row, interleaved, ratio

WAYS = {
    "bare": "import langgraph.graph, langchain_core.language_models",
    # langchain_core.language_models is lazy: the line above does not load what every program with a model loads.
    "with a chat model": "import langgraph.graph; from langchain_core.language_models import BaseChatModel",
    "package": "import langchain_model_alignment",
    "names": "from langchain_model_alignment import AlignableSingleRun, create_feedback_graph",
}
HEAVY = ("pandas", "sklearn", "typer", "rich", "openai", "torch", "xllamacpp")
REACH = 1.2

_TIMED = "import time; t = time.perf_counter(); {code}; print(time.perf_counter() - t)"


def measure(rounds: int) -> list[Row]:
    """Time the imports."""
    for code in WAYS.values():
        _run(_TIMED.format(code=code))  # the first one writes bytecode and fills the disk cache

    def timed(code: str):  # type: ignore[no-untyped-def]
        async def once() -> float:
            return float(_run(_TIMED.format(code=code)))

        return once

    medians, taken = asyncio.run(interleaved({name: timed(code) for name, code in WAYS.items()}, max(rounds, 7)))
    there_anyway = heavy_after(WAYS["bare"])  # httpx brings rich, where that is installed
    rows = []
    for name, bare in (("package", "bare"), ("names", "bare"), ("names", "with a chat model")):
        found = ratio(taken, name, bare)
        rows.append(
            Row(
                what=WAYS[name] if bare == "bare" else f"  against {WAYS[bare]}",
                bare=f"{medians[bare] * 1e3:.0f} ms",
                ours=f"{medians[name] * 1e3:.0f} ms",
                result=f"{found:.2f} ×",
                reach=f"≤ {REACH} ×",
                reached=found <= REACH,
                value=found,
            )
        )
    loaded = [heavy for heavy in heavy_after(WAYS["names"]) if heavy not in there_anyway]
    rows.append(
        Row(
            what=f"  of {', '.join(HEAVY)} it loads",
            bare="",
            ours="",
            result=", ".join(loaded) or "none",
            reach="none",
            reached=not loaded,
            value=len(loaded),
        )
    )
    return rows


def heavy_after(code: str) -> list[str]:
    """Return which heavy packages an import brings in."""
    return _run(f"{code}; import sys; print(*[m for m in {HEAVY!r} if m in sys.modules])").split()


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()
