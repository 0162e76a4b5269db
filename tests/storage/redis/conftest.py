"""Corners of a real Redis, one for each process that a test plays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from storage.redis.connection import RedisCorner

Corner = Callable[[str], RedisCorner]


class Reported:
    """What was reported to have gone wrong."""

    def __init__(self) -> None:
        self.what: list[str] = []
        self.news = asyncio.Event()

    def __call__(self, what: str) -> None:
        self.what.append(what)
        self.news.set()


@pytest.fixture
def reported() -> Reported:
    return Reported()


@pytest.fixture
async def corner(redis_url: str, reported: Reported) -> AsyncIterator[Corner]:
    """`corner("a")`: the same tenant's Redis as process "a" sees it."""
    opened: list[RedisCorner] = []

    def open_corner(process: str) -> RedisCorner:
        def report(what: str, error: BaseException) -> None:
            reported(f"{process}: {what}: {error!r}")

        opened.append(RedisCorner.open(redis_url, "test", process, report))
        return opened[-1]

    yield open_corner
    for one in opened:
        await one.close()
