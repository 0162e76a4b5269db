"""Watches the process while strange things are asked: how long its event loop stands still, how much memory it takes."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

TICK = 0.02
MAX_BLOCKED = 0.5
"""Seconds of CPU that the event loop may spend without a pause: measured as CPU, a busy machine does not count."""
MAX_GROWTH = 128 * 1024 * 1024


@dataclass
class Watch:
    """`blocked` is the longest stretch of CPU between two ticks since it was begun."""

    blocked: float = 0.0
    _last: float = 0.0

    def begin(self) -> None:
        """From now on it counts."""
        self.blocked, self._last = 0.0, time.thread_time()

    async def tick(self) -> None:
        """Goes on until it is cancelled."""
        self.begin()
        while True:
            await asyncio.sleep(TICK)
            now = time.thread_time()
            self.blocked, self._last = max(self.blocked, now - self._last), now


@asynccontextmanager
async def watched() -> AsyncIterator[Watch]:
    """A watch on the running loop."""
    watch = Watch()
    task = asyncio.create_task(watch.tick(), name="the watch")
    try:
        yield watch
    finally:
        task.cancel()
        await asyncio.wait([task])


def memory() -> int:
    """Bytes of this process that are in memory."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
