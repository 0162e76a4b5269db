"""How long user-interactive authentication may take."""

from __future__ import annotations

from services.tenant import Tenant


def uia_lifetime(tenant: Tenant) -> int:
    """Milliseconds: where somebody may have to wait for a mail, as long as the link in it is good for."""
    settings = tenant.settings
    usual = settings.accounts.uia_lifetime
    return usual if settings.mail.host is None else max(usual, settings.threepids.session_lifetime)
