"""Settings of pushes and of mails about missed messages."""

from __future__ import annotations

from dataclasses import dataclass

from homeserver.config_kinds import DURATION, url
from homeserver.config_schema import Listed, setting
from services.settings import Push

PUSH = Push()


@dataclass(frozen=True, slots=True)
class PushConfig:
    """Push gateways, and mails about missed messages."""

    private_gateways: tuple[str, ...] = setting(
        Listed(url("http", "https")),
        "Push gateways in private networks, or without TLS, by the whole URL that applications name; others must be public.",
        PUSH.private_gateways,
    )
    mail_delay: int = setting(
        DURATION, "How long a message is unread before a mail speaks of it.", PUSH.mail_delay
    )


def push_of(config: PushConfig) -> Push:
    """The same as services read it."""
    return Push(config.private_gateways, config.mail_delay)
