"""When devices were last heard of: gathered in memory, written for all of them together, never while a client waits."""

from __future__ import annotations

from services.accounts.background import in_background
from services.accounts.uia_lifetime import uia_lifetime
from services.oauth.expiry import forget_expired
from services.requester import Requester
from services.tenant import Tenant
from storage.devices import Seen, update_seen
from storage.sessions import delete_expired
from storage.threepid_sessions import delete_sessions_before as delete_threepid_sessions_before
from storage.to_device import delete_txns_before
from storage.uia import delete_sessions_before

INTERVAL = 60_000  # ms between two writes: at most one UPDATE of a device a minute
RETRIED = 24 * 60 * 60_000  # ms: so long a message to devices may be tried again and counts once


def note_seen(tenant: Tenant, requester: Requester, seen: Seen) -> None:
    """Remembers that the device was heard of, and begins to write what has gathered when it is time to."""
    logins = tenant.logins
    if requester.device_id is not None:
        logins.seen[requester.user_id, requester.device_id] = seen
    if logins.written_at is None:
        logins.written_at = seen.at
    elif seen.at >= logins.written_at + INTERVAL:
        logins.written_at = seen.at
        in_background(tenant, _write(tenant), "writing when devices were seen")


async def write_seen(tenant: Tenant) -> None:
    """Writes what has gathered; to be called once more before the process ends."""
    logins = tenant.logins
    seen, logins.seen = logins.seen, {}
    if seen:
        async with tenant.database.read() as tx:
            await update_seen(tx, seen)


async def _write(tenant: Tenant) -> None:
    """Also forgets what has expired, since it comes by every minute in which anybody is there."""
    now = tenant.clock.now()
    await write_seen(tenant)
    async with tenant.database.read() as tx:
        await delete_expired(tx, now)
        await delete_sessions_before(tx, now - uia_lifetime(tenant))
        await delete_threepid_sessions_before(tx, now - tenant.settings.threepids.session_lifetime)
        await delete_txns_before(tx, now - RETRIED)
    await forget_expired(tenant)
