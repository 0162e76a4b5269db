"""The timer calls when it is time, at whatever moment that comes."""

from __future__ import annotations

import asyncio

import pytest

from storage.redis.timer import Timer
from tests.fixtures.time import FakeClock


@pytest.mark.parametrize("turns", range(6))
async def test_time_that_passes_while_it_lies_down_is_not_overslept(turns: int) -> None:
    clock, called = FakeClock(), asyncio.Event()

    async def due(_: str) -> None:
        called.set()

    timer: Timer[str] = Timer("a timer", clock, due)
    timer.start()
    await asyncio.sleep(0)
    timer.add(clock.now() + 1000, "a key")
    for _ in range(turns):
        await asyncio.sleep(0)
    assert not called.is_set()
    clock.advance(1000)
    async with asyncio.timeout(5):
        await called.wait()
    await timer.stop()
