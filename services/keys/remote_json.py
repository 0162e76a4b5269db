"""What other servers say of their users' keys, checked before it is kept or shown to anybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from protocol.errors import NotCanonical
from protocol.ids import UserID
from protocol.json import JsonObject, canonical
from protocol.matrix_error import BadJson, InvalidParam, MatrixError
from services.keys.names import checked_name
from services.keys.signed_json import public_keys_of, signatures_of
from services.keys.usage import Usage, checked_key
from storage.keys.device_keys import StoredDeviceKeys

MAX_KEYS = 65_536  # bytes, of one device's or one user's keys
MAX_DEVICES = 5000  # of one user
MAX_NAME = 255

# «user-signing keys are only visible to their owner»
SHARED_USAGES = (Usage.MASTER, Usage.SELF_SIGNING)


@dataclass(frozen=True, slots=True)
class RemoteUser:
    """A user's devices and cross-signing keys, as the user's server tells them."""

    devices: tuple[StoredDeviceKeys, ...] = ()
    keys: Mapping[Usage, bytes] = field(default_factory=dict)
    stream_id: int | None = None


def remote_device(user_id: str, device_id: str, json: Any, name: Any = None) -> StoredDeviceKeys:
    """A device with its keys; raises InvalidParam or BadJson for what is none."""
    checked_name(device_id, "A device ID")
    if not isinstance(json, dict) or json.get("user_id") != user_id or json.get("device_id") != device_id:
        raise InvalidParam("These are not the keys of this device")
    algorithms = json.get("algorithms")
    if not isinstance(algorithms, list) or not all(isinstance(one, str) for one in algorithms):
        raise BadJson("algorithms must be a list of strings")
    public_keys_of(json)
    signatures_of(json)
    unsigned = json.get("unsigned")
    if name is None and isinstance(unsigned, dict):
        name = unsigned.get("device_display_name")
    shown = name[:MAX_NAME].replace("\0", "") if isinstance(name, str) else None
    return StoredDeviceKeys(user_id, device_id, _encoded(json), shown)


def remote_key(user_id: str, usage: Usage, json: Any) -> bytes:
    """A cross-signing key; raises InvalidParam or BadJson for what is none."""
    if not isinstance(json, dict):
        raise BadJson("A key is an object")
    checked_key(json, UserID(user_id), usage)
    return _encoded(json)


def user_in_reply(reply: JsonObject, user_id: str) -> RemoteUser:
    """What the answer to a keys query says of the user; whatever is no key is left out."""
    devices = _member(reply.get("device_keys"), user_id)
    given = devices.items() if isinstance(devices, dict) else ()
    return RemoteUser(
        _devices((user_id, device_id, json, None) for device_id, json in given),
        _keys(user_id, {usage: _member(reply.get(f"{usage}_keys"), user_id) for usage in SHARED_USAGES}),
    )


def user_in_list(reply: JsonObject, user_id: str) -> RemoteUser:
    """What a device list says, which is of this user; whatever is no key is left out. Raises BadJson."""
    stream_id, devices = reply.get("stream_id"), reply.get("devices")
    if reply.get("user_id") != user_id or not is_stream_id(stream_id) or not isinstance(devices, list):
        raise BadJson("This is not the user's device list")
    given = [device for device in devices if isinstance(device, dict)]
    return RemoteUser(
        _devices((user_id, d.get("device_id"), d.get("keys"), d.get("device_display_name")) for d in given),
        _keys(user_id, {usage: reply.get(f"{usage}_key") for usage in SHARED_USAGES}),
        stream_id,
    )


def is_stream_id(value: Any) -> bool:
    """May updates be numbered so?"""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _devices(given: Any) -> tuple[StoredDeviceKeys, ...]:
    found: dict[str, StoredDeviceKeys] = {}
    for user_id, device_id, json, name in given:
        if len(found) == MAX_DEVICES:
            break
        try:
            found[device_id] = remote_device(user_id, device_id, json, name)
        except (MatrixError, TypeError):
            continue
    return tuple(found.values())


def _keys(user_id: str, given: Mapping[Usage, Any]) -> dict[Usage, bytes]:
    keys = {}
    for usage, json in given.items():
        try:
            keys[usage] = remote_key(user_id, usage, json)
        except MatrixError:
            continue
    return keys


def _encoded(json: JsonObject) -> bytes:
    try:
        encoded = canonical({name: value for name, value in json.items() if name != "unsigned"})
    except NotCanonical as error:
        raise BadJson(str(error)) from None
    if len(encoded) > MAX_KEYS:
        raise InvalidParam("These keys are too large")
    return encoded
