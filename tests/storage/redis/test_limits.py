"""Leaky buckets, of one process and of several that share a real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from storage.redis import limits as module
from storage.redis.limits import Limits, LocalLimits
from storage.redis.shared_limits import RedisLimits
from tests.storage.redis.conftest import Corner, Reported

NOW = 1_800_000_000_000


@pytest.fixture(params=["local", "redis"])
async def limits(request: pytest.FixtureRequest, corner: Corner) -> AsyncIterator[Limits]:
    local = request.param == "local"
    limits: Limits = LocalLimits() if local else RedisLimits(corner("a"))
    await limits.start()
    yield limits
    await limits.stop()


async def test_a_burst_passes_and_then_so_many_a_second(limits: Limits) -> None:
    assert [await limits.take("k", 2.0, 3, NOW) for _ in range(4)] == [0, 0, 0, 500]
    assert await limits.take("k", 2.0, 3, NOW + 499) == 1
    assert await limits.take("k", 2.0, 3, NOW + 500) == 0
    assert await limits.take("k", 2.0, 3, NOW + 500) == 500


async def test_who_is_refused_does_not_wait_longer_for_asking(limits: Limits) -> None:
    await limits.take("k", 1.0, 1, NOW)
    assert {await limits.take("k", 1.0, 1, NOW + 100) for _ in range(20)} == {900}
    assert await limits.take("k", 1.0, 1, NOW + 1000) == 0


async def test_keys_are_apart_and_an_idle_bucket_empties(limits: Limits) -> None:
    for _ in range(5):
        await limits.take("k", 1.0, 5, NOW)
    assert await limits.take("k", 1.0, 5, NOW) > 0
    assert await limits.take("other", 1.0, 5, NOW) == 0
    assert [await limits.take("k", 1.0, 5, NOW + 60_000) for _ in range(6)] == [0] * 5 + [1000]


async def test_processes_share_what_they_let_pass(corner: Corner) -> None:
    a, b = RedisLimits(corner("a")), RedisLimits(corner("b"))
    for _ in range(4):
        assert await a.take("k", 1.0, 5, NOW) == 0
    await a.shared()
    assert await b.take("k", 1.0, 5, NOW) == 0  # B does not know yet, and asks
    await b.shared()
    assert await b.take("k", 1.0, 5, NOW) == 1000
    await a.stop()
    await b.stop()


async def test_without_redis_each_process_goes_on_alone(corner: Corner, reported: Reported) -> None:
    a = RedisLimits(corner("a"))
    away = RedisLimits(type(a._corner).open("unix:///nowhere/redis", "test", "a", a._corner.report))
    assert [await away.take("k", 1.0, 2, NOW) for _ in range(3)] == [0, 0, 1000]
    await away.shared()
    assert await away.take("k", 1.0, 2, NOW) == 1000
    assert reported.what


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BUCKETS", 100)
    limits = LocalLimits()
    for n in range(1000):
        await limits.take(f"k{n}", 0.001, 1, NOW)
    assert len(limits) == 100
    assert await limits.take("k999", 0.001, 1, NOW) > 0  # the newest are kept


async def test_empty_buckets_are_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SWEEP_EVERY", 10)
    limits = LocalLimits()
    for n in range(9):
        await limits.take(f"k{n}", 1.0, 1, NOW)
    await limits.take("last", 1.0, 1, NOW + 5000)
    assert len(limits) == 1
