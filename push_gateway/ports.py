"""What the gateway uses and is handed in: time, buckets, and a way to strangers' servers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from push_gateway.notification import Device, Notification
from push_gateway.outcome import Answer, Outcome
from services.observations import Observation


class Buckets(Protocol):
    """Counts how often somebody does something."""

    def take_now(self, key: str, per_second: float, burst: int, now: int) -> int:
        """0 when allowed (and counted), else the milliseconds to wait."""


class Strangers(Protocol):
    """Posts to URLs that clients have chosen, so only to public addresses."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """The answer; raises Unreachable, or Forbidden when the address is not a public one."""

    async def close(self) -> None:
        """Ends all connections."""


class Deliverer(Protocol):
    """One application's way to its devices."""

    async def push(self, notification: Notification, device: Device) -> Outcome:
        """How it ended; raises Unreachable."""

    async def close(self) -> None:
        """Ends all connections."""


@dataclass(frozen=True, slots=True)
class Uses:
    """What is handed in."""

    now: Callable[[], int]
    buckets: Buckets
    strangers: Callable[[float, str | None], Strangers]
    """Makes one with a time-out in seconds, and a file of authorities to trust besides the system's."""
    observe: Callable[[Observation], None]
