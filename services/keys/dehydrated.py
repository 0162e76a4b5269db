"""Dehydrated devices (MSC3814): the one that a user keeps here, so that messages can be sent to it while no other is on."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from protocol.ids import DeviceID, UserID
from protocol.json import JsonObject, canonical
from protocol.matrix_error import Forbidden, InvalidParam, NotFound
from services.accounts.begin import MAX_DISPLAY_NAME, check_device_id
from services.accounts.revoke import delete_devices
from services.keys.device_lists import device_list_changed
from services.keys.upload import KeysUpload, check_device_keys, checked_fallback_keys, checked_one_time_keys
from services.requester import Requester
from services.tenant import Tenant
from storage.devices import DELETE_DEVICES, get_device, is_cross_signing_key
from storage.inbox import inbox
from storage.journal import Row
from storage.keys.dehydrated import PUT_DEHYDRATED, Dehydrated, dehydrated_of
from storage.keys.device_keys import SET_DEVICE_KEYS
from storage.keys.one_time_keys import OneTimeKey
from storage.timeline import NEWEST

NONE = "You have no dehydrated device"


@dataclass(frozen=True, slots=True)
class Upload:
    """A device that is to be kept, and all that belongs to it."""

    device_id: str
    device_data: JsonObject
    display_name: str
    keys: KeysUpload


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages to the device, and the position behind the last of them."""

    events: list[bytes]
    position: int
    is_last: bool


async def put_dehydrated(tenant: Tenant, requester: Requester, upload: Upload) -> None:
    """Keeps the device in place of an older one, which is deleted. Raises InvalidParam or BadJson."""
    user_id, device_id = requester.user_id, upload.device_id
    check_device_id(device_id)
    one_time_keys = checked_one_time_keys(upload.keys.one_time_keys)
    fallback_keys = checked_fallback_keys(upload.keys.fallback_keys)
    if upload.keys.device_keys is None:
        raise InvalidParam("A dehydrated device has device_keys")
    check_device_keys(upload.keys.device_keys, user_id, DeviceID(device_id))
    old = await _place_for(tenant, user_id, device_id)
    keys = {name: value for name, value in upload.keys.device_keys.items() if name != "unsigned"}
    name = upload.display_name[:MAX_DISPLAY_NAME]
    what = (user_id, device_id, name, tenant.clock.now(), orjson.dumps(upload.device_data))
    rows = [
        Row(DELETE_DEVICES, (user_id, [] if old is None else [old.device_id])),
        Row(PUT_DEHYDRATED, (*what, *_columns(one_time_keys), *_columns(fallback_keys))),
        Row(SET_DEVICE_KEYS, (user_id, device_id, canonical(keys), True)),
    ]
    changed = [device_id] if old is None else [old.device_id, device_id]
    await device_list_changed(tenant, user_id, changed, *rows)


async def _place_for(tenant: Tenant, user_id: UserID, device_id: str) -> Dehydrated | None:
    """What the new one takes the place of; raises InvalidParam where its ID is that of something else."""
    async with tenant.database.read() as tx:
        old = await dehydrated_of(tx, user_id)
        if old is not None and old.device_id == device_id:
            return old
        taken = await get_device(tx, user_id, device_id) is not None
        if taken or await is_cross_signing_key(tx, user_id, device_id):
            raise InvalidParam("The device ID is taken")
    return old


def _columns(keys: list[OneTimeKey]) -> tuple[list[str], list[str], list[bytes]]:
    unique = {(key.algorithm, key.key_id): key for key in keys}.values()
    return [k.algorithm for k in unique], [k.key_id for k in unique], [k.json for k in unique]


async def get_dehydrated(tenant: Tenant, requester: Requester) -> Dehydrated:
    """The user's dehydrated device; raises NotFound."""
    async with tenant.database.read() as tx:
        found = await dehydrated_of(tx, requester.user_id)
    if found is None:
        raise NotFound(NONE)
    return found


async def delete_dehydrated(tenant: Tenant, requester: Requester) -> str:
    """The device is gone, with keys and messages; its ID. Raises NotFound."""
    found = await get_dehydrated(tenant, requester)
    await delete_devices(tenant, requester.user_id, [found.device_id])
    return found.device_id


async def dehydrated_events(
    tenant: Tenant, requester: Requester, device_id: str, after: int, limit: int
) -> Batch:
    """Messages to the device behind a position. None is deleted before the device is: whoever wakes it may have to begin again.

    Raises NotFound where the user has none, and Forbidden where it is another one.
    """
    if (await get_dehydrated(tenant, requester)).device_id != device_id:
        raise Forbidden("This is not your dehydrated device")
    async with tenant.database.read() as tx:
        rows = await inbox(tx, requester.user_id, device_id, after, NEWEST, limit + 1)
    shown = rows[:limit]
    position = shown[-1]["position"] if shown else after
    return Batch([row["json"] for row in shown], position, len(rows) <= limit)
