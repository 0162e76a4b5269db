"""Loops that run beside everything else for as long as a tenant is served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from storage.ending import end


@asynccontextmanager
async def running(loops: dict[str, Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """The loops, by the names of their tasks, run as long as this lasts; at the end they are cancelled and have ended."""
    tasks = [asyncio.create_task(loop, name=name) for name, loop in loops.items()]
    try:
        yield
    finally:
        await end(tasks)
