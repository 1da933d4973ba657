"""Threads and stored prompts in Postgres; any number of servers may share it."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar
from urllib.parse import urlsplit

import psycopg
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.store.postgres.aio import AsyncPostgresStore
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from langchain_model_alignment.errors import ConfigurationError
from langchain_model_alignment.integrations.serving.claims import Claims, under_way
from langchain_model_alignment.integrations.serving.storage import Storage

__all__ = ["open_postgres"]

T = TypeVar("T")

_PATIENCE = 10.0  # seconds for the first connection
_PAUSE = 0.05  # seconds between two tries
_CONNECTIONS = 4  # the checkpointer and the store each use one at a time
_SETUP = 0x616C69676E  # the advisory lock under which tables are made


@asynccontextmanager
async def open_postgres(url: str) -> AsyncIterator[Storage]:
    """Open a database, and make the tables that are missing.

    Raises:
        ConfigurationError: It cannot be reached, or its tables not be made.
    """
    options: dict[str, Any] = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    pool: Any = AsyncConnectionPool(
        url,
        min_size=1,
        max_size=_CONNECTIONS,
        open=False,
        check=AsyncConnectionPool.check_connection,  # one that was lost is not handed out
        kwargs=options,
    )
    claims = _Claims(url)
    try:
        # The first connection is tried by itself: the pool would hide the reason behind a timeout.
        async with await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=int(_PATIENCE)) as first:
            await pool.open(wait=True, timeout=_PATIENCE)
            checkpointer, store = AsyncPostgresSaver(pool), AsyncPostgresStore(pool)
            await _alone(first)
            await checkpointer.setup()
            await store.setup()
    except (psycopg.Error, PoolTimeout) as error:
        await pool.close()
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise ConfigurationError(
            f"The Postgres database at {_where(url)} cannot be used ({_without_password(reason, url)}); check that it "
            "runs, and the address, user and password."
        ) from None
    try:
        yield Storage(checkpointer, store, claims)
    finally:
        await claims.close()
        await pool.close()


async def _alone(connection: psycopg.AsyncConnection[Any]) -> None:
    """Wait until no other server is making tables; the lock goes with the connection.

    A statement that waits for the lock would itself be waited for by `CREATE INDEX CONCURRENTLY`, so each try is short.
    """
    while not await _is_true(connection, "SELECT pg_try_advisory_lock(%s)", _SETUP):  # noqa: ASYNC110
        await asyncio.sleep(_PAUSE)


async def _is_true(connection: psycopg.AsyncConnection[Any], query: Any, value: Any) -> bool:
    row = await (await connection.execute(query, (value,))).fetchone()
    return bool(row and row[0])


class _Claims:
    """Advisory locks on one connection, behind the claims of this process; a lock dies with the server that holds it.

    Where the connection breaks, so do the locks that it held; the next one is asked for on a new connection. A
    statement that is cut off may take the connection along, and with it the locks of all threads: so each runs in a
    task of its own, which no reader who goes can cancel.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._here = Claims()
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._connecting = asyncio.Lock()
        self._apart: set[asyncio.Task[Any]] = set()

    @asynccontextmanager
    async def __call__(self, thread_id: str) -> AsyncIterator[None]:
        async with self._here(thread_id):
            locking = self._begin(self._lock(thread_id))
            try:
                if await asyncio.shield(locking) is None:
                    raise under_way(thread_id)
                yield
            finally:
                await asyncio.shield(self._begin(self._unlock(thread_id, locking)))

    async def close(self) -> None:
        await asyncio.gather(*self._apart, return_exceptions=True)
        if self._connection is not None:
            await self._connection.close()

    def _begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._apart.add(task)
        task.add_done_callback(self._apart.discard)
        return task

    async def _lock(self, thread_id: str) -> psycopg.AsyncConnection[Any] | None:
        """Return the connection that holds the lock now; None where another server holds it."""
        query = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
        connection = await self._connected()
        try:
            locked = await _is_true(connection, query, thread_id)
        except psycopg.OperationalError:  # it was lost meanwhile
            connection = await self._connected()
            locked = await _is_true(connection, query, thread_id)
        return connection if locked else None

    async def _unlock(self, thread_id: str, locking: "asyncio.Task[psycopg.AsyncConnection[Any] | None]") -> None:
        """Free what was locked, also where nobody waited for the lock to the end."""
        with suppress(psycopg.OperationalError):  # what cannot be reached holds no lock for us
            if (connection := await locking) is not None:
                await _is_true(connection, "SELECT pg_advisory_unlock(hashtextextended(%s, 0))", thread_id)

    async def _connected(self) -> psycopg.AsyncConnection[Any]:
        async with self._connecting:
            if self._connection is None or self._connection.closed:
                self._connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True)
            return self._connection


def _where(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2] or 'this machine'}{parts.path}"


def _without_password(reason: str, url: str) -> str:
    password = urlsplit(url).password
    return reason.replace(password, "***") if password else reason
