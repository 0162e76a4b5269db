"""Forgets what nobody can use any more of the OAuth 2.0 provider and of the mailboxes beside it."""

from __future__ import annotations

from services.settings import HOUR
from services.tenant import Tenant
from storage.oauth.browsers import delete_expired_browsers
from storage.oauth.codes import delete_codes_before
from storage.oauth.device_codes import delete_device_codes_before
from storage.rendezvous import delete_expired_mailboxes
from storage.upstream import delete_expired_attempts

REMEMBERED = HOUR
"""So long a code that comes again is known to have been one; and a device is told that its time was over."""


async def forget_expired(tenant: Tenant) -> None:
    """To be called from time to time."""
    now = tenant.clock.now()
    async with tenant.database.read() as tx:
        await delete_codes_before(tx, now - REMEMBERED)
        await delete_device_codes_before(tx, now - REMEMBERED)
        await delete_expired_browsers(tx, now)
        await delete_expired_mailboxes(tx, now)
        await delete_expired_attempts(tx, now)
