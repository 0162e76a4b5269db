"""POST /_matrix/push/v1/notify: a homeserver tells what a device is to hear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from protocol.json import JsonObject
from protocol.matrix_error import Unrecognized
from push_gateway.notification import Device, Notification, notification_of
from web.body import Fields
from web.call import Call
from web.endpoint import Auth, endpoint


class TakesNotifications(Protocol):
    """The gateway (gateway.py), which is loaded only where there is one."""

    def check(self, address: str, secret: str | None) -> None:
        """May this homeserver ask?"""

    async def notify(self, notification: Notification, devices: Sequence[Device]) -> list[str]:
        """The pushkeys that are valid no more."""


class HasGateway(Protocol):
    """Who serves this endpoint; None where there is no gateway."""

    @property
    def push_gateway(self) -> TakesNotifications | None: ...


@endpoint("POST", "/_matrix/push/v1/notify", auth=Auth.NONE)
async def notify(call: Call[HasGateway, None]) -> JsonObject:
    """The pushkeys that are valid no more."""
    gateway = call.tenant.push_gateway
    if gateway is None:
        raise Unrecognized
    gateway.check(call.remote, call.access_token())
    notification, devices = notification_of(Fields(call.json_object()))
    return {"rejected": await gateway.notify(notification, devices)}
