"""`python -m tests.benchmarks COMMAND`: numbers that anyone can take again; each command prints a table.

A command is a module with `arguments(parser)` and `run(options)`; its docstring says what it measures.
"""

import argparse
from pathlib import Path
from types import ModuleType

from tests.benchmarks import cluster, faults, million, own, search
from tests.benchmarks.quality import command as quality
from tests.benchmarks.speed import command as speed
from tests.benchmarks.wishes import command as wishes

COMMANDS: dict[str, ModuleType] = {
    "own": own,
    "speed": speed,
    "quality": quality,
    "wishes": wishes,
    "worlds": search,
    "million": million,
    "ray": cluster,
    "faults": faults,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        about = (module.__doc__ or "").strip()
        command = commands.add_parser(name, help=about.splitlines()[0], description=about)
        command.add_argument("--out", type=Path, help="also write the numbers as JSON to this file")
        module.arguments(command)
        command.set_defaults(run=module.run)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
