"""A bell: somebody has left work for a loop of this process."""

from __future__ import annotations

import asyncio
from typing import Protocol


class Watch(Protocol):
    """The part of a clock that a waiting loop needs."""

    def now(self) -> int:
        """Milliseconds since 1970."""

    async def sleep(self, milliseconds: int) -> None:
        """Returns when so much time has passed."""


class Bell:
    """Rung by whoever leaves work; the loop waits for it."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """There is something to do."""
        self._rung.set()

    async def wait(self, clock: Watch, until: int) -> None:
        """Returns when it has been rung since the last time, or at that time."""
        waits = [asyncio.ensure_future(self._rung.wait()), asyncio.ensure_future(_sleep(clock, until))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
        self._rung.clear()


async def _sleep(clock: Watch, until: int) -> None:
    left = until - clock.now()
    if left > 0:
        await clock.sleep(left)
