"""A channel of Redis that is listened to through silence, nonsense and broken connections."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from storage import ending
from storage.redis import connection as module
from storage.redis.connection import Channel
from tests.storage.redis.conftest import Corner, Reported


class Ears:
    """What comes through a channel."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.connections = self.breaks = 0
        self.news = asyncio.Event()

    def received(self, data: bytes) -> None:
        if data == b"poison":
            raise ValueError("cannot read this")
        self.heard.append(data)
        self.news.set()

    async def connected(self) -> None:
        self.connections += 1
        self.news.set()

    def away(self) -> None:
        self.breaks += 1

    async def hear(self, count: int) -> None:
        while len(self.heard) < count:
            self.news.clear()
            await asyncio.wait_for(self.news.wait(), 10)


async def test_silence_does_not_break_a_connection(
    corner: Corner, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENCE", 0.3)
    ears = Ears()
    channel = Channel(corner("a"), "test", ears.received, ears.connected, ears.away)
    await channel.start()
    await asyncio.sleep(1.0)  # silence is what is tested: three times what makes it ask
    async with Redis.from_url(redis_url) as other:
        await other.publish(channel.name, b"hello")
    await ears.hear(1)
    assert (ears.heard, ears.connections, ears.breaks) == ([b"hello"], 1, 0)
    await channel.stop()


async def test_a_message_that_nobody_can_read_is_survived(
    corner: Corner, redis_url: str, reported: Reported
) -> None:
    ears = Ears()
    channel = Channel(corner("a"), "test", ears.received, ears.connected, ears.away)
    await channel.start()
    async with Redis.from_url(redis_url) as other:
        await other.publish(channel.name, b"poison")
        while ears.connections < 2:
            ears.news.clear()
            await asyncio.wait_for(ears.news.wait(), 10)
        await other.publish(channel.name, b"hello")
    await ears.hear(1)
    assert ears.heard == [b"hello"]
    assert "cannot read this" in reported.what[0]
    await channel.stop()


async def test_a_redis_that_is_not_there_is_waited_for(
    corner: Corner, reported: Reported, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_CONTACT", 0.1)
    ears, there = Ears(), corner("a")
    nowhere = type(there).open("unix:///nowhere/redis", "test", "a", there.report)
    channel = Channel(nowhere, "test", ears.received, ears.connected, ears.away)
    await channel.start()
    assert ears.breaks >= 1
    assert reported.what
    await channel.stop()
    await nowhere.close()


async def test_it_ends_at_whatever_moment_it_is_told(corner: Corner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "PATIENCE", 0.05)  # redis-py loses the cancellation at some of the moments
    ears = Ears()
    here = corner("a")
    for turns in range(40):
        channel = Channel(here, "news", ears.received, ears.connected, ears.away)
        beginning = asyncio.ensure_future(channel.start())
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(60):
            await channel.stop()
        beginning.cancel()
