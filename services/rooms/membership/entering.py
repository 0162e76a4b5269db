"""One at a time enters a room through another server: a second user of ours finds the door open, and goes in here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from protocol.ids import RoomID


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
