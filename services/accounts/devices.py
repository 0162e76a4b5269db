"""A user's devices, as the user sees and names them (§Device Management)."""

from __future__ import annotations

from dataclasses import replace

from protocol.ids import DeviceID
from protocol.matrix_error import NotFound
from services.accounts.begin import MAX_DISPLAY_NAME, check_device_id
from services.keys.device_lists import device_topics, updates_for_servers
from services.requester import Requester
from services.tenant import Tenant
from storage.devices import SET_DISPLAY_NAME, Seen, get_device, get_devices, insert_device
from storage.devices import Device as Device
from storage.journal import Change, Row


async def list_devices(tenant: Tenant, requester: Requester) -> list[Device]:
    """All devices of the requester."""
    async with tenant.database.read() as tx:
        devices = await get_devices(tx, requester.user_id)
    return [_as_seen(tenant, requester, device) for device in devices]


async def find_device(tenant: Tenant, requester: Requester, device_id: DeviceID) -> Device:
    """One of the requester's devices; raises NotFound."""
    async with tenant.database.read() as tx:
        device = await get_device(tx, requester.user_id, device_id)
    if device is None:
        raise NotFound("You have no such device")
    return _as_seen(tenant, requester, device)


async def rename_device(tenant: Tenant, requester: Requester, device_id: DeviceID, name: str | None) -> bool:
    """Gives the device a name (None leaves it as it is); True when the device was made. Raises NotFound.

    «Application services can create devices by this endpoint» (v1.17); others cannot.
    """
    name = name and name[:MAX_DISPLAY_NAME]
    if requester.appservice is not None:
        check_device_id(device_id)
        async with tenant.database.read() as tx:
            seen = Seen(tenant.clock.now(), "", "")
            if await insert_device(tx, requester.user_id, device_id, name, seen):
                return True
    device = await find_device(tenant, requester, device_id)
    if name is not None and name != device.display_name:
        row = Row(SET_DISPLAY_NAME, (requester.user_id, device_id, name))
        change = Change((row,), await device_topics(tenant, requester.user_id))
        await tenant.journal.append(change, *updates_for_servers(requester.user_id, [device_id]))
    return False


def _as_seen(tenant: Tenant, requester: Requester, device: Device) -> Device:
    """With what this process knows and has not written yet."""
    seen = tenant.logins.seen.get((requester.user_id, device.device_id))
    if seen is None or (device.last_seen_ts or 0) > seen.at:
        return device
    return replace(device, last_seen_ts=seen.at, last_seen_ip=seen.address)
