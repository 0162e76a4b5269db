"""How a push can end, as its provider says it."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

MAX_PAUSE: Final = 3_600_000
SECOND: Final = 1_000


@dataclass(frozen=True, slots=True)
class Delivered:
    """The provider has it."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """There is no such device any more, or there never was."""

    reason: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """The provider does not want this push, and would not want it later; the device may be there."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """It may succeed later: after `pause` milliseconds, where the provider says so."""

    reason: str
    pause: int | None = None


Outcome = Delivered | Rejected | Dropped | Failed


class Unreachable(Exception):
    """The provider cannot be reached, or does not answer in time."""


class Forbidden(Exception):
    """The address is one that we do not connect to."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider has answered."""

    status: int
    headers: dict[str, str]
    """By name in lower case."""
    body: bytes

    def pause(self, now: int) -> int | None:
        """Milliseconds to wait by its Retry-After, in seconds or as a date."""
        said = self.headers.get("retry-after", "")
        if said.isascii() and said.isdecimal():
            return min(int(said[:9]) * SECOND, MAX_PAUSE)
        try:
            at = int(parsedate_to_datetime(said).timestamp() * SECOND)
        except (ValueError, OverflowError):
            return None
        return min(max(at - now, 0), MAX_PAUSE)

    def short(self) -> str:
        """For a log: its status and the beginning of its text."""
        return f"{self.status} {self.body[:200].decode('utf-8', 'replace')}".strip()
