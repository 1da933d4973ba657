"""`langchain-align studio`: the page in a browser where a person aligns a prompt."""

import asyncio
import os
import socket
import threading
import time
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console

from langchain_model_alignment.cli.serve import AlignmentModel, Host, ModelName, begin_loading, try_storage
from langchain_model_alignment.cli.show import plain
from langchain_model_alignment.errors import ConfigurationError
from langchain_model_alignment.integrations.serving.settings import API_KEY, check_address

_GRACE = 5  # seconds for what is under way when the studio is stopped
_PATIENCE = 60  # seconds until the page is not opened any more


def run_studio(
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port.")] = 8080,
    host: Host = "127.0.0.1",
    model: ModelName = "local",
    alignment_model: AlignmentModel = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where everything is kept; a folder of this user, when absent.")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
) -> None:
    """Open the studio in the browser; with LANGCHAIN_ALIGN_API_KEY set, people have to give that key."""
    try:
        import uvicorn

        from langchain_model_alignment.studio.app import create_studio
    except ImportError as error:
        raise ConfigurationError(
            'The studio needs more packages: pip install "langchain-model-alignment[studio]".'
        ) from error
    key = os.environ.get(API_KEY)
    check_address(host, key)
    place = folder or _own_folder()
    answering, aligning = begin_loading(model, alignment_model)
    app = create_studio(answering, place, alignment_model=aligning, key=key)
    asyncio.run(try_storage(str(place)))
    address = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"  # noqa: S104
    Console(stderr=True).print(plain(f"The studio is at {address}; all is kept in {place}. Ctrl-C stops it.", "dim"))
    if browser:
        threading.Thread(target=_open_when_there, args=(address,), daemon=True).start()
    uvicorn.run(app, host=host, port=port, access_log=False, timeout_graceful_shutdown=_GRACE, log_level="warning")


def _open_when_there(address: str) -> None:
    """Open the page once the server answers."""
    import webbrowser

    where = urlsplit(address)
    for _ in range(_PATIENCE * 10):
        try:
            socket.create_connection((str(where.hostname), where.port or 80), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            webbrowser.open(address)
            return


def _own_folder() -> Path:
    from platformdirs import user_data_path

    return user_data_path("langchain-model-alignment") / "studio"
