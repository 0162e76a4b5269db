"""How often somebody may do something: leaky buckets, one number each.

A bucket is kept as the time at which it will be empty (the «theoretical arrival time» of the generic cell
rate algorithm). Several processes each decide at once by what they know, and five times a second tell each
other through Redis what they let pass: the shared limit holds but for what passes within that moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from math import ceil
from typing import Protocol

from storage.redis.connection import REDIS_ERRORS, RedisCorner

MAX_BUCKETS = 100_000
SWEEP_EVERY = 10_000  # takes
SYNC_EVERY = 0.2  # seconds


class Limits(Protocol):
    """Counts what callers do."""

    async def take(self, key: str, per_second: float, burst: int, now: int) -> int:
        """0 when allowed (and counted), else the milliseconds to wait: `burst` at once, then `per_second`."""

    async def start(self) -> None:
        """Begins to share with other processes."""

    async def stop(self) -> None:
        """Ends."""


class LocalLimits:
    """Buckets of this process alone."""

    def __init__(self) -> None:
        self._empty_at: dict[str, float] = {}
        self._takes = 0

    def __len__(self) -> int:
        return len(self._empty_at)

    async def start(self) -> None:
        """Nothing to begin."""

    async def stop(self) -> None:
        """Nothing to end."""

    async def take(self, key: str, per_second: float, burst: int, now: int) -> int:
        """0 when allowed (and counted); else the milliseconds to wait."""
        return self.take_now(key, per_second, burst, now)

    def take_now(self, key: str, per_second: float, burst: int, now: int) -> int:
        """The same, without a chance to wait."""
        interval = 1000 / per_second
        empty_at = max(self._empty_at.pop(key, now), now)
        wait = empty_at + interval - burst * interval - now
        if wait <= 0:
            empty_at += interval
        if empty_at > now:
            self._empty_at[key] = empty_at  # at the end: the dict is in the order of use
        self._sweep(now)
        return max(ceil(wait), 0)

    def fill(self, key: str, empty_at: float) -> None:
        """Takes over what is known elsewhere of a bucket."""
        self._empty_at[key] = empty_at

    def _sweep(self, now: int) -> None:
        self._takes += 1
        if self._takes % SWEEP_EVERY == 0 or len(self._empty_at) > MAX_BUCKETS:
            self._empty_at = {key: at for key, at in self._empty_at.items() if at > now}
            while len(self._empty_at) > MAX_BUCKETS:
                del self._empty_at[next(iter(self._empty_at))]


# For each bucket: how often it was taken from here, and the milliseconds that one take fills; gives back the
# time at which each will be empty, by what all processes did. Times are text: numbers lose digits on the way.
_SHARE = """
local now = tonumber(ARGV[1])
local all = {}
for i, key in ipairs(KEYS) do
    local filled = tonumber(ARGV[2 * i]) * tonumber(ARGV[2 * i + 1])
    local at = math.max(tonumber(redis.call('GET', key) or now), now) + filled
    redis.call('SET', key, string.format('%.3f', at), 'PX', math.ceil(at - now) + 1000)
    all[i] = string.format('%.3f', at)
end
return all
"""


class RedisLimits:
    """Buckets that several processes share."""

    def __init__(self, corner: RedisCorner) -> None:
        self._corner = corner
        self._local = LocalLimits()
        self._taken: dict[str, list[float]] = {}  # key -> [takes not yet shared, milliseconds a take]
        self._now = 0
        self._task: asyncio.Task[None] | None = None
        self._share_script = corner.commands.register_script(_SHARE)

    async def start(self) -> None:
        """Nothing to begin: the first take does."""

    async def stop(self) -> None:
        """Ends sharing; what was not shared yet is forgotten."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def take(self, key: str, per_second: float, burst: int, now: int) -> int:
        """Decides by what is known here, and shares it soon."""
        wait = self._local.take_now(key, per_second, burst, now)
        if wait == 0:
            self._taken.setdefault(key, [0, 1000 / per_second])[0] += 1
            self._now = now
            if self._task is None:
                self._task = asyncio.create_task(self._share_soon(), name="limits")
        return wait

    async def shared(self) -> None:
        """Returns when what was taken so far is known to the other processes' next exchange."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _share_soon(self) -> None:
        try:
            while self._taken:
                await asyncio.sleep(SYNC_EVERY)
                taken, self._taken = self._taken, {}
                try:
                    times = await self._share(taken.items())
                except REDIS_ERRORS as error:
                    self._corner.report("limits", error)
                    continue
                for key, empty_at in zip(taken, times, strict=True):
                    count, interval = self._taken.get(key, (0, 0))  # taken while Redis was asked
                    self._local.fill(key, float(empty_at) + count * interval)
        finally:
            self._task = None

    async def _share(self, taken: Iterable[tuple[str, list[float]]]) -> list[bytes]:
        keys, arguments = [], [str(self._now)]
        for key, (count, interval) in taken:
            keys.append(self._corner.key("limit:" + key))
            arguments += [str(count), str(interval)]
        result: list[bytes] = await self._share_script(keys=keys, args=arguments)
        return result
