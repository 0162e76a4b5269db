"""EDUs: what other servers are told that is no event of a room (§EDUs)."""

from __future__ import annotations

from collections.abc import Iterable

from protocol.ids import UserID
from protocol.json import JsonObject
from services.keys.names import INTRODUCES
from services.keys.query import Keys, query_keys
from services.keys.usage import Usage
from services.tenant import Tenant
from storage.keys.device_changes import CROSS_SIGNING
from storage.receipts import UNTHREADED
from storage.servers.outgoing import DeviceChange

_NOBODY = UserID("")

Receipt = tuple[str, str, str, str, int]
"""Room, user, thread or UNTHREADED, event, time."""


def edu(edu_type: str, content: JsonObject) -> JsonObject:
    """An EDU as transactions carry it."""
    return {"edu_type": edu_type, "content": content}


def typing_edu(room_id: str, user_id: str, is_typing: bool) -> JsonObject:
    """The user types, or does not any more."""
    return edu("m.typing", {"room_id": room_id, "user_id": user_id, "typing": is_typing})


def presence_edu(user_id: str, shown: JsonObject) -> JsonObject:
    """The user's presence."""
    return edu("m.presence", {"push": [{"last_active_ago": 0, **shown, "user_id": user_id}]})


def receipt_edus(receipts: Iterable[Receipt]) -> list[JsonObject]:
    """One EDU says one thing of each user in each room: where somebody has read in a thread and in the room, a second does."""
    contents: list[JsonObject] = []
    for room_id, user_id, thread_id, event_id, ts in receipts:
        data: JsonObject = {"ts": ts} if thread_id == UNTHREADED else {"ts": ts, "thread_id": thread_id}
        for content in contents:
            users = content.setdefault(room_id, {"m.read": {}})["m.read"]
            if user_id not in users:
                break
        else:
            contents.append({room_id: {"m.read": {}}})
            users = contents[-1][room_id]["m.read"]
        users[user_id] = {"event_ids": [event_id], "data": data}
    return [edu("m.receipt", content) for content in contents]


async def device_edus(tenant: Tenant, changes: Iterable[DeviceChange]) -> list[JsonObject]:
    """An update for each of the changes, in their order, with the keys as they are now."""
    changes = list(changes)
    users = {UserID(change.user_id): list[str]() for change in changes}
    if not users:
        return []
    keys = await query_keys(tenant, _NOBODY, users)
    return [_device_edu(tenant, change, keys) for change in changes]


def _introduction(change: DeviceChange) -> JsonObject:
    """Between servers of this kind an introduction says that it is one: nothing has changed."""
    return {INTRODUCES: True} if change.introduces else {}


def _device_edu(tenant: Tenant, change: DeviceChange, keys: Keys) -> JsonObject:
    user_id = change.user_id
    if change.device_id == CROSS_SIGNING:
        usages = (Usage.MASTER, Usage.SELF_SIGNING)
        own = {f"{u}_key": keys.cross_signing[u][user_id] for u in usages if user_id in keys.cross_signing[u]}
        return edu("m.signing_key_update", {"user_id": user_id, **own, **_introduction(change)})
    content: JsonObject = {
        "user_id": user_id,
        "device_id": change.device_id,
        "stream_id": change.position,
        "prev_id": [] if change.previous is None else [change.previous],
        **_introduction(change),
    }
    device = keys.device_keys.get(user_id, {}).get(change.device_id)
    if change.deleted:
        content["deleted"] = True
    elif device is not None:
        name = device.get("unsigned", {}).get("device_display_name")
        content["keys"] = {key: value for key, value in device.items() if key != "unsigned"}
        if name and tenant.settings.federation.share_device_names:
            content["device_display_name"] = name
    return edu("m.device_list_update", content)
