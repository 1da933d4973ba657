"""`langchain-align report`: the report of a training run, written anew."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from langchain_model_alignment.cli.show import plain
from langchain_model_alignment.labeling.report import write_report
from langchain_model_alignment.labeling.run_folder import RunFolder


def run_report(
    run: Annotated[Path, typer.Argument(help="The folder of a training run.")],
    print_: Annotated[bool, typer.Option("--print", help="Print the rulebook too.")] = False,
) -> None:
    """Write a training run's report.html, and tell where it is."""
    folder = RunFolder(run)
    result = folder.result()
    if print_:
        console = Console()
        console.print(plain(result.rulebook.as_text()))
        console.print()
    typer.echo(write_report(result, folder.report))
