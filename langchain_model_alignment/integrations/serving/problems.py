"""What goes wrong, as a status and one sentence."""

import logging
import sqlite3
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from langchain_model_alignment.errors import (
    AlignmentError,
    BudgetError,
    ConfigurationError,
    ConflictError,
    ModelError,
    NotFoundError,
    RateLimitError,
    UnavailableError,
)

__all__ = ["Problem", "add_problem_handlers", "problem_of", "responses"]

logger = logging.getLogger(__name__)

_LATER = {"Retry-After": "5"}  # seconds
_STATUS: Mapping[type[Exception], int] = {  # the first that fits
    NotFoundError: 404,
    ConflictError: 409,
    ConfigurationError: 422,
    UnavailableError: 503,
    RateLimitError: 503,
    BudgetError: 503,
    ModelError: 502,
}
_MEANING = {
    400: "The body cannot be read.",
    401: "The API key is missing or wrong.",
    404: "There is nothing of that name.",
    409: "It does not fit how things stand.",
    412: "Somebody else stored another version.",
    413: "The body is too large.",
    415: "The body is not said to be JSON.",
    422: "What was sent cannot be used.",
    500: "A defect of the server.",
    502: "The model's provider failed.",
    503: "Not ready, too busy, or a budget is spent.",
}


class Problem(BaseModel):
    """What went wrong, in one sentence."""

    detail: str


def responses(*statuses: int) -> dict[int | str, dict[str, object]]:
    """Describe, for OpenAPI, what may go wrong; every guarded route may also refuse, fail, or be too busy."""
    always = (400, 401, 413, 415, 422, 500, 503)
    return {status: {"model": Problem, "description": _MEANING[status]} for status in sorted({*always, *statuses})}


def problem_of(error: Exception) -> JSONResponse:
    """Turn whatever was raised into a response; what is no fault of the caller is logged."""
    if isinstance(error, RequestValidationError):
        return _problem(422, _of_validation(error))
    if isinstance(error, HTTPException):
        detail = "The body cannot be read; send JSON." if error.status_code == 400 else str(error.detail)
        return _problem(error.status_code, detail, error.headers)
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)
    if isinstance(error, sqlite3.Error) or type(error).__module__.partition(".")[0].startswith("psycopg"):
        logger.error("The database failed", exc_info=error)
        return _problem(503, f"The database failed ({type(error).__name__}); try again in a while.", _LATER)
    if not isinstance(error, AlignmentError):
        logger.error("A request failed", exc_info=error)
        return _problem(500, f"The server failed ({type(error).__name__}); its log tells more.")
    return _problem(status, str(error), _LATER if status == 503 else None)


def add_problem_handlers(app: FastAPI) -> None:
    """Have an app answer with a status and `{"detail": "one sentence"}`, whatever goes wrong in it.

    Args:
        app: The app, which may have LangServe's routes too.
    """

    async def handle(request: Request, error: Exception) -> JSONResponse:
        return problem_of(error)

    async def not_here(request: Request, error: Exception) -> JSONResponse:
        if isinstance(error, HTTPException) and error.detail == "Not Found":
            return _problem(404, "There is nothing at this path; /openapi.json lists what there is.")
        if isinstance(error, HTTPException) and error.detail == "Method Not Allowed":
            methods = _methods_of(app, request.url.path)
            headers = {"Allow": ", ".join(methods)} if methods else error.headers
            return _problem(405, "This path has no such method; /openapi.json lists what there is.", headers)
        return problem_of(error)

    app.add_exception_handler(AlignmentError, handle)
    app.add_exception_handler(RequestValidationError, handle)
    app.add_exception_handler(HTTPException, not_here)
    app.add_exception_handler(Exception, handle)


def _methods_of(app: FastAPI, path: str) -> list[str]:
    """The methods of a path; Starlette tells only those of the first route that has it."""
    found = [told for template, told in app.openapi()["paths"].items() if compile_path(template)[0].match(path)]
    return sorted({method.upper() for told in found for method in told})


def _problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"detail": detail}, status, dict(headers or {}))


def _of_validation(error: RequestValidationError) -> str:
    found = error.errors()[0]
    if found["type"] == "json_invalid":
        return f"The body is not JSON ({found['ctx']['error']} at character {found['loc'][-1]})."
    where = ".".join(str(part) for part in found["loc"][1:]) or f"the {found['loc'][0]}"
    return f"{where}: {str(found['msg']).removeprefix('Value error, ').rstrip('.')}."
