"""From where a user's devices were last used, as administrators and the user are told (§Server administration)."""

from __future__ import annotations

from collections.abc import Mapping

from protocol.ids import DeviceID, UserID
from protocol.matrix_error import Forbidden, NotFound
from services.requester import Requester
from services.tenant import Tenant
from storage.accounts import get_account
from storage.devices import Seen, connections_of


async def whois(tenant: Tenant, requester: Requester, user_id: UserID) -> Mapping[str, Seen | None]:
    """What was last seen of each device; raises Forbidden for who is neither the user nor an administrator, NotFound."""
    if user_id != requester.user_id and not requester.is_admin:
        raise Forbidden("Only the user and administrators may see this")
    async with tenant.database.read() as tx:
        if await get_account(tx, user_id) is None:
            raise NotFound("There is no such user")
        stored = await connections_of(tx, user_id)
    # What this process knows and has not written yet is the newest.
    return {
        device_id: tenant.logins.seen.get((user_id, DeviceID(device_id)), seen)
        for device_id, seen in stored.items()
    }
