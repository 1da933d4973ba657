"""The commands of `langchain-align`."""

from typing import Annotated

import typer

from langchain_model_alignment.cli import batch, demo, feedback, label, models, report, serve, studio, train

app = typer.Typer(
    help="Make a prompt follow people's wishes: feedback or labels become principles, principles become the prompt.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo.run_demo)
app.command("feedback")(feedback.run_feedback)
app.command("batch")(batch.run_batch)
app.command("train")(train.run_train)
app.command("label")(label.run_label)
app.command("report")(report.run_report)
app.command("serve")(serve.run_serve)
app.command("studio")(studio.run_studio)
app.add_typer(models.app, name="models")


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("langchain-model-alignment"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Make a prompt follow people's wishes."""
