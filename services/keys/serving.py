"""Our users' devices and keys, as other servers get them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from protocol.ids import UserID
from protocol.json import JsonObject
from services.keys.query import Keys, query_keys
from services.keys.usage import Usage
from services.tenant import Tenant
from storage.keys.device_changes import stream_of

_NOBODY = UserID("")
"""A viewer who has no keys of their own to be shown."""


async def keys_for_server(tenant: Tenant, wanted: Mapping[UserID, Sequence[str]]) -> JsonObject:
    """The reply to a query for keys of users of ours; device names only where the settings share them."""
    found = await query_keys(tenant, _NOBODY, wanted)
    return {
        "device_keys": {
            user_id: {device_id: _shared(tenant, device) for device_id, device in devices.items()}
            for user_id, devices in found.device_keys.items()
        },
        "master_keys": found.cross_signing[Usage.MASTER],
        "self_signing_keys": found.cross_signing[Usage.SELF_SIGNING],
    }


async def devices_for_server(tenant: Tenant, user_id: UserID) -> JsonObject:
    """All devices of the user that have keys, the user's keys, and the number of the list's last change."""
    # The number first: what changes meanwhile comes again as an update, and nothing is missed.
    async with tenant.database.read() as tx:
        stream_id = await stream_of(tx, user_id)
    found = await query_keys(tenant, _NOBODY, {user_id: []})
    devices = found.device_keys.get(user_id, {})
    return {
        "user_id": user_id,
        "stream_id": stream_id,
        "devices": [_device(tenant, device_id, device) for device_id, device in sorted(devices.items())],
        **_own_keys(found, user_id),
    }


def _own_keys(found: Keys, user_id: UserID) -> JsonObject:
    named = {"master_key": Usage.MASTER, "self_signing_key": Usage.SELF_SIGNING}
    return {
        name: found.cross_signing[usage][user_id]
        for name, usage in named.items()
        if user_id in found.cross_signing[usage]
    }


def _device(tenant: Tenant, device_id: str, device: JsonObject) -> JsonObject:
    keys = {name: value for name, value in device.items() if name != "unsigned"}
    name: Any = device.get("unsigned", {}).get("device_display_name")
    shown = {"device_display_name": name} if name and tenant.settings.federation.share_device_names else {}
    return {"device_id": device_id, "keys": keys, **shown}


def _shared(tenant: Tenant, device: JsonObject) -> JsonObject:
    return device if tenant.settings.federation.share_device_names else {**device, "unsigned": {}}
