"""`langchain-align serve`: the feedback loop and trained rulebooks under an address."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr
from rich.console import Console

from langchain_model_alignment.cli.show import plain
from langchain_model_alignment.errors import ConfigurationError
from langchain_model_alignment.integrations.serving.loading import LoadingModel
from langchain_model_alignment.integrations.serving.settings import API_KEY, DATABASE, ServeSettings, check_address
from langchain_model_alignment.labeling.rulebook import Rulebook

_GRACE = 10  # seconds for the requests that are being answered when the server is stopped
_EARLY = 1.0  # seconds in which a name that means nothing is told before the server starts


Host = Annotated[str, typer.Option(help="The address; another than this machine's own needs a key.")]
ModelName = Annotated[str, typer.Option(help="The model: local, provider:model, or a path to a .gguf.")]
AlignmentModel = Annotated[str | None, typer.Option(help="The model that writes principles; the same, when absent.")]


def run_serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 for any free one.")] = 8000,
    host: Host = "127.0.0.1",
    model: ModelName = "local",
    alignment_model: AlignmentModel = None,
    rulebook: Annotated[
        list[str] | None, typer.Option(help="A rulebook.json to serve, as path or name=path; repeat for more.")
    ] = None,
    database: Annotated[
        str, typer.Option(envvar=DATABASE, help="A folder for SQLite files, or postgresql://…")
    ] = "langchain-align-data",
    candidates: Annotated[int, typer.Option(min=1, max=9, help="How many answers to choose from.")] = 1,
    checks: Annotated[
        bool, typer.Option(help="Judge new answers by what was said, and look after earlier inputs.")
    ] = True,
    max_body: Annotated[int, typer.Option(min=1, help="The largest body, in bytes.")] = 1_000_000,
    max_in_flight: Annotated[int, typer.Option(min=1, help="How many requests are answered at once.")] = 256,
) -> None:
    """Serve the feedback loop and rulebooks over HTTP; with LANGCHAIN_ALIGN_API_KEY set, callers send that key."""
    try:
        import uvicorn
    except ImportError as error:
        raise ConfigurationError(
            'Serving needs more packages: pip install "langchain-model-alignment[serve]".'
        ) from error
    from langchain_model_alignment.integrations.serving.app import create_app

    key = os.environ.get(API_KEY)
    check_address(host, key)
    settings = ServeSettings(
        database=database,
        api_key=SecretStr(key) if key else None,
        max_body=max_body,
        max_in_flight=max_in_flight,
        candidates=candidates,
        checks=checks,
    )
    books = dict(_named(given) for given in rulebook or [])
    answering, aligning = begin_loading(model, alignment_model)
    app = create_app(answering, alignment_model=aligning, rulebooks=books, settings=settings)
    asyncio.run(try_storage(database))
    Console(stderr=True).print(plain(f"Threads are kept in {_shown(database)}; Ctrl-C stops the server.", "dim"))
    uvicorn.run(app, host=host, port=port, access_log=False, timeout_graceful_shutdown=_GRACE)


def begin_loading(model: str, alignment_model: str | None) -> tuple[LoadingModel, LoadingModel]:
    """Return the models, whose weights come while the server starts; a name that means nothing is told at once."""
    answering = LoadingModel(model)
    aligning = LoadingModel(alignment_model) if alignment_model else answering
    for one in {answering, aligning}:
        one.start()
        one.wait(_EARLY)
    return answering, aligning


async def try_storage(database: str) -> None:
    """Tell in one sentence, before the server starts, that the database cannot be used."""
    from langchain_model_alignment.integrations.serving.storage import open_storage

    async with open_storage(database):
        pass


def _named(given: str) -> tuple[str, Rulebook]:
    name, equals, path = given.partition("=")
    if not equals:
        name, path = "", given
    return name or Path(path).stem, Rulebook.load(path)


def _shown(database: str) -> str:
    return "Postgres" if database.startswith("postgres") else database
