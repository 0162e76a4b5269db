"""Tells whose devices there are, and with which keys (§Key management API)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from protocol.ids import UserID, server_of
from protocol.json import JsonObject
from services.appservices.keys import query_appservices
from services.keys.remote_json import RemoteUser
from services.keys.remote_query import NOTHING, Answer, ask_servers
from services.keys.signed_json import with_visible_signatures
from services.keys.usage import Usage, public_key_of
from services.tenant import Tenant
from storage.database import Tx
from storage.keys.cross_signing import cross_signing_keys_of
from storage.keys.device_keys import StoredDeviceKeys, device_keys_of
from storage.keys.remote_devices import remote_devices_of
from storage.keys.signatures import Signatures, visible_signatures

Wanted = Mapping[UserID, Sequence[str]]
"""User ID -> device IDs; none of them: all devices."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Devices' keys by user and device, users' keys by usage and user; and the servers that could not be asked."""

    device_keys: dict[str, dict[str, JsonObject]]
    cross_signing: dict[Usage, dict[str, JsonObject]]
    failures: dict[str, dict[str, str]] = field(default_factory=dict)


async def query_keys(tenant: Tenant, viewer: UserID, wanted: Wanted) -> Keys:
    """The keys as far as the viewer may see them: user-signing keys are the user's own affair.

    Of users of other servers from our copies, where they are good; else their servers are asked.
    """
    local = {user_id: devices for user_id, devices in wanted.items() if server_of(user_id) == tenant.name}
    remote = {user_id: devices for user_id, devices in wanted.items() if user_id not in local}
    answer = await ask_servers(tenant, remote) if remote else NOTHING
    told = await query_appservices(tenant, local)
    async with tenant.database.read() as tx:
        devices, keys, signatures = await _read(tx, viewer, local, answer)
    devices, keys = _with_told(devices, keys, told)
    device_keys: dict[str, dict[str, JsonObject]] = {user_id: {} for user_id in (*local, *answer.users)}
    for device in devices:
        device_keys[device.user_id][device.device_id] = _device(device, viewer, signatures)
    cross_signing: dict[Usage, dict[str, JsonObject]] = {usage: {} for usage in Usage}
    for (user_id, usage), json in keys.items():
        if usage != Usage.USER_SIGNING or user_id == viewer:
            cross_signing[Usage(usage)][user_id] = _user_key(json, user_id, viewer, signatures)
    return Keys(device_keys, cross_signing, answer.failures)


async def _read(
    tx: Tx, viewer: UserID, local: Wanted, answer: Answer
) -> tuple[list[StoredDeviceKeys], dict[tuple[str, str], bytes], Signatures]:
    """What is ours, what we have a copy of, and what was answered."""
    users = [*local, *answer.users]
    if not users:
        return [], {}, {}
    devices = await device_keys_of(tx, list(_pairs(local))) if local else []
    if answer.copied:
        devices += await remote_devices_of(tx, list(_pairs(answer.copied)))
    keys = await cross_signing_keys_of(tx, [*local, *answer.copied])
    return devices + answer.devices, keys | answer.keys, await visible_signatures(tx, users, viewer)


def _with_told(
    devices: list[StoredDeviceKeys], keys: dict[tuple[str, str], bytes], told: Mapping[UserID, RemoteUser]
) -> tuple[list[StoredDeviceKeys], dict[tuple[str, str], bytes]]:
    """What application services have told in the place of what we have of the same devices and users."""
    if not told:
        return devices, keys
    by_device = {(device.user_id, device.device_id): device for device in devices}
    for user in told.values():
        by_device |= {(device.user_id, device.device_id): device for device in user.devices}
    more: dict[tuple[str, str], bytes] = {
        (user_id, usage): json for user_id, user in told.items() for usage, json in user.keys.items()
    }
    return list(by_device.values()), keys | more


def _pairs(wanted: Wanted) -> Iterable[tuple[str, str | None]]:
    for user_id, devices in wanted.items():
        if devices:
            yield from ((user_id, device_id) for device_id in set(devices))
        else:
            yield user_id, None


def _device(device: StoredDeviceKeys, viewer: UserID, signatures: Signatures) -> JsonObject:
    more = signatures.get((device.user_id, device.device_id), {})
    json = with_visible_signatures(orjson.loads(device.json), device.user_id, viewer, more)
    name = device.display_name
    return {**json, "unsigned": {} if name is None else {"device_display_name": name}}


def _user_key(stored: bytes, user_id: str, viewer: UserID, signatures: Signatures) -> JsonObject:
    json = orjson.loads(stored)
    return with_visible_signatures(
        json, user_id, viewer, signatures.get((user_id, public_key_of(json).public), {})
    )
