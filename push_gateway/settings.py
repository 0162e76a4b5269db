"""What an operator says of the gateway: the applications that it pushes to, who may ask it, and how much."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Final

HOUR: Final = 3_600_000
KNOWN_SERVICES: Final = (
    "fcm.googleapis.com",
    "*.push.services.mozilla.com",
    "*.notify.windows.com",
    "*.push.apple.com",
)
"""The push services of the browsers that there are."""


class Provider(Enum):
    """Who brings the push to the device."""

    FCM = "fcm"
    APNS = "apns"
    WEBPUSH = "webpush"


@dataclass(frozen=True, slots=True)
class App:
    """One application, or several that share its credentials."""

    id: str
    """An app ID; `*` stands for any characters."""
    provider: Provider
    credentials: Path
    """A service account (JSON), an APNs signing key (.p8), or a VAPID private key (PEM)."""
    content: bool = True
    """Is the provider told what homeservers tell us? Otherwise only IDs and counts."""
    url: str | None = None
    """Instead of the provider's own."""
    ca_file: Path | None = None
    key_id: str | None = None
    team_id: str | None = None
    topic: str | None = None
    sandbox: bool = False
    contact: str | None = None
    services: tuple[str, ...] = KNOWN_SERVICES
    ttl: int = 12 * HOUR


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, then so many a second."""

    per_second: float
    burst: int


@dataclass(frozen=True, slots=True)
class Settings:
    """All of them."""

    apps: tuple[App, ...] = ()
    secret: str | None = None
    homeservers: tuple[IPv4Network | IPv6Network, ...] = ()
    """From where it may be asked; empty: from everywhere."""
    per_address: Rate = Rate(200.0, 2_000)
    per_pushkey: Rate = Rate(1.0, 60)
    concurrency: int = 200
    timeout: int = 10_000
