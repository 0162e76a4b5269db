"""Questions to the world outside that many may ask at once, and that are asked once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Once(Generic[K, V]):
    """Answers by their question. Those who ask while an answer is on its way share it, whoever of them goes away; it is
    kept for so long (milliseconds) as the asker said, and so many are kept at most.
    """

    def __init__(self, most: int = 1000) -> None:
        self._most = most
        self._asked: dict[K, asyncio.Task[V]] = {}
        self._kept: OrderedDict[K, tuple[int, V]] = OrderedDict()

    async def ask(
        self, key: K, question: Callable[[], Coroutine[Any, Any, V]], now: int, keep: Callable[[V], int]
    ) -> V:
        """The answer, kept or new; what the question raises is raised for all who wait for it, and not kept."""
        kept = self._kept.get(key)
        if kept is not None and kept[0] > now:
            return kept[1]
        task = self._asked.get(key)
        if task is None:
            task = self._asked[key] = asyncio.ensure_future(question())
            task.add_done_callback(lambda done: self._answered(key, done, now, keep))
        waiting: Awaitable[V] = asyncio.shield(task)
        return await waiting

    def forget(self, key: K) -> None:
        """The answer is not true any more."""
        self._kept.pop(key, None)

    def _answered(self, key: K, done: asyncio.Task[V], now: int, keep: Callable[[V], int]) -> None:
        self._asked.pop(key, None)
        if done.cancelled() or done.exception() is not None:
            return
        until = now + keep(done.result())
        if until > now:
            self._kept[key] = (until, done.result())
            self._kept.move_to_end(key)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
