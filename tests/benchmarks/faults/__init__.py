"""Faults, kills, hostile inputs and injections: what is survived, what is repeated, what is lost."""

import argparse
from pathlib import Path

from rich.console import Console

from tests.benchmarks.faults import injection, kills, load
from tests.benchmarks.faults.picture import draw
from tests.benchmarks.faults.table import as_table
from tests.benchmarks.shown import describe, write_json


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kills", type=int, default=50, help="how often a process is killed, in all")
    parser.add_argument("--inputs", type=int, default=10_000, help="how many hostile inputs are tried, in all")
    parser.add_argument("--seed", type=int, default=0, help="other faults, moments and inputs")
    parser.add_argument("--picture", type=Path, help="also draw faults and kills into this .png")


def run(options: argparse.Namespace) -> None:
    from tests.benchmarks.faults import fuzz  # needs the packages of the extra `test`

    console = Console()
    with console.status("running through a model that fails …"):
        lines, given = load.measure(options.seed)
    with console.status("killing …"):
        killed = kills.measure(options.kills, options.seed)
    with console.status("trying hostile inputs …"):
        tried = fuzz.measure(options.inputs, options.seed)
    lines += [found.line() for found in killed] + tried + injection.measure()
    about = describe()
    console.print(as_table(lines, about))
    told = {"faults": dict(given), "kills": {found.job.name: found.kills for found in killed}}
    if options.out:
        write_json({**about, "lines": [line.as_json() for line in lines], **told}, options.out)
        console.print(f"Written to {options.out}.", markup=False, highlight=False)
    if options.picture:
        draw(given, {found.job.name: found.kills for found in killed}, options.picture)
