"""Answers that many readers need at the same time, asked for once: a change in a room wakes all who listen there."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")

SIZE = 200


class Shared:
    """The last answers. A key must say all that the answer depends on, the positions that it is about among them."""

    def __init__(self) -> None:
        self._answers: OrderedDict[Hashable, asyncio.Future[Any]] = OrderedDict()

    async def answer(self, key: Hashable, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer of whoever asked first; who comes while it is being looked up waits for it."""
        found = self._answers.get(key)
        if found is None:
            found = self._answers[key] = asyncio.ensure_future(ask())
            if len(self._answers) > SIZE:
                self._answers.popitem(last=False)
        try:
            answer: T = await asyncio.shield(found)
        except Exception:
            self._answers.pop(key, None)
            raise
        return answer
