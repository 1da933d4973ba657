"""A FastAPI app, or a router for one's own, around the feedback loop and trained rulebooks."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

try:
    from fastapi import APIRouter, Depends, FastAPI
except ImportError as error:
    from langchain_model_alignment.errors import ConfigurationError

    raise ConfigurationError('Serving needs more packages: pip install "langchain-model-alignment[serve]".') from error
from fastapi.security import HTTPBearer

from langchain_model_alignment.calls import ChatModelLike
from langchain_model_alignment.integrations.serving.guard import OwnNamesOnly, guarded_route
from langchain_model_alignment.integrations.serving.loading import LoadingModel
from langchain_model_alignment.integrations.serving.problems import add_problem_handlers
from langchain_model_alignment.integrations.serving.routes import add_health, add_loop, add_prompts
from langchain_model_alignment.integrations.serving.rulebooks import add_rulebooks
from langchain_model_alignment.integrations.serving.service import Service
from langchain_model_alignment.integrations.serving.settings import ServeSettings
from langchain_model_alignment.labeling.rulebook import Rulebook

__all__ = ["create_app", "create_router"]


def create_router(
    model: ChatModelLike | LoadingModel,
    *,
    alignment_model: ChatModelLike | LoadingModel | None = None,
    rulebooks: Mapping[str, Rulebook] | None = None,
    settings: ServeSettings | None = None,
) -> APIRouter:
    """Create routes to include in an app of one's own: `app.include_router(create_router(llm), prefix="/align")`.

    Key, limits and problems are those of these routes alone; the app's own ones stay as they are.

    Args:
        model: The model that answers, and that reads the rulebooks; a name is resolved while the app runs already.
        alignment_model: The model that writes principles; the same, when absent.
        rulebooks: Trained rulebooks by the name they are served under.
        settings: Database, key, limits.

    Returns:
        The router; it opens its database with the app and closes it with the app.

    Raises:
        ConfigurationError: A rulebook's name cannot stand in an address.
    """
    service = Service(model, alignment_model=alignment_model, rulebooks=rulebooks, settings=settings)

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        async with service.running():
            yield

    # The key itself is asked for before anything is read, by the class of the routes; this one describes it.
    described = [Depends(HTTPBearer(auto_error=False))] if service.settings.api_key is not None else []
    guarded = APIRouter(route_class=guarded_route(service.settings), dependencies=described)
    add_loop(guarded, service)
    add_prompts(guarded, service)
    add_rulebooks(guarded, service)
    router = APIRouter(lifespan=lifespan)
    add_health(router, service)
    router.include_router(guarded)
    return router


def create_app(
    model: ChatModelLike | LoadingModel,
    *,
    alignment_model: ChatModelLike | LoadingModel | None = None,
    rulebooks: Mapping[str, Rulebook] | None = None,
    settings: ServeSettings | None = None,
) -> FastAPI:
    """Create the app that `langchain-align serve` runs.

    Without a key it only answers to this machine's own names and pages, so that no web page from elsewhere can reach
    it.

    Args:
        model: The model that answers, and that reads the rulebooks; a name is resolved while the app runs already.
        alignment_model: The model that writes principles; the same, when absent.
        rulebooks: Trained rulebooks by the name they are served under.
        settings: Database, key, limits.

    Returns:
        The app, for any ASGI server.

    Raises:
        ConfigurationError: A rulebook's name cannot stand in an address.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> app = create_app(FakeListChatModel(responses=["Hello!"]))
        >>> sorted(app.openapi()["paths"])[:3]
        ['/healthz', '/prompts', '/prompts/{name}']
    """
    settings = settings or ServeSettings()
    app = FastAPI(
        title="langchain-model-alignment",
        version=version("langchain-model-alignment"),
        summary="People's feedback becomes principles, principles become the prompt; labels become rulebooks.",
    )
    app.include_router(create_router(model, alignment_model=alignment_model, rulebooks=rulebooks, settings=settings))
    add_problem_handlers(app)
    if settings.api_key is None:
        app.add_middleware(OwnNamesOnly)
    return app
