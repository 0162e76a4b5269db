"""What the gateway has seen happen; a device is named by a digest, never by its pushkey."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from services.observations import Level


@dataclass(frozen=True, slots=True)
class PushNotDelivered:
    """A push did not arrive, and will not; or the device is gone."""

    app: str
    provider: str
    device: str
    outcome: str
    reason: str
    level: Level = Level.INFO

    def __str__(self) -> str:
        return f"push by {self.provider} to {self.device} of {self.app[:64]!r}: {self.outcome}: {self.reason}"


@dataclass(frozen=True, slots=True)
class ProviderFails:
    """A provider does not take pushes of an application; told once until it does again."""

    app: str
    provider: str
    reason: str
    level: Level = Level.WARNING

    def __str__(self) -> str:
        return f"{self.provider} takes no pushes of {self.app}: {self.reason}"


@dataclass(frozen=True, slots=True)
class ProviderBack:
    """It takes them again."""

    app: str
    provider: str
    level: Level = Level.INFO

    def __str__(self) -> str:
        return f"{self.provider} takes pushes of {self.app} again"


def digest_of(pushkey: str) -> str:
    """By which a device is known in logs."""
    return hashlib.blake2b(pushkey.encode("utf-8", "replace"), digest_size=6).hexdigest()
