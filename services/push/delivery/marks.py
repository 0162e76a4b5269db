"""Writes down how far pushers have got, all that are ready at one time in one statement."""

from __future__ import annotations

import asyncio

from storage.database import Database
from storage.push.pushers import Mark, mark_pushers


class Marks:
    """Marks of many pushers, at most one of each at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[tuple[Mark, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def put(self, mark: Mark) -> None:
        """Returns when it is written; raises what the database raises."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((mark, done))
        if self._task is None:
            self._task = asyncio.create_task(self._write())
        await done

    async def _write(self) -> None:
        try:
            while self._waiting:
                taken, self._waiting = self._waiting, []
                try:
                    async with self._database.read() as tx:
                        await mark_pushers(tx, [mark for mark, _ in taken])
                except Exception as error:  # noqa: BLE001 - those who wait are told
                    for _, done in taken:
                        if not done.done():
                            done.set_exception(error)
                else:
                    for _, done in taken:
                        if not done.done():
                            done.set_result(None)
        finally:
            self._task = None
