"""The settings of calls: TURN servers, the servers that carry calls of many, and delayed events."""

from __future__ import annotations

from dataclasses import dataclass

from homeserver.config_kinds import BOOLEAN, DURATION, TEXT, url, whole
from homeserver.config_schema import Listed, setting
from services.settings import DAY

TURN_URI = url("turn", "turns")


@dataclass(frozen=True, slots=True)
class VoipConfig:
    """Voice calls."""

    turn_uris: tuple[str, ...] = setting(
        Listed(TURN_URI), "TURN servers, such as turn:turn.example.org?transport=udp.", ()
    )
    turn_shared_secret: str | None = setting(
        TEXT, "What the TURN servers know as their static-auth-secret.", None, optional=True
    )
    turn_lifetime: int = setting(DURATION, "How long credentials for them are good for.", DAY)
    livekit_services: tuple[str, ...] = setting(
        Listed(url("http", "https")),
        "LiveKit services that carry the calls of Element Call, such as https://call.example.org/livekit/jwt.",
        (),
    )


@dataclass(frozen=True, slots=True)
class DelayedEventsConfig:
    """Events that the server sends later for a user (MSC4140); calls need them."""

    enabled: bool = setting(BOOLEAN, "Whether users may leave events to be sent later.", True)
    max_delay: int = setting(DURATION, "The longest delay.", DAY)
    max_scheduled: int = setting(whole(1), "How many a user may have waiting.", 100)
