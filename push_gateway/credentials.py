"""Whether the credentials of an application can be used, before anything is opened."""

from __future__ import annotations

from push_gateway.fcm import Account
from push_gateway.settings import App, Provider
from push_gateway.signed import ec_key


def check_credentials(app: App) -> None:
    """Raises CredentialsError."""
    if app.provider is Provider.FCM:
        Account(app, 1.0, lambda: 0)
    else:
        ec_key(app.credentials)
