"""Who comes in, with what and how much, and how many at once."""

import hmac
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from langchain_model_alignment.integrations.serving.problems import problem_of
from langchain_model_alignment.integrations.serving.settings import ServeSettings, is_loopback

__all__ = ["OwnNamesOnly", "guarded_route"]


def guarded_route(settings: ServeSettings) -> type[APIRoute]:
    """Make the class of routes that ask for the key, bound the body, count who is in, and say problems in a sentence.

    It is all in the route, so that the same holds in the app of somebody else that a router is included in.
    """
    inside = _Inside(settings.max_in_flight)

    class GuardedRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()
            takes_body = self.body_field is not None

            async def guarded(request: Request) -> Any:
                try:
                    _check_key(request, settings)
                    _check_length(request, settings.max_body)
                    if takes_body:
                        _check_type(request)
                    inside.enter()
                except HTTPException as error:
                    return problem_of(error)
                bounded = Request(request.scope, _bounded(request.receive, settings.max_body))
                try:
                    response: Response = await handle(bounded)
                except Exception as error:  # noqa: BLE001  # the server goes on, and says what happened
                    response = problem_of(error)
                except BaseException:
                    inside.leave()
                    raise
                return inside.until_sent(response)

            return guarded

    return GuardedRoute


class OwnNamesOnly:
    """Answers only to this machine's own names, and to no web page from elsewhere.

    A web page can point a name of its own at this machine, or send a request to it unseen, and would then reach a
    server that asks for no key.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or say why not."""
        app = self._app
        if scope["type"] == "http" and (sentence := _refused(Request(scope))):
            app = problem_of(HTTPException(403, sentence))
        await app(scope, receive, send)


def _refused(request: Request) -> str | None:
    if not is_loopback(request.url.hostname or ""):
        return "Without a key this server only answers to 127.0.0.1 and localhost."
    origin = request.headers.get("origin")  # a browser sends it with all that a page may change something by
    if origin is not None and not is_loopback(_host_of(origin)):
        return "Without a key this server answers no web page from elsewhere; start it with a key, and send that."
    return None


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""


def _check_key(request: Request, settings: ServeSettings) -> None:
    if settings.api_key is None:
        return
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    wanted = settings.api_key.get_secret_value()
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), wanted.encode()):
        raise HTTPException(
            401,
            "The API key is missing or wrong; send it as the header Authorization: Bearer KEY.",
            {"WWW-Authenticate": "Bearer"},
        )


def _check_length(request: Request, most: int) -> None:
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told) > most:
        raise _too_large(most)


def _check_type(request: Request) -> None:
    """Refuse what is not said to be JSON: a browser lets any page send that unasked."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise HTTPException(415, "The body has to be JSON; send it with the header Content-Type: application/json.")


def _bounded(receive: Receive, most: int) -> Receive:
    """Count what comes in: a body that is sent in chunks tells no length beforehand."""
    taken = 0

    async def bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > most:
            raise _too_large(most)
        return message

    return bounded


def _too_large(most: int) -> HTTPException:
    return HTTPException(413, f"The body is larger than {most:,} bytes; send less at a time.", {"Connection": "close"})


class _Inside:
    """How many requests are being answered."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._now = 0

    def enter(self) -> None:
        if self._now >= self._most:
            sentence = f"{self._most} requests are being answered already; try again in a while."
            raise HTTPException(503, sentence, {"Retry-After": "1"})
        self._now += 1

    def leave(self) -> None:
        self._now -= 1

    def until_sent(self, response: ASGIApp) -> ASGIApp:
        """Count a request until the last byte of its answer, which may be a long stream."""

        async def send_it(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await response(scope, receive, send)
            finally:
                self.leave()

        return send_it
