"""A device uploads its keys (§Key management API)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from protocol.ids import DeviceID, UserID
from protocol.json import JsonObject, canonical
from protocol.matrix_error import BadJson, InvalidParam
from services.keys.device_lists import device_list_changed, key_counts_changed
from services.keys.names import checked_name, split_key_id
from services.keys.signed_json import public_keys_of, signatures_of, signed_part
from services.requester import Requester
from services.tenant import Tenant
from storage.database import Tx
from storage.journal import Row
from storage.keys.device_keys import SET_DEVICE_KEYS, device_keys_of
from storage.keys.fallback_keys import set_fallback_keys
from storage.keys.one_time_keys import (
    OneTimeKey,
    insert_one_time_keys,
    one_time_key_counts,
    stored_one_time_keys,
)

UPLOADED_BY_ALL = "signed_curve25519"


@dataclass(frozen=True, slots=True)
class KeysUpload:
    """What a device uploads: its identity keys, and keys to be handed out, by `algorithm:key ID`."""

    device_keys: JsonObject | None
    one_time_keys: Mapping[str, Any]
    fallback_keys: Mapping[str, Any]


async def upload_keys(tenant: Tenant, requester: Requester, upload: KeysUpload) -> dict[str, int]:
    """How many one-time keys the device has now, by algorithm.

    Raises InvalidParam for keys of another device, and for a key ID that is there already with another key.
    """
    user_id, device_id = requester.user_id, device_of(requester)
    one_time_keys = checked_one_time_keys(upload.one_time_keys)
    fallback_keys = checked_fallback_keys(upload.fallback_keys)
    if upload.device_keys is not None:
        check_device_keys(upload.device_keys, user_id, device_id)
    async with tenant.database.transaction() as tx:
        if one_time_keys:
            await _add(tx, user_id, device_id, one_time_keys)
        if fallback_keys:
            await set_fallback_keys(tx, user_id, device_id, fallback_keys)
        row = await _device_keys_row(tx, user_id, device_id, upload.device_keys)
        counts = await one_time_key_counts(tx, user_id, device_id)
    if row is not None:
        await device_list_changed(tenant, user_id, [device_id], row)
    elif one_time_keys or fallback_keys:
        await key_counts_changed(tenant, user_id)
    # COMPAT matrix-sdk-crypto: it uploads keys only when it is told of a count, also of 0.
    return {UPLOADED_BY_ALL: 0, **counts}


def device_of(requester: Requester) -> DeviceID:
    """The requester's device; raises InvalidParam for one that acts without any."""
    if requester.device_id is None:
        raise InvalidParam("Only a device can do this")
    return requester.device_id


def checked_one_time_keys(uploaded: Mapping[str, Any]) -> list[OneTimeKey]:
    """The keys as they are stored; raises BadJson or InvalidParam."""
    return [_one_time_key(name, key) for name, key in uploaded.items()]


def checked_fallback_keys(uploaded: Mapping[str, Any]) -> list[OneTimeKey]:
    """«the server will only persist one key per algorithm»."""
    return list({key.algorithm: key for key in checked_one_time_keys(uploaded)}.values())


def _one_time_key(name: str, key: Any) -> OneTimeKey:
    algorithm, key_id = split_key_id(name)
    if isinstance(key, dict):
        if not isinstance(key.get("key"), str):
            raise BadJson(f"{name} has no key")
        signatures_of(key)
    elif not isinstance(key, str):
        raise BadJson(f"{name} must be a string or an object")
    return OneTimeKey(algorithm, key_id, canonical(key))


def check_device_keys(json: JsonObject, user_id: UserID, device_id: DeviceID) -> None:
    """Raises InvalidParam for keys of another device, and BadJson for what are none."""
    if json.get("user_id") != user_id or json.get("device_id") != device_id:
        raise InvalidParam("A device uploads keys for itself only")
    algorithms = json.get("algorithms")
    if not isinstance(algorithms, list) or not all(isinstance(name, str) for name in algorithms):
        raise BadJson("algorithms must be a list of strings")
    for name in public_keys_of(json):
        checked_name(name, "A key ID")
    if "signatures" not in json:
        raise BadJson("device_keys must be signed")
    signatures_of(json)


async def _add(tx: Tx, user_id: UserID, device_id: DeviceID, keys: list[OneTimeKey]) -> None:
    if await insert_one_time_keys(tx, user_id, device_id, keys) == len(keys):
        return
    stored = {
        (key.algorithm, key.key_id): key for key in await stored_one_time_keys(tx, user_id, device_id, keys)
    }
    for key in keys:
        other = stored.get((key.algorithm, key.key_id))
        if other is not None and _substance(other.json) != _substance(key.json):
            raise InvalidParam(f"There is another one-time key {key.algorithm}:{key.key_id} already")


def _substance(json: bytes) -> Any:
    """The key without its signatures, which may differ from one try to the next."""
    key = orjson.loads(json)
    return signed_part(key) if isinstance(key, dict) else key


async def _device_keys_row(
    tx: Tx, user_id: UserID, device_id: DeviceID, json: JsonObject | None
) -> Row | None:
    """What is to be written; None when it is there already."""
    if json is None:
        return None
    given = {name: value for name, value in json.items() if name != "unsigned"}
    encoded = canonical(given)
    stored = await device_keys_of(tx, [(user_id, device_id)])
    if stored and stored[0].json == encoded:
        return None
    is_new = not stored or signed_part(orjson.loads(stored[0].json)) != signed_part(given)
    return Row(SET_DEVICE_KEYS, (user_id, device_id, encoded, is_new))
