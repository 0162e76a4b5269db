"""Questions that several wait for, at the end of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any


async def cancelled(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Ends the tasks, and returns when they have ended."""
    running = [task for task in tasks if task.cancel()]
    if running:
        await asyncio.wait(running)
