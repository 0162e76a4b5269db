"""The feed: what this process knows to be committed, in order, and who is told of it.

Each commit, of this process or of another, arrives as a Note: positions `first` to `last`, and topics. The watermark
`position` moves only over notes that follow on each other, so a reader who was told of P has been told of everything
at or below P. Notes that come too early wait for the missing one. When it does not come within `PATIENCE` (a wake-up
was lost, or a process died between commit and note), the feed *resets*: it takes the position from the database, and
all subscribers forget what they knew and read from the database. That is slower and always right.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from storage.database import Database
from storage.journal import Note
from storage.statement import sql

PATIENCE = 0.5  # seconds

_POSITION = sql("SELECT position FROM journal")


@dataclass(frozen=True, slots=True)
class Subscriber:
    """`told(position, topics)` of each step of the watermark; `reset(position)` when steps may have been missed."""

    told: Callable[[int, tuple[str, ...]], None]
    reset: Callable[[int], None]


class Feed:
    """One tenant's feed in one process."""

    def __init__(self, database: Database) -> None:
        self.position = 0
        self._database = database
        self._subscribers: list[Subscriber] = []
        self._early: dict[int, Note] = {}
        self._resetting: asyncio.Task[None] | None = None

    def subscribe(self, subscriber: Subscriber) -> None:
        """From now on the subscriber is called, in the order of subscription."""
        self._subscribers.append(subscriber)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """It is not called any more."""
        self._subscribers = [other for other in self._subscribers if other is not subscriber]

    async def start(self) -> None:
        """Begins at what is committed now."""
        self.position = await self._committed()

    async def stop(self) -> None:
        """Ends a reset that is waiting."""
        if self._resetting is not None:
            self._resetting.cancel()

    def arrived(self, note: Note) -> None:
        """A commit of this or of another process; too early ones are kept, doubled ones ignored."""
        if note.last > self.position:
            self._early[note.first] = note
        while (following := self._early.pop(self.position + 1, None)) is not None:
            self.position = following.last
            for subscriber in self._subscribers:
                subscriber.told(following.last, following.topics)
        if self._early and self._resetting is None:
            self._resetting = asyncio.create_task(self._reset_unless_closed())

    async def look(self) -> None:
        """Compares with the database: for processes whose wake-ups come over a network and may be lost."""
        before = self.position
        if await self._committed() > before and self._resetting is None:
            self._resetting = asyncio.create_task(self._reset_unless_closed())

    async def _reset_unless_closed(self) -> None:
        try:
            before = self.position
            await asyncio.sleep(PATIENCE)
            if self.position == before or self._early:
                self._reset(await self._committed())
        finally:
            self._resetting = None

    def _reset(self, position: int) -> None:
        self.position = max(self.position, position)
        self._early = {first: note for first, note in self._early.items() if note.last > self.position}
        for subscriber in self._subscribers:
            subscriber.reset(self.position)

    async def _committed(self) -> int:
        async with self._database.read() as tx:
            position: int = await tx.fetchval(_POSITION)
        return position
