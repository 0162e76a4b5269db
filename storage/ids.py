"""Numbers for snapshots and layers of state, taken from the database a thousand at a time."""

from __future__ import annotations

import asyncio

from storage.database import Database
from storage.statement import sql

_BLOCK = 1000  # the sequence's INCREMENT BY

_NEXT_BLOCK = sql("SELECT nextval('ids')")


class Ids:
    """Unique for the tenant, over all processes; growing, but not in one order across processes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._next = self._end = 0
        self._lock = asyncio.Lock()

    async def next(self) -> int:
        """A number never given before; asks the database once in a thousand times."""
        while self._next == self._end:
            async with self._lock:
                if self._next == self._end:
                    async with self._database.read() as tx:
                        self._next = await tx.fetchval(_NEXT_BLOCK)
                        self._end = self._next + _BLOCK
        self._next += 1
        return self._next - 1
