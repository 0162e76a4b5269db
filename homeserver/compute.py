"""Where pure functions run that take long: on threads (password hashes, images: both let go of the interpreter)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class ThreadCompute:
    """A thread a core."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, "compute")

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """The function's result; its exception is raised here."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    def close(self) -> None:
        """What has not begun never will."""
        self._threads.shutdown(wait=False, cancel_futures=True)
