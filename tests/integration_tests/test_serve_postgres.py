"""The same server on a real Postgres: threads and stored prompts shared by several servers."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi", reason='not installed: pip install "langchain-model-alignment[serve]"')
pytest.importorskip("psycopg_pool", reason='not installed: pip install "langchain-model-alignment[postgres]"')

import anyio
import psycopg

from langchain_model_alignment.errors import ConflictError
from langchain_model_alignment.integrations.serving import ServeSettings, create_app, open_storage
from langchain_model_alignment.integrations.serving.storage import Storage
from tests import postgres
from tests.fakes import ScriptedChatModel
from tests.serving import ACCEPT, CRITIQUE, START, client_of, mind, play_at_once

pytestmark = pytest.mark.skipif(bool(postgres.reason_to_skip()), reason=postgres.reason_to_skip())

BEGIN = {"thread_id": "t", "input": START}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with postgres.server() as address:
        yield address


@pytest.fixture
def url(address: str) -> str:
    """An empty database for each test."""
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS threads WITH (FORCE)")
        connection.execute("CREATE DATABASE threads")
    return address.replace("/postgres?", "/threads?")


async def is_free(storage: Storage, thread_id: str) -> bool:
    try:
        async with storage.claim(thread_id):
            return True
    except ConflictError:
        return False


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    with anyio.fail_after(5):
        while not await holds():  # noqa: ASYNC110  # the database tells nobody when it is done
            await anyio.sleep(0.01)


def app_of(url: str, latency: float = 0.0) -> Any:
    return create_app(ScriptedChatModel(mind, latency=latency), settings=ServeSettings(database=url))


async def test_a_thread_begun_on_one_server_goes_on_on_another(url: str) -> None:
    async with client_of(app_of(url)) as one, client_of(app_of(url)) as two:
        await one.post("/turn", json=BEGIN)
        assert (await two.post("/turn", json={"thread_id": "t", "resume": CRITIQUE})).json()["status"] == "waiting"
        assert (await one.post("/turn", json={"thread_id": "t", "resume": ACCEPT})).json()["status"] == "ended"


async def test_stored_prompts_are_in_postgres_too(url: str) -> None:
    async with client_of(app_of(url)) as one, client_of(app_of(url)) as two:
        await one.put("/prompts/uses", json={"prompt": "Uses of {item}?"})
        assert (await two.get("/prompts")).json() == ["uses"]
        await two.delete("/prompts/uses")
        assert (await one.post("/prompts/uses/invoke", json={"inputs": {"item": "rope"}})).status_code == 404


async def test_of_two_who_store_what_follows_one_version_at_two_servers_one_wins(url: str) -> None:
    async with client_of(app_of(url)) as one, client_of(app_of(url)) as two:
        read = (await one.put("/prompts/uses", json={"prompt": "Uses of {item}?"})).headers["etag"]
        assert (await two.get("/prompts/uses")).headers["etag"] == read
        told = {"json": {"prompt": "Three uses of {item}?"}, "headers": {"if-match": read}}
        both = [client.put("/prompts/uses", **told) for client in (one, two)]
        assert sorted(response.status_code for response in await asyncio.gather(*both)) == [204, 412]


async def test_of_two_answers_at_two_servers_one_wins_and_the_other_is_told(url: str) -> None:
    async with client_of(app_of(url, latency=0.1)) as one, client_of(app_of(url, latency=0.1)) as two:
        await one.post("/turn", json=BEGIN)
        both = [client.post("/turn", json={"thread_id": "t", "resume": CRITIQUE}) for client in (one, two)]
        assert sorted(response.status_code for response in await asyncio.gather(*both)) == [200, 409]
        reply = (await one.get("/threads/t")).json()
        assert len(reply["waiting_for"]["value"]["principles"]) == 1


async def test_two_hundred_threads_at_once_do_not_see_one_another(url: str) -> None:
    async with client_of(app_of(url)) as client:
        await play_at_once(client, 200)


async def test_a_database_that_goes_away_is_a_503_and_the_server_goes_on(url: str, address: str) -> None:
    async with client_of(app_of(url)) as client:
        await client.post("/turn", json=BEGIN)
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("DROP DATABASE threads WITH (FORCE)")
        response = await client.post("/turn", json={"thread_id": "t", "resume": ACCEPT})
        assert (response.status_code, "The database failed" in response.json()["detail"]) == (503, True)
        assert (await client.get("/healthz")).status_code == 200


async def test_several_servers_may_make_the_tables_at_once(url: str) -> None:
    async def opened() -> Storage:
        async with open_storage(url) as storage:
            return storage

    await asyncio.gather(*(opened() for _ in range(4)))


async def test_a_lost_connection_is_made_again(url: str) -> None:
    async with client_of(app_of(url)) as client:
        await client.post("/turn", json=BEGIN)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = 'threads' AND pid <> pg_backend_pid()"
            )
        assert (await client.post("/turn", json={"thread_id": "t", "resume": ACCEPT})).json()["status"] == "ended"


@pytest.mark.parametrize("gone", ["before the thread is held", "while it is held"])
async def test_a_reader_who_goes_frees_its_own_thread_and_no_other(url: str, gone: str) -> None:
    async with open_storage(url) as one, open_storage(url) as two:
        async with one.claim("kept"):
            with anyio.CancelScope() as scope:  # as Starlette's, it cancels again at every await
                if gone == "before the thread is held":
                    scope.cancel()
                async with one.claim("left"):
                    scope.cancel()
                    await anyio.sleep_forever()
            assert not await is_free(two, "kept")
            await until(lambda: is_free(two, "left"))
        assert await is_free(two, "kept")


async def test_a_server_that_stops_leaves_no_connection_though_a_reader_just_went(url: str) -> None:
    async with open_storage(url) as storage:
        with anyio.CancelScope() as scope:
            scope.cancel()
            async with storage.claim("left"):
                pass
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:

        async def is_alone() -> bool:
            found = await connection.execute("SELECT FROM pg_stat_activity WHERE datname = 'threads'")
            return found.rowcount == 1

        await until(is_alone)
