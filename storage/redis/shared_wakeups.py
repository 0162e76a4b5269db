"""Wake-ups that go to the other processes through Redis."""

from __future__ import annotations

import asyncio
from collections import deque

import orjson

from storage.journal import Note
from storage.redis.connection import REDIS_ERRORS, Channel, RedisCorner
from storage.redis.wakeups import Arrived, Lost

MAX_WAITING = 10_000
MAX_AT_ONCE = 100
PAUSE = 0.2  # seconds before Redis is tried again


class RedisWakeups:
    """Wake-ups over one Redis channel per tenant."""

    def __init__(self, corner: RedisCorner) -> None:
        self._corner = corner
        self._channel = Channel(corner, "wakeups", self._received, self._connected, self._missed)
        self._subscribers: list[tuple[Arrived, Lost]] = []
        self._waiting: deque[Note] = deque()
        self._sending: asyncio.Task[None] | None = None
        self._dropped = False

    async def publish(self, note: Note) -> None:
        """Puts the note into the queue: the journal never waits for Redis."""
        self._waiting.append(note)
        if len(self._waiting) > MAX_WAITING:
            self._waiting.clear()
            self._dropped = True
        if self._sending is None:
            self._sending = asyncio.create_task(self._send(), name="wake-ups")

    def subscribe(self, arrived: Arrived, lost: Lost) -> None:
        """From now on the callbacks are called; `lost` at least once for each connection that broke."""
        self._subscribers.append((arrived, lost))

    async def start(self) -> None:
        """Begins to listen; returns once connected, or after some seconds without Redis."""
        await self._channel.start()

    async def stop(self) -> None:
        """Sends what is waiting, if Redis takes it at once, and ends."""
        await self._channel.stop()
        if (sending := self._sending) is not None:
            await asyncio.wait([sending], timeout=1.0)
            sending.cancel()

    async def _send(self) -> None:
        try:
            while self._waiting or self._dropped:
                if not await self._sent():
                    await asyncio.sleep(PAUSE)
        finally:
            self._sending = None

    async def _sent(self) -> bool:
        """Publishes the oldest notes; if Redis refuses, drops them and has others look, later."""
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_AT_ONCE))]
        process = self._corner.process
        payloads: list[list[object]] = [[process, n.first, n.last, n.topics] for n in batch]
        if self._dropped:
            payloads.insert(0, [process])
        try:
            async with self._corner.commands.pipeline(transaction=False) as pipe:
                for payload in payloads:
                    pipe.publish(self._channel.name, orjson.dumps(payload))
                await pipe.execute()
        except REDIS_ERRORS as error:
            self._dropped = True
            self._corner.report("wake-ups to other processes", error)
            return False
        self._dropped = False
        return True

    def _received(self, data: bytes) -> None:
        process, *note = orjson.loads(data)
        if process == self._corner.process:
            return
        if not note:
            self._missed()
            return
        first, last, topics = note
        for arrived, _ in self._subscribers:
            arrived(Note(first, last, tuple(topics)))

    async def _connected(self) -> None:
        self._missed()

    def _missed(self) -> None:
        for _, lost in self._subscribers:
            lost()
