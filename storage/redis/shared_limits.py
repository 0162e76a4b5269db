"""The limits of several processes: each decides by what it knows, and they tell each other through Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from storage.ending import end
from storage.redis.connection import REDIS_ERRORS, RedisCorner
from storage.redis.limits import LocalLimits

SYNC_EVERY = 0.2  # seconds


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
            await end([self._task])

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
