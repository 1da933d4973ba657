"""The app that is served, without a socket, in an event loop that lives as long as the feeding."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from langchain_model_alignment.errors import DataError
from langchain_model_alignment.integrations.serving import ServeSettings, create_app
from tests.fakes import ScriptedChatModel
from tests.serving import client_of, mind, rulebook

_JSON = {"Content-Type": "application/json"}


@contextmanager
def open_web(folder: Path) -> Iterator[Callable[[tuple[str, bytes]], None]]:
    """Yield what sends a body to a path, and looks at the answer."""
    app = create_app(
        ScriptedChatModel(mind), rulebooks={"toxic": rulebook()}, settings=ServeSettings(database=str(folder))
    )
    with asyncio.Runner() as runner:
        context = client_of(app)
        client = runner.run(context.__aenter__())

        def ask(given: tuple[str, bytes]) -> None:
            path, body = given
            method = "PUT" if path == "/prompts/a" else "POST"
            check(runner.run(client.request(method, path, content=body, headers=_JSON)))

        try:
            yield ask
        finally:
            runner.run(context.__aexit__(None, None, None))


def check(response: httpx.Response) -> None:
    """An answer, or what was wrong in a sentence; never a defect of the server.

    Raises:
        DataError: It was refused as it should be.
    """
    assert response.status_code < 500, f"{response.status_code}: {response.text}"
    if response.status_code >= 400:
        assert "\n" not in response.json()["detail"].strip()
        raise DataError(response.json()["detail"])
    assert "The server failed" not in response.text
