"""How numbers are told: when and on what they were taken, as a table and as a JSON file."""

import argparse
import json
import os
import platform
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.benchmarks.measure import Finding, Row

PACKAGES = ("langchain-model-alignment", "langchain-core", "langgraph", "pydantic")


def run_parts(parts: Iterable[tuple[str, Callable[[], list[Row]]]], options: argparse.Namespace) -> None:
    """Measure one part after the other, print one table, and write it to `--out`."""
    console = Console()
    rows: list[Row] = []
    for title, measure in parts:
        with console.status(f"measuring {title} …"):
            rows += measure()
    about = describe()
    console.print(as_table(rows, about))
    if options.out:
        write_json({**about, "rows": [row.as_json() for row in rows]}, options.out)
        console.print(f"Written to {options.out}.", markup=False, highlight=False)


def describe() -> dict[str, str]:
    """Tell when and on what the numbers were taken."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {_processors()}, {platform.system()}",
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def as_table(
    rows: Sequence[Finding], about: dict[str, str], measured: Sequence[str] = ("bare", "ours"), **layout: Any
) -> Table:
    """Lay the findings out; red is missed, green is reached.

    Args:
        rows: The findings.
        about: When and on what they were taken.
        measured: The fields that stand between what was done and what came of it.
        layout: Options of the table.
    """
    table = Table("what", title=as_line(about), title_justify="left", **layout)
    for heading in (*measured, "result", "reach"):
        table.add_column(heading, justify="left" if layout else "right")
    for row in rows:
        colour = {True: "green", False: "red", None: ""}[row.reached]
        table.add_row(row.what, *(getattr(row, name) for name in measured), Text(row.result, colour), row.reach)
    return table


def as_line(about: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in about.items())


def write_json(found: object, path: Path) -> None:
    """Write whole or not at all: a run that is stopped leaves the file of before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f"{path.name}.half")
    half.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    half.replace(path)


def _processors() -> str:
    model = platform.processor() or "unknown processor"
    file = Path("/proc/cpuinfo")
    if file.exists():
        named = [line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("model name")]
        model = named[0].partition(":")[2].strip() if named else model
    return f"{os.cpu_count()} cores of {model}"
