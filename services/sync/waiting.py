"""How a poll waits, whatever way its client listens: until there may be news, its time is over or the client has gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Protocol

from services.sync.listener import Listener
from services.sync.token import Token


class Departure(Protocol):
    """Whether the client has gone, while it waits for its answer."""

    def is_set(self) -> bool:
        """Has it?"""

    def add_callback(self, callback: Callable[[], None]) -> None:
        """It is called once the client has gone."""

    def remove_callback(self, callback: Callable[[], None]) -> None:
        """It is not called any more."""


async def news(listener: Listener, since: Token, deadline: float, gone: Departure) -> bool:
    """True as soon as there may be something after `since`; False when the event loop's clock says `deadline`, and when the
    client has gone.
    """
    if listener.may_know_after(since.position, since.ephemeral):
        return True
    loop = asyncio.get_running_loop()
    left = deadline - loop.time()
    if left <= 0 or gone.is_set():
        return False
    woken = listener.waiter()
    stop = partial(_stop, woken)
    timer = loop.call_later(left, stop)
    gone.add_callback(stop)
    try:
        return await woken
    finally:
        timer.cancel()
        gone.remove_callback(stop)


def _stop(waiting: asyncio.Future[bool]) -> None:
    if not waiting.done():
        waiting.set_result(False)
