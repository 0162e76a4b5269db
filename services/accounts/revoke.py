"""Ends sessions: in the database, and in the memory of all processes."""

from __future__ import annotations

from collections.abc import Sequence

from protocol.ids import UserID
from services.keys.device_lists import device_topics, updates_for_servers
from services.tenant import Tenant
from storage import topics
from storage.devices import DELETE_DEVICES, get_devices
from storage.journal import Change, Row
from storage.sessions import REVOKE_TOKENS


async def revoke_tokens(tenant: Tenant, user_id: UserID, device_ids: Sequence[str]) -> None:
    """The devices' tokens are dead when this returns; the devices stay."""
    rows = (Row(REVOKE_TOKENS, (user_id, list(device_ids))),)
    await change_account(tenant, user_id, Change(rows))


async def delete_devices(tenant: Tenant, user_id: UserID, device_ids: Sequence[str]) -> None:
    """The devices are gone when this returns, with tokens, keys, messages and pushers; those that were not there too."""
    if not device_ids:
        return
    rows = (Row(DELETE_DEVICES, (user_id, list(device_ids))),)
    change = Change(rows, (*await device_topics(tenant, user_id), topics.account_data(user_id)))
    await change_account(tenant, user_id, change, *updates_for_servers(user_id, device_ids))
    for device_id in device_ids:
        tenant.logins.seen.pop((user_id, device_id), None)


async def delete_all_devices(tenant: Tenant, user_id: UserID, but: str | None = None) -> None:
    """All devices of the user are gone, but for one where one is named."""
    async with tenant.database.read() as tx:
        device_ids = [device.device_id for device in await get_devices(tx, user_id)]
    await delete_devices(tenant, user_id, [device_id for device_id in device_ids if device_id != but])


async def change_account(tenant: Tenant, user_id: UserID, change: Change, *more: Change) -> None:
    """Writes the changes; when it returns, this process knows nothing older of the user's logins, and the others soon."""
    await tenant.journal.append(Change(change.rows, (*change.wake, topics.logins(user_id))), *more)
    tenant.logins.forget(user_id)
