"""Who comes in: this machine alone, or whoever gives the key."""

import asyncio
import hashlib
import hmac
import secrets
from http.cookies import CookieError, SimpleCookie
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from langchain_model_alignment.integrations.serving.settings import is_loopback

__all__ = ["add_doors"]

_COOKIE = "studio_key"
_WAIT = 0.5  # seconds after a wrong key, so that guessing takes for ever
_LARGEST = 2_000  # bytes of a form with a key in it
# Nothing is fetched from elsewhere, and no other page may show this one inside itself.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self' ws: wss:; frame-ancestors 'none'"
)


def add_doors(app: FastAPI, key: str | None) -> None:
    """Let in this machine's own names and pages only; with a key, whoever gives it, once per browser.

    Args:
        app: The app, before anything is added to it that must not be reached unseen.
        key: The key, if one is asked for.
    """
    app.add_middleware(_Doors, key=key)
    if key is None:
        return

    @app.get("/key")
    def _ask() -> HTMLResponse:
        return HTMLResponse(_page(""))

    @app.post("/key")
    async def _take(request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _LARGEST:
                return PlainTextResponse("That is too long for a key.", 413)
        given = parse_qs(body.decode(errors="replace")).get("key", [""])[0]
        if not hmac.compare_digest(given.encode(), key.encode()):
            await asyncio.sleep(_WAIT)
            return HTMLResponse(_page("That is not the key; try again."), 401)
        response = RedirectResponse("/", 303)
        response.set_cookie(_COOKIE, _mark(key), httponly=True, samesite="strict", secure=request.url.scheme == "https")
        return response


_SALT = secrets.token_bytes(16)  # a cookie holds for this process only


def _mark(key: str) -> str:
    """What a browser keeps in the place of the key."""
    return hmac.new(_SALT, key.encode(), hashlib.sha256).hexdigest()


class _Doors:
    """Looks at every request and every socket before anything else does."""

    def __init__(self, app: ASGIApp, key: str | None) -> None:
        self._app = app
        self._key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refused = self._refused(scope, headers)
        if refused is None:
            await self._app(scope, receive, _with_policy(send))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await refused(scope, receive, send)

    def _refused(self, scope: Scope, headers: Headers) -> Response | None:
        own, origin = headers.get("host", ""), headers.get("origin")
        # A page from elsewhere may send requests and open sockets unseen, with this browser's cookies.
        if origin is not None and _host_of(origin) != own:
            return PlainTextResponse("The studio answers to no page from elsewhere.", 403)
        if self._key is None:
            # A page may also point a name of its own at this machine.
            if is_loopback(urlsplit(f"//{own}").hostname or ""):
                return None
            return PlainTextResponse("Without a key the studio only answers to 127.0.0.1 and localhost.", 403)
        if scope["path"] == "/key" or self._has_key(headers):
            return None
        if scope["type"] == "http" and scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            return RedirectResponse("/key", 303)
        return PlainTextResponse("Give the key at /key first.", 401)

    def _has_key(self, headers: Headers) -> bool:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(_COOKIE)
        except CookieError:
            return False
        return found is not None and hmac.compare_digest(found.value.encode(), _mark(self._key or "").encode())


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _with_policy(send: Send) -> Send:
    async def told(message: Any) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), (b"content-security-policy", _POLICY.encode())]
        await send(message)

    return told


def _page(problem: str) -> str:
    """The page that asks for the key; it needs nothing that lies behind the doors."""
    style = (files(__package__) / "static" / "studio.css").read_text(encoding="utf-8")
    said = f'<p role="alert" style="color:var(--bad)">{problem}</p>' if problem else ""
    return f"""<!doctype html><html lang="en"><head><title>Studio</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}
input, button {{ font: inherit; width: 100%; padding: 10px 14px; border-radius: 10px; border: 1px solid var(--edge); }}
button {{ background: var(--accent); color: var(--on-accent); border: 0; font-weight: 560; cursor: pointer; }}
form {{ max-width: 360px; margin: 16vh auto; }}</style></head><body>
<form class="card" method="post" action="/key"><h1 class="title">Studio</h1>{said}
<label for="key">The key</label><input id="key" name="key" type="password" autocomplete="current-password" autofocus>
<button>Come in</button></form></body></html>"""
