"""What delivery has seen happen."""

from __future__ import annotations

from dataclasses import dataclass

from services.observations import Level


@dataclass(frozen=True, slots=True)
class GatewayFails:
    """A push gateway cannot be reached; it is tried again, each time later."""

    url: str
    reason: str
    level: Level = Level.WARNING

    def __str__(self) -> str:
        return f"the push gateway {self.url} fails: {self.reason}"


@dataclass(frozen=True, slots=True)
class GatewayBack:
    """It can be reached again."""

    url: str
    level: Level = Level.INFO

    def __str__(self) -> str:
        return f"the push gateway {self.url} works again"


@dataclass(frozen=True, slots=True)
class PushRefused:
    """A push gateway does not want a push, and is not asked again to take it."""

    url: str
    status: int
    level: Level = Level.WARNING

    def __str__(self) -> str:
        return f"the push gateway {self.url} refuses a push: it answers {self.status}"


@dataclass(frozen=True, slots=True)
class PusherRejected:
    """A push gateway says that there is no such device any more: the pusher is gone."""

    url: str
    app_id: str
    level: Level = Level.INFO

    def __str__(self) -> str:
        return f"the push gateway {self.url} knows a device of {self.app_id} no more; its pusher is deleted"
