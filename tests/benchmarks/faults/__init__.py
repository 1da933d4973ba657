"""Faults, kills, hostile inputs and injections: what is survived, what is repeated, what is lost."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.benchmarks.measure import Trial
from tests.benchmarks.shown import as_table, describe, write_json

Found = tuple[list[Trial], dict[str, Any]]
"""Lines of the table, and what a picture is drawn of."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="measure only these parts")
    parser.add_argument("--kills", type=int, default=50, help="how often a process is killed, in all")
    parser.add_argument("--inputs", type=int, default=10_000, help="how many hostile inputs are tried, in all")
    parser.add_argument("--seed", type=int, default=0, help="other faults, moments and inputs")
    parser.add_argument("--picture", type=Path, help="also draw faults and kills into this .png")


def run(options: argparse.Namespace) -> None:
    console, lines, drawn = Console(), list[Trial](), dict[str, Any]()
    for name in options.only:
        with console.status(f"measuring {name} …"):
            more, figures = PARTS[name](options)
        lines += more
        drawn |= figures
        if options.out:  # after each part: a part takes minutes
            write_json({**describe(), "lines": [line.as_json() for line in lines], **drawn}, options.out)
    console.print(as_table(lines, describe(), ["tried"], show_lines=True))
    if options.picture:
        from tests.benchmarks.faults.picture import draw

        draw(drawn.get("faults", {}), drawn.get("kills", {}), options.picture)


def _load(options: argparse.Namespace) -> Found:
    from tests.benchmarks.faults import load

    lines, given = load.measure(options.seed)
    return lines, {"faults": dict(given)}


def _kills(options: argparse.Namespace) -> Found:
    from tests.benchmarks.faults import kills

    found = kills.measure(options.kills, options.seed)
    return [one.line() for one in found], {"kills": {one.job.name: one.kills for one in found}}


def _hostile(options: argparse.Namespace) -> Found:
    from tests.benchmarks.faults import fuzz

    return fuzz.measure(options.inputs, options.seed), {}


def _injection(options: argparse.Namespace) -> Found:
    from tests.benchmarks.faults import injection

    return injection.measure(), {}


PARTS: dict[str, Callable[[argparse.Namespace], Found]] = {
    "load": _load,
    "kills": _kills,
    "hostile": _hostile,
    "injection": _injection,
}
