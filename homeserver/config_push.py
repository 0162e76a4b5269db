"""Settings of pushes and of mails about missed messages."""

from __future__ import annotations

from dataclasses import dataclass

from homeserver.config_kinds import DURATION, TEXT, url
from homeserver.config_schema import Listed, setting
from services.settings import Push

PUSH = Push()


@dataclass(frozen=True, slots=True)
class GatewaySecretConfig:
    """What one push gateway wants to be shown."""

    url: str = setting(url("http", "https"), "The whole URL that applications name in their pushers.")
    secret: str = setting(
        TEXT, "It is sent as an access token (Authorization: Bearer) with each push, to that URL only."
    )


@dataclass(frozen=True, slots=True)
class PushConfig:
    """Push gateways, and mails about missed messages."""

    private_gateways: tuple[str, ...] = setting(
        Listed(url("http", "https")),
        "Push gateways in private networks, or without TLS, by the whole URL that applications name; others must be public.",
        PUSH.private_gateways,
    )
    gateway_secrets: tuple[GatewaySecretConfig, ...] = setting(
        Listed(GatewaySecretConfig),
        "Push gateways that ask for a secret, such as one with push_gateway.secret.",
        (),
    )
    mail_delay: int = setting(
        DURATION, "How long a message is unread before a mail speaks of it.", PUSH.mail_delay
    )


def push_of(config: PushConfig) -> Push:
    """The same as services read it."""
    secrets = {one.url: one.secret for one in config.gateway_secrets}
    return Push(config.private_gateways, secrets, config.mail_delay)
