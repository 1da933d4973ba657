"""Who comes into the studio."""

from typing import Any

import httpx
import pytest

pytest.importorskip("nicegui", reason='not installed: pip install "langchain-model-alignment[studio]"')

from fastapi import FastAPI, WebSocket
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from langchain_model_alignment.studio.doors import add_doors

HOME = "http://127.0.0.1:8080"


def house(key: str | None = None) -> FastAPI:
    app = FastAPI()
    add_doors(app, key)

    @app.get("/")
    def _home() -> dict[str, str]:
        return {"here": "it is"}

    @app.websocket("/socket")
    async def _socket(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()

    return app


def visitor(app: FastAPI, base: str = HOME, **options: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base, **options)


async def test_without_a_key_this_machine_comes_in() -> None:
    async with visitor(house()) as client:
        assert (await client.get("/")).status_code == 200
        assert (await client.get("/", headers={"origin": HOME})).status_code == 200


@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"origin": "https://evil.example"}, {"origin": "null"}])
async def test_a_page_from_elsewhere_stays_outside(headers: dict[str, str]) -> None:
    async with visitor(house()) as client:
        assert (await client.get("/", headers=headers)).status_code == 403


async def test_with_a_key_nobody_comes_in_who_has_not_given_it() -> None:
    async with visitor(house("secret"), "http://studio.example") as client:
        assert (await client.get("/")).status_code == 401
        asked = await client.get("/", headers={"accept": "text/html"})
        assert (asked.status_code, asked.headers["location"]) == (303, "/key")
        assert "The key" in (await client.get("/key")).text


async def test_a_key_is_given_once_and_the_browser_does_not_keep_it_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("langchain_model_alignment.studio.doors._WAIT", 0)
    async with visitor(house("secret"), "http://studio.example") as client:
        assert (await client.post("/key", data={"key": "guess"})).status_code == 401
        taken = await client.post("/key", data={"key": "secret"})
        assert taken.status_code == 303
        assert "secret" not in taken.headers["set-cookie"]
        assert (await client.get("/")).status_code == 200


@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"host": "evil.example"}])
def test_a_socket_from_elsewhere_stays_outside(headers: dict[str, str]) -> None:
    with TestClient(house(), base_url=HOME) as client:
        with client.websocket_connect("/socket", headers={"host": "127.0.0.1:8080", "origin": HOME}):
            pass
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/socket", headers=headers):
            pass


async def test_nothing_is_fetched_from_elsewhere_and_no_page_shows_the_studio_inside_itself() -> None:
    async with visitor(house()) as client:
        policy = (await client.get("/")).headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
