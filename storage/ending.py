"""The end of tasks. A library may lose a cancellation, as redis-py does while it connects: so it is said until it is heard."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

PATIENCE = 5.0
"""Seconds that a task has for what it does at its end, before it is told again."""


async def end(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancels the tasks; they have ended when this returns."""
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=PATIENCE)
