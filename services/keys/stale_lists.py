"""A bell: there are device lists of other servers' users to be asked for again."""

from __future__ import annotations

import asyncio


class StaleLists:
    """Rung in this process by whoever marks a list as stale; the loop of services/keys/resync.py waits for it."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def wake(self) -> None:
        """There is one."""
        self._rung.set()

    async def wait(self) -> None:
        """Returns when it has been rung since the last time."""
        await self._rung.wait()
        self._rung.clear()
