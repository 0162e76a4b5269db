"""One at a time enters a room through another server: a second user of ours finds the door open, and goes in here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from protocol.ids import RoomID

PATIENCE = 5.0  # seconds


class Entering:
    """The rooms that this process is about to enter."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[RoomID, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def alone(self, room_id: RoomID) -> AsyncIterator[None]:
        """Waits until nobody else here is entering the room."""
        lock = self._locks.get(room_id)
        if lock is None:
            lock = self._locks[room_id] = asyncio.Lock()
        async with lock:
            yield

    async def settled(self, room_ids: Iterable[str]) -> None:
        """Returns when nobody here is entering any of these rooms, or that takes too long."""
        try:
            async with asyncio.timeout(PATIENCE):
                for room_id in room_ids:
                    lock = self._locks.get(RoomID(room_id))
                    if lock is not None and lock.locked():
                        async with lock:
                            pass
        except TimeoutError:
            pass
