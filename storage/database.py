"""A pool of PostgreSQL connections opened on one tenant's schema, and what a statement runs in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import asyncpg

from storage.statement import sql

_QUICK_COMMIT = sql("SELECT set_config('synchronous_commit', 'off', true)")


class _Connection(asyncpg.Connection):
    """asyncpg resets a connection with a round trip each time it goes back to the pool; we leave nothing to reset."""

    def get_reset_query(self) -> str:
        return ""


class Counts(Protocol):
    """Where statements are counted."""

    statements_run: int


@dataclass(slots=True)
class _Uncounted:
    """A count that nobody looks at."""

    statements_run: int = 0


class Tx:
    """Runs statements on one connection; counts them, so that tests can pin how many a hot path takes."""

    __slots__ = ("_connection", "_counts")

    def __init__(self, connection: Any, counts: Counts) -> None:
        self._connection = connection
        self._counts = counts

    async def fetch(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """All rows."""
        self._counts.statements_run += 1
        return await self._connection.fetch(statement, *values)  # type: ignore[no-any-return]

    async def fetchrow(self, statement: str, *values: object) -> asyncpg.Record | None:
        """The first row, None when there is none."""
        self._counts.statements_run += 1
        return await self._connection.fetchrow(statement, *values)  # type: ignore[no-any-return]

    async def fetchval(self, statement: str, *values: object) -> Any:
        """The first column of the first row, None when there is none."""
        self._counts.statements_run += 1
        return await self._connection.fetchval(statement, *values)

    async def execute(self, statement: str, *values: object) -> str:
        """The command's tag, such as `UPDATE 3`."""
        self._counts.statements_run += 1
        return await self._connection.execute(statement, *values)  # type: ignore[no-any-return]


class Database:
    """One tenant's data. Every statement runs with the tenant's schema as its search path."""

    def __init__(self, pool: asyncpg.Pool, schema: str) -> None:
        self._pool = pool
        self.schema = schema
        self.statements_run = 0

    @classmethod
    async def open(cls, where: dict[str, Any], schema: str, max_size: int = 10) -> Database:
        """A pool of at most `max_size` connections; `where` is what `asyncpg.connect` takes (dsn, or host, user, ...)."""
        pool = await asyncpg.create_pool(
            **where,
            min_size=0,
            max_size=max_size,
            statement_cache_size=1000,
            max_cached_statement_lifetime=0,
            connection_class=_Connection,
            server_settings={"search_path": schema, "application_name": "hearth", "jit": "off"},
        )
        return cls(pool, schema)

    async def close(self) -> None:
        """Waits for running statements, then closes all connections."""
        await self._pool.close()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Tx]:
        """For single statements, each of which sees the newest data."""
        async with self._pool.acquire() as connection:
            yield Tx(connection, self)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Tx]:
        """For several statements that must see the data at one moment; read only."""
        async with self._pool.acquire() as connection:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                yield Tx(connection, self)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """All or nothing, READ COMMITTED; an exception rolls back."""
        async with self._pool.acquire() as connection, connection.transaction():
            yield Tx(connection, self)

    @asynccontextmanager
    async def background(self) -> AsyncIterator[Tx]:
        """Like `transaction`, for what can be made again and nobody waits for: its statements are not counted, and its commit
        does not wait for the disk.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            tx = Tx(connection, _Uncounted())
            await tx.fetchval(_QUICK_COMMIT)
            yield tx
