"""How often somebody may do something: leaky buckets, one number each.

A bucket is kept as the time at which it will be empty (the «theoretical arrival time» of the generic cell
rate algorithm). Several processes each decide at once by what they know, and five times a second tell each
other through Redis what they let pass: the shared limit holds but for what passes within that moment.
"""

from __future__ import annotations

from math import ceil
from typing import Protocol

MAX_BUCKETS = 100_000
SWEEP_EVERY = 10_000  # takes
ROUNDING = 0.001
"""Milliseconds: sums of thirds are not whole, and the last of a burst must pass."""


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
        wait = ceil(empty_at + interval - burst * interval - now - ROUNDING)
        if wait <= 0:
            empty_at += interval
        if empty_at > now:
            self._empty_at[key] = empty_at  # at the end: the dict is in the order of use
        self._sweep(now)
        return max(wait, 0)

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
