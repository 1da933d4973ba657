"""The studio as an app: pages on NiceGUI, mounted on FastAPI."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

try:
    from nicegui import app as pages
    from nicegui import ui
except ImportError as error:
    from langchain_model_alignment.errors import ConfigurationError

    raise ConfigurationError(
        'The studio needs more packages: pip install "langchain-model-alignment[studio]".'
    ) from error
from fastapi import FastAPI
from fastapi.responses import RedirectResponse

from langchain_model_alignment.calls import ChatModelLike
from langchain_model_alignment.integrations.serving.loading import LoadingModel
from langchain_model_alignment.integrations.serving.service import Service
from langchain_model_alignment.integrations.serving.settings import ServeSettings
from langchain_model_alignment.studio.align import add_align
from langchain_model_alignment.studio.doors import add_doors
from langchain_model_alignment.studio.label import add_label
from langchain_model_alignment.studio.shared import Studio
from langchain_model_alignment.studio.train import add_train
from langchain_model_alignment.studio.train_runs import Runs
from langchain_model_alignment.studio.train_tables import Tables
from langchain_model_alignment.studio.works import Works

__all__ = ["create_studio"]

_CANDIDATES = 3
_STATIC = Path(__file__).parent / "static"
_PATIENCE = 30.0  # seconds in which a browser that lost the connection finds its page as it was


def create_studio(
    model: ChatModelLike | LoadingModel,
    folder: str | Path,
    *,
    alignment_model: ChatModelLike | LoadingModel | None = None,
    key: str | None = None,
) -> FastAPI:
    """Create the app that `langchain-align studio` runs; a process can hold one.

    Without a key it only answers to this machine's own names and pages; with one, a person gives it once per browser.

    Args:
        model: The model that answers and labels; a name is resolved while the app runs already.
        folder: Where prompts, their histories and trainings are kept.
        alignment_model: The model that writes principles; the same, when absent.
        key: What people have to give to come in.

    Returns:
        The app, for any ASGI server.
    """
    folder = Path(folder)
    settings = ServeSettings(database=str(folder), candidates=_CANDIDATES)
    service = Service(model, alignment_model=alignment_model, settings=settings)
    studio = Studio(folder, service, Works(service))

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        async with service.running():
            yield
            await studio.works.close()

    app = FastAPI(title="Studio", lifespan=lifespan, openapi_url=None)
    add_doors(app, key)

    @app.get("/")
    def _home() -> RedirectResponse:
        return RedirectResponse("/align")

    pages.add_static_files("/studio", _STATIC)
    runs = Runs(folder / "runs", studio.model, studio.alignment_model)
    tables = Tables(folder / "tables")
    add_align(studio)
    add_train(studio, runs, tables)
    add_label(studio, runs, tables)
    ui.run_with(
        app,
        title="Studio",
        language="en-US",
        dark=None,
        tailwind=False,
        show_welcome_message=False,
        reconnect_timeout=_PATIENCE,
    )
    # A bar that has no name for a screen reader; the page says in words what it waits for.
    pages.config.quasar_config["loadingBar"] = {"skipHijack": True}
    return app
