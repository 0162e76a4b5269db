"""Our copies of the device lists of other servers' users: kept up by updates, or marked stale and asked for again.

A list is copied when somebody asks for it who shares a room with its user. From then on the user's server tells us of
every change, each naming the numbers of those before it. When one was missed the copy is stale (services/keys/resync.py).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import orjson

from protocol.errors import InvalidId
from protocol.ids import ServerName, UserID, parse_user_id, server_of
from protocol.json import JsonObject
from protocol.matrix_error import BadJson, InvalidParam
from services.keys.names import INTRODUCES, checked_name
from services.keys.remote_json import SHARED_USAGES, RemoteUser, is_stream_id, remote_device, remote_key
from services.keys.usage import Usage, public_key_of
from services.tenant import Tenant
from storage import topics
from storage.journal import Change, Row
from storage.keys.cross_signing import SET_CROSS_SIGNING_KEYS, cross_signing_keys_of
from storage.keys.device_lists import APPEND_DEVICE_LIST_CHANGE
from storage.keys.remote_devices import (
    STORE_REMOTE_DEVICES,
    UPDATE_REMOTE_DEVICE,
    RemoteList,
    forget_lists,
    mark_stale,
    remote_lists,
    rooms_of_remote,
    sharing_a_room,
)

MAX_PREVIOUS = 1000
_ED25519 = "ed25519:"


async def apply_device_list_update(tenant: Tenant, origin: ServerName, content: JsonObject) -> None:
    """An `m.device_list_update`. Of users whose list we do not follow only that something has changed is passed on.

    Raises BadJson or InvalidParam.
    """
    user_id = _user_of(origin, content)
    stream_id, previous = _numbers(content)
    device_id, keys, name = _device(user_id, content)
    known = await _followed(tenant, user_id)
    if known is None:
        await _tell_of_unknown(tenant, user_id, content)
        return
    if known.stream_id is not None and stream_id <= known.stream_id and not known.stale:
        return
    is_next = known.stream_id is not None and all(number <= known.stream_id for number in previous)
    if known.stale or not is_next or (keys is None and content.get("deleted") is not True):
        await _missed(tenant, user_id)
        return
    values = (user_id, stream_id, known.stream_id, device_id, keys, name)
    await tell_of_remote(tenant, user_id, Row(UPDATE_REMOTE_DEVICE, values))
    after = await _followed(tenant, user_id)
    if after is not None and (after.stream_id is None or after.stream_id < stream_id):
        await _missed(tenant, user_id)  # another change of the list came in between


async def apply_signing_key_update(tenant: Tenant, origin: ServerName, content: JsonObject) -> None:
    """An `m.signing_key_update`, in the same way; raises BadJson or InvalidParam."""
    user_id = _user_of(origin, content)
    given = {usage: content.get(f"{usage}_key") for usage in SHARED_USAGES}
    keys = {usage: remote_key(user_id, usage, json) for usage, json in given.items() if json is not None}
    if not keys:
        return
    if await _followed(tenant, user_id) is None:
        await _tell_of_unknown(tenant, user_id, content)
        return
    row = await _keys_row(tenant, user_id, RemoteUser(keys=keys), whole=False)
    if row is not None:
        await tell_of_remote(tenant, user_id, row)


async def store_remote_user(
    tenant: Tenant, user_id: UserID, found: RemoteUser, version: int, news: bool
) -> None:
    """Keeps what the user's server has told us, unless there was an update meanwhile; `news`: others had older keys."""
    devices = found.devices
    values = (
        user_id,
        version,
        found.stream_id,
        [device.device_id for device in devices],
        [device.json for device in devices],
        [device.display_name for device in devices],
    )
    rows = [Row(STORE_REMOTE_DEVICES, values)]
    keys = await _keys_row(tenant, user_id, found, whole=True)
    if keys is not None:
        rows.append(keys)
    if news:
        await tell_of_remote(tenant, user_id, *rows)
    else:
        await tenant.journal.append(Change(tuple(rows)))


async def tell_of_remote(tenant: Tenant, user_id: UserID, *rows: Row) -> None:
    """Writes the rows; ours who share a room with the user look at the user's devices again."""
    async with tenant.database.read() as tx:
        rooms = await rooms_of_remote(tx, user_id)
    row = Row(APPEND_DEVICE_LIST_CHANGE, (user_id,))
    await tenant.journal.append(Change((*rows, row), tuple(map(topics.device_lists, rooms))))


async def _tell_of_unknown(tenant: Tenant, user_id: UserID, content: JsonObject) -> None:
    """A client may know the user's devices from elsewhere than us, or from before we forgot the list. Where the user is only
    introduced to us, that was told with the user's join."""
    if content.get(INTRODUCES) is True:
        return
    async with tenant.database.read() as tx:
        is_near = bool(await sharing_a_room(tx, [user_id]))
    if is_near:
        await tell_of_remote(tenant, user_id)


async def _followed(tenant: Tenant, user_id: UserID) -> RemoteList | None:
    """The copy that we have of the list; None, and then there is none any more, when we share no room."""
    async with tenant.database.read() as tx:
        known = (await remote_lists(tx, [user_id])).get(user_id)
        if known is not None and not await sharing_a_room(tx, [user_id]):
            await forget_lists(tx, [user_id])
            return None
    return known


async def _missed(tenant: Tenant, user_id: UserID) -> None:
    async with tenant.database.read() as tx:
        await mark_stale(tx, user_id)
    tenant.stale_lists.wake()


async def _keys_row(tenant: Tenant, user_id: UserID, found: RemoteUser, *, whole: bool) -> Row | None:
    """What is to be written of the user's cross-signing keys; None when they are as before.

    `whole`: those that are not given are gone, as they are with a new master key.
    """
    async with tenant.database.read() as tx:
        stored = await cross_signing_keys_of(tx, [user_id])
    before = {Usage(usage): orjson.loads(json) for (_, usage), json in stored.items()}
    public = {usage: public_key_of(orjson.loads(json)).public for usage, json in found.keys.items()}
    was = {usage: public_key_of(json).public for usage, json in before.items()}
    gone = set(was) - set(public) if whole or _is_new_master(was, public) else set[Usage]()
    same = all(stored.get((user_id, usage)) == json for usage, json in found.keys.items())
    if same and not gone:
        return None
    outdated = [was[usage] for usage in was if usage in gone or public.get(usage, was[usage]) != was[usage]]
    names, jsons = [str(usage) for usage in found.keys], list(found.keys.values())
    return Row(
        SET_CROSS_SIGNING_KEYS,
        (user_id, names, jsons, bool(gone), outdated, [_ED25519 + one for one in outdated]),
    )


def _is_new_master(was: dict[Usage, str], public: dict[Usage, str]) -> bool:
    return Usage.MASTER in public and public[Usage.MASTER] != was.get(Usage.MASTER)


def _user_of(origin: ServerName, content: JsonObject) -> UserID:
    """The user, who must be one of the server's own."""
    try:
        user_id = parse_user_id(content.get("user_id"))  # type: ignore[arg-type]  # it says so if it is no text
    except InvalidId as error:
        raise BadJson(str(error)) from None
    if server_of(user_id) != origin or "\0" in user_id:
        raise InvalidParam("A server speaks for its own users only")
    return user_id


def _numbers(content: JsonObject) -> tuple[int, Collection[int]]:
    stream_id: Any = content.get("stream_id")
    previous: Any = content.get("prev_id", [])
    if not is_stream_id(stream_id) or not isinstance(previous, list) or len(previous) > MAX_PREVIOUS:
        raise BadJson("stream_id and prev_id must be numbers of updates")
    if not all(is_stream_id(number) for number in previous):
        raise BadJson("prev_id must be numbers of updates")
    return stream_id, previous


def _device(user_id: UserID, content: JsonObject) -> tuple[str, bytes | None, str | None]:
    """The device's ID, keys (None where they are not told) and name."""
    device_id: Any = content.get("device_id")
    if not isinstance(device_id, str):
        raise BadJson("device_id must be a string")
    checked_name(device_id, "A device ID")
    if content.get("deleted") is True or content.get("keys") is None:
        return device_id, None, None
    device = remote_device(user_id, device_id, content["keys"], content.get("device_display_name"))
    return device_id, device.json, device.display_name
