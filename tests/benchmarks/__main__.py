"""`python -m tests.benchmarks`: what this library itself costs, beside the same work without it, in one run."""

import argparse
import asyncio
import json
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks import calls, cluster, feedback, imports, labeling, million, mixture, predecessor, search, serving
from tests.benchmarks.measure import Row

PACKAGES = ("langchain-model-alignment", "langchain-core", "langgraph", "pydantic")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--out", type=Path, help="also write the numbers as JSON to this file")
    parser.add_argument("--rounds", type=int, default=9, help="how often each side is measured; medians are shown")
    parser.add_argument("--local", action="store_true", help="also measure feedback and labels on the local Qwen model")
    parser.add_argument("--predecessor", action="store_true", help="also install model-alignment 0.3 and run it beside")
    parser.add_argument("--worlds", action="store_true", help="also train in simulated worlds: minutes")
    parser.add_argument("--ray", action="store_true", help="also label on Ray, with one worker and with two: minutes")
    parser.add_argument(
        "--million", action="store_true", help="only label files of up to a million rows: a quarter of an hour"
    )
    parser.add_argument("--picture", type=Path, help="with --million: also draw cost and memory into this .png")
    options = parser.parse_args()
    console = Console()
    rows: list[Row] = []
    for title, measure in _chosen(options):
        with console.status(f"measuring {title} …"):
            rows += measure()
    about = describe()
    console.print(as_table(rows, about))
    if options.out:
        found = {**about, "rows": [row.as_json() for row in rows]}
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        console.print(f"Written to {options.out}.", markup=False, highlight=False)


def _chosen(options: argparse.Namespace) -> list[tuple[str, Callable[[], list[Row]]]]:
    if options.million:
        return [("a million rows", lambda: million.measure(picture=options.picture))]
    return [
        ("imports", lambda: imports.measure(options.rounds)),
        ("calls", lambda: asyncio.run(calls.measure(options.rounds))),
        ("feedback", feedback.count_calls),
        ("replay", lambda: asyncio.run(feedback.measure_replay(options.rounds))),
        ("labeling", lambda: asyncio.run(labeling.measure(options.rounds))),
        ("training", lambda: labeling.measure_step(options.rounds)),
        ("serving", lambda: asyncio.run(serving.measure(options.rounds))),
        ("the predecessor", labeling.beside_predecessor if options.predecessor else predecessor.not_asked_for),
        *((("worlds", search.measure), ("a mixture of experts", mixture.measure)) if options.worlds else ()),
        *((("Ray", lambda: cluster.measure(min(options.rounds, 3))),) if options.ray else ()),
        *((("local model", feedback.time_local), ("local labels", labeling.time_local)) if options.local else ()),
    ]


def describe() -> dict[str, str]:
    """Tell when and on what the numbers were taken."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {_processors()}, {platform.system()}",
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def as_table(rows: list[Row], about: dict[str, str]) -> Table:
    """Lay the numbers out; red is missed, green is reached."""
    table = Table("what", title=", ".join(f"{k} {v}" for k, v in about.items()), title_justify="left")
    for heading in ("bare", "ours", "result", "reach"):
        table.add_column(heading, justify="right")
    for row in rows:
        colour = {True: "green", False: "red", None: ""}[row.reached]
        table.add_row(row.what, row.bare, row.ours, f"[{colour}]{row.result}[/]" if colour else row.result, row.reach)
    return table


def _processors() -> str:
    import os

    model = platform.processor() or "unknown processor"
    file = Path("/proc/cpuinfo")
    if file.exists():
        named = [line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("model name")]
        model = named[0].partition(":")[2].strip() if named else model
    return f"{os.cpu_count()} cores of {model}"


if __name__ == "__main__":
    main()
