"""Calls when it is time: one task that watches the clock for all that is to happen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from heapq import heappop, heappush
from itertools import count
from typing import Generic, Protocol, TypeVar

from storage.ending import end

K = TypeVar("K")


class Clock(Protocol):
    """What time it is."""

    def now(self) -> int:
        """Milliseconds since 1970."""

    async def sleep(self, milliseconds: int) -> None:
        """Returns when so much time has passed."""


class Timer(Generic[K]):
    """Calls `due(key)` for each key when its time has come, one after the other."""

    def __init__(self, name: str, clock: Clock, due: Callable[[K], Awaitable[None]]) -> None:
        self._name = name
        self._clock = clock
        self._due = due
        self._queue: list[tuple[int, int, K]] = []
        self._numbers = count()
        self._sooner = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to watch the clock."""
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        """Ends."""
        if self._task is not None:
            await end([self._task])
            self._task = None

    def add(self, at: int, key: K) -> None:
        """The key is due at this time (ms)."""
        heappush(self._queue, (at, next(self._numbers), key))
        if self._queue[0][0] == at:
            self._sooner.set()

    async def _run(self) -> None:
        while True:
            self._sooner.clear()
            if not self._queue:
                await self._sooner.wait()
            elif (at := self._queue[0][0]) > self._clock.now():
                await self._sleep(at)
            else:
                await self._call(heappop(self._queue)[2])

    async def _call(self, key: K) -> None:
        try:
            await self._due(key)
        except Exception as error:  # noqa: BLE001 - the others that are due must not suffer
            told = {"message": f"{self._name}: an exception", "exception": error}
            asyncio.get_running_loop().call_exception_handler(told)

    async def _until(self, at: int) -> None:
        # How long is asked only here: the time may have come since this was begun.
        if (wait := at - self._clock.now()) > 0:
            await self._clock.sleep(wait)

    async def _sleep(self, at: int) -> None:
        """Until then, or until something sooner is added."""
        tasks = [
            asyncio.ensure_future(self._until(at)),
            asyncio.ensure_future(self._sooner.wait()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
