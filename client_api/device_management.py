"""A user's devices (§Device Management)."""

from typing import Any

from client_api import ClientCall
from client_api.interactive import operation_of
from protocol.ids import DeviceID
from services.accounts.devices import Device, find_device, list_devices, rename_device
from services.accounts.revoke import delete_devices as delete
from services.accounts.uia import PASSWORD, require_uia
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json, Reply


@endpoint("GET", "/_matrix/client/v3/devices", auth=Auth.USER, limit=GENERAL, guest=True)
async def get_devices(call: ClientCall) -> Json:
    """All of them."""
    return {"devices": [_json(device) for device in await list_devices(call.tenant, call.requester)]}


@endpoint("GET", "/_matrix/client/v3/devices/{deviceId}", auth=Auth.USER, limit=GENERAL, guest=True)
async def get_device(call: ClientCall) -> Json:
    """One of them."""
    return _json(await find_device(call.tenant, call.requester, _device_id(call)))


@endpoint("PUT", "/_matrix/client/v3/devices/{deviceId}", auth=Auth.USER, limit=GENERAL, guest=True)
async def update_device(call: ClientCall) -> Reply:
    """Names a device; an application service may make one so."""
    name = call.text("display_name", None)
    made = await rename_device(call.tenant, call.requester, _device_id(call), name)
    return Reply(status=201 if made else 200)


@endpoint("DELETE", "/_matrix/client/v3/devices/{deviceId}", auth=Auth.USER, limit=GENERAL)
async def delete_device(call: ClientCall) -> Json:
    """Ends the device's session and forgets all that belongs to it; one that is not there is gone as well."""
    return await _delete(call, [_device_id(call)])


@endpoint("POST", "/_matrix/client/v3/delete_devices", auth=Auth.USER, limit=GENERAL)
async def delete_devices(call: ClientCall) -> Json:
    """The same for many."""
    return await _delete(call, call.strings("devices"))


async def _delete(call: ClientCall, device_ids: list[str]) -> Json:
    # «This endpoint ... User-Interactive Authentication ... application services: not required» (v1.17).
    if call.requester.appservice is None:
        await require_uia(call.tenant, call.requester, operation_of(call), PASSWORD)
    await delete(call.tenant, call.requester.user_id, device_ids)
    return {}


def _device_id(call: ClientCall) -> DeviceID:
    return DeviceID(call.path["deviceId"])


def _json(device: Device) -> dict[str, Any]:
    """The device as its owner sees it.

    COMPAT matrix-nio: it refuses the whole list where a device has no name or no address, so that these are empty texts.
    """
    return {
        "device_id": device.device_id,
        "display_name": device.display_name or "",
        "last_seen_ip": device.last_seen_ip or "",
        "last_seen_ts": device.last_seen_ts or 0,
    }
