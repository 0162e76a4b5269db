"""Opens a gateway: for each application the way to its provider. What these need is loaded only here (extra `push`)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from push_gateway.gateway import Gateway
from push_gateway.ports import Deliverer, Uses
from push_gateway.settings import App, Provider, Settings

MS: int = 1_000


@asynccontextmanager
async def opened(settings: Settings, uses: Uses) -> AsyncIterator[Gateway]:
    """A gateway that pushes; raises CredentialsError."""
    gateway = Gateway(
        settings, {app.id: deliverer_of(app, settings.timeout / MS, uses) for app in settings.apps}, uses
    )
    try:
        yield gateway
    finally:
        await gateway.close()


def deliverer_of(app: App, seconds: float, uses: Uses) -> Deliverer:
    """The application's way to its devices; raises CredentialsError."""
    match app.provider:
        case Provider.FCM:
            from push_gateway.fcm import Fcm

            return Fcm(app, seconds, uses.now)
        case Provider.APNS:
            from push_gateway.apns import Apns

            return Apns(app, seconds, uses.now)
        case Provider.WEBPUSH:
            from push_gateway.webpush import WebPush

            ca_file = None if app.ca_file is None else str(app.ca_file)
            return WebPush(app, uses.strangers(seconds, ca_file), uses.now)
