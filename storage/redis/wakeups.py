"""Wake-ups: what was committed here is told to the other processes, so that those who wait there look again.

A wake-up carries no data that matters. One that is lost leaves a gap, which the feed notices; and whenever
something may have been lost unseen (the connection broke, Redis was away), the feed is told to look.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from storage.journal import Note

Arrived = Callable[[Note], None]
Lost = Callable[[], None]


class Wakeups(Protocol):
    """Tells other processes of commits, and hears of theirs."""

    async def publish(self, note: Note) -> None:
        """Tells all other processes, in the order of the calls; does not wait for them, and never fails."""

    def subscribe(self, arrived: Arrived, lost: Lost) -> None:
        """`arrived` is called with each note of another process; `lost` when some may have been missed."""

    async def start(self) -> None:
        """Begins to listen."""

    async def stop(self) -> None:
        """Sends what is waiting and ends."""


class LocalWakeups:
    """The in-process twin: there is no other process to tell."""

    async def publish(self, note: Note) -> None:
        """Nobody is there to be told."""

    def subscribe(self, arrived: Arrived, lost: Lost) -> None:
        """Nothing will arrive."""

    async def start(self) -> None:
        """Nothing to begin."""

    async def stop(self) -> None:
        """Nothing to end."""
