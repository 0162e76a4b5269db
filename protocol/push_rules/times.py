"""Times of the day and days of the week, in somebody's time zone (MSC3767): when a condition of a push rule holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Any, Final

MAX_INTERVALS: Final = 50
_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_END_OF_DAY: Final = 24 * 60
_EVERY_DAY: Final = frozenset(range(7))
# «0 = Sunday, 1 = Monday, .., 6 = Saturday»; COMPAT: an older form of the proposal had 7 for Sunday.
_SUNDAYS: Final = (0, 7)


@dataclass(frozen=True, slots=True)
class Interval:
    """From one minute of the day to another, both «inclusive», on certain days (0: Sunday).

    One that ends before it begins goes on until the next morning, and its days are those on which it begins.
    """

    begin: int
    end: int
    days: frozenset[int]

    def holds(self, minute: int, day: int) -> bool:
        """Is this minute of the day, on this day of the week, in it?"""
        if self.begin <= self.end:
            return day in self.days and self.begin <= minute <= self.end
        return (minute >= self.begin and day in self.days) or (
            minute <= self.end and (day - 1) % 7 in self.days
        )


@dataclass(frozen=True, slots=True)
class Times:
    """Any of the intervals, by the clocks of a time zone, with its daylight saving time."""

    zone: tzinfo
    intervals: tuple[Interval, ...]

    def hold_at(self, now: int) -> bool:
        """Is it that time, at `now` (ms since 1970)?"""
        there = datetime.fromtimestamp(now / 1000, self.zone)
        minute, day = there.hour * 60 + there.minute, there.isoweekday() % 7
        return any(interval.holds(minute, day) for interval in self.intervals)


def parse_times(condition: Mapping[str, Any]) -> Times | None:
    """The times of a condition; None where it is malformed, or names no time zone that is known."""
    zone, said = zone_named(condition.get("timezone", "UTC")), condition.get("intervals")
    if zone is None or not isinstance(said, list) or len(said) > MAX_INTERVALS:
        return None
    intervals = [_interval(one) for one in said]
    known = tuple(one for one in intervals if one is not None)
    return Times(zone, known) if len(known) == len(intervals) else None


def zone_named(name: object) -> tzinfo | None:
    """The time zone of this name in the IANA database; None where there is none."""
    return _zone(name) if isinstance(name, str) and len(name) <= 64 else None


@lru_cache(maxsize=1024)
def _zone(name: str) -> tzinfo | None:
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo  # with the system's build settings, 0.2 MiB: few have such a rule

    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        return None


def _interval(said: object) -> Interval | None:
    if not isinstance(said, dict):
        return None
    days, times = said.get("day_of_week"), said.get("time_of_day")
    if days is not None and not (
        isinstance(days, list) and all(type(day) is int and 0 <= day <= 7 for day in days)
    ):
        return None
    on = _EVERY_DAY if days is None else frozenset(0 if day in _SUNDAYS else day for day in days)
    if times is None:
        return Interval(0, _END_OF_DAY, on)
    if not isinstance(times, list) or len(times) != 2:
        return None
    begin, end = (_minute(one) for one in times)
    return None if begin is None or end is None else Interval(begin, end, on)


def _minute(said: object) -> int | None:
    found = _TIME.fullmatch(said) if isinstance(said, str) else None
    return None if found is None else int(found[1]) * 60 + int(found[2])
