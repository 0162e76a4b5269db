"""Tasks that deliver: so many at a time and no more, however many destinations wait for their turn."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

from federation.outbound.destination import Destination


class Workers:
    """Destinations in the order in which they came, those that are held already before those that must be claimed."""

    def __init__(self, limit: int, deliver: Callable[[Destination, Workers], Awaitable[None]]) -> None:
        self._limit = limit
        self._deliver = deliver
        self._held: deque[Destination] = deque()
        self._unheld: deque[Destination] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    def put(self, destinations: Iterable[Destination]) -> None:
        """They are delivered to when it is their turn."""
        for destination in destinations:
            (self._held if destination.is_held else self._unheld).append(destination)
            if len(self._tasks) < self._limit:
                task = asyncio.create_task(self._work(), name="delivering to other servers")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def take_unheld(self, most: int) -> list[Destination]:
        """The next that must be claimed, which do not wait any more: the caller claims them, and puts them back."""
        return [self._unheld.popleft() for _ in range(min(most, len(self._unheld)))]

    async def stop(self) -> None:
        """Breaks off what is under way."""
        self._held.clear()
        self._unheld.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _work(self) -> None:
        while queue := self._held or self._unheld:
            await self._deliver(queue.popleft(), self)
