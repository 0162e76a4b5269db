"""Where the OAuth 2.0 provider is found: its endpoints and pages, seen from outside."""

from __future__ import annotations

from services.tenant import Tenant

ROOT = "/_matrix/client/oauth2"
"""Below a path that every reverse proxy in front of a homeserver passes on."""


def page(tenant: Tenant, name: str) -> str:
    """The URL of one of our pages or endpoints."""
    return f"{tenant.settings.public_base_url}{ROOT}/{name}"


def account_page(tenant: Tenant, action: str) -> str:
    """The account page, opened for an action."""
    return f"{page(tenant, 'account')}?action={action}"
