"""What other servers tell of their users that is no event: who types, up to where somebody has read, who is there (§EDUs).

A server tells of its own users only, and of rooms in which they are and from which it is not shut out. Whatever else it
tells is passed over.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import orjson

from protocol.errors import InvalidId
from protocol.ids import ServerName, parse_user_id, server_of
from protocol.json import MAX_INTEGER, JsonObject
from protocol.server_acl import ServerAcl
from services.presence import PRESENCES
from services.rooms.relation import is_storable
from services.tenant import Tenant
from storage import topics
from storage.journal import Change, Row
from storage.keys.remote_devices import sharing_a_room
from storage.receipts import READ, SET_RECEIPT, UNTHREADED
from storage.redis.replica import OFFLINE_AFTER, PresenceState
from storage.servers.inbound import joined_elsewhere, open_rooms

TYPING_FOR = 60_000  # ms: some servers never say that it has ended
PRESENT_FOR = 30 * 60_000  # ms after which a user of whom nothing is told any more counts as offline
MAX_RECEIPTS = 500  # of one EDU
MAX_USERS = 500
MAX_STATUS = 4096

_Receipt = tuple[str, str, str, str, int]  # room, user, event, thread, time


async def tell_typing(tenant: Tenant, origin: ServerName, content: JsonObject) -> None:
    """An `m.typing`."""
    room_id, user_id = content.get("room_id"), content.get("user_id")
    if not isinstance(room_id, str) or not _is_user_of(user_id, origin) or not is_storable(room_id):
        return
    if not await _joined(tenant, origin, [(room_id, str(user_id), "")]):
        return
    until = tenant.clock.now() + TYPING_FOR if content.get("typing") is True else None
    await tenant.ephemeral.set_typing(room_id, str(user_id), until)


async def tell_receipts(tenant: Tenant, origin: ServerName, content: JsonObject) -> None:
    """An `m.receipt`: public receipts only, for events that we have."""
    now = tenant.clock.now()
    receipts = [
        receipt for receipt, _ in zip(_receipts(origin, content, now), range(MAX_RECEIPTS), strict=False)
    ]
    rows: list[Row] = []
    rooms: dict[str, None] = {}
    # A user may have several, for threads: each is looked up by itself where the events differ.
    for some in _without_doubles(receipts):
        positions = await _joined(tenant, origin, [receipt[:3] for receipt in some])
        for room_id, user_id, event_id, thread_id, at in some:
            position = positions.get((room_id, user_id))
            if position is not None:
                rows.append(Row(SET_RECEIPT, (position, at, room_id, user_id, READ, thread_id, event_id)))
                rooms[room_id] = None
    if rows:
        await tenant.journal.append(Change(tuple(rows), tuple(topics.receipts(room_id) for room_id in rooms)))


async def tell_presence(tenant: Tenant, origin: ServerName, content: JsonObject) -> None:
    """An `m.presence`, of users whom one of ours shares a room with; nothing happens when presence is switched off."""
    push = content.get("push")
    if not tenant.settings.presence_enabled or not isinstance(push, list):
        return
    told = {
        update["user_id"]: update
        for update in push[:MAX_USERS]
        if isinstance(update, dict) and _is_user_of(update.get("user_id"), origin)
    }
    async with tenant.database.read() as tx:
        known = await sharing_a_room(tx, told)
    for user_id in known:
        state = _presence(told[user_id], tenant.clock.now())
        if state is not None:
            await tenant.ephemeral.set_presence(user_id, state)


async def _joined(
    tenant: Tenant, origin: ServerName, asked: Collection[tuple[str, str, str]]
) -> dict[tuple[str, str], int | None]:
    """For (room, user, event): the event's position, where the user is in the room and the origin is not shut out of it."""
    async with tenant.database.read() as tx:
        joined = await joined_elsewhere(tx, asked)
        rooms = await open_rooms(tx, {room_id for room_id, _ in joined}) if joined else {}
    return {
        (room_id, user_id): position
        for (room_id, user_id), position in joined.items()
        if room_id in rooms
        and ((acl := rooms[room_id].acl) is None or ServerAcl.of(orjson.loads(acl)["content"]).allows(origin))
    }


def _receipts(origin: ServerName, content: JsonObject, now: int) -> Iterator[_Receipt]:
    for room_id, by_type in content.items():
        by_user = by_type.get(READ) if isinstance(by_type, dict) else None
        for user_id, receipt in by_user.items() if isinstance(by_user, dict) else ():
            if not _is_user_of(user_id, origin) or not isinstance(receipt, dict) or not is_storable(room_id):
                continue
            event_ids, data = receipt.get("event_ids"), receipt.get("data")
            if not isinstance(event_ids, list) or not isinstance(data, dict):
                continue
            thread_id, ts = data.get("thread_id", UNTHREADED), data.get("ts")
            # «event_ids: The extremity event IDs that the user has read up to»; of several, one.
            event_id = event_ids[0] if event_ids else None
            if not isinstance(event_id, str) or not isinstance(thread_id, str):
                continue
            if is_storable(event_id, thread_id):
                yield room_id, user_id, event_id, thread_id, _time(ts, now)


def _time(ts: Any, now: int) -> int:
    return ts if type(ts) is int and 0 <= ts <= MAX_INTEGER else now


def _without_doubles(receipts: list[_Receipt]) -> Iterator[list[_Receipt]]:
    """The receipts in portions in which no user has two of one room."""
    while receipts:
        portion = {receipt[:2]: receipt for receipt in reversed(receipts)}
        chosen = list(portion.values())
        yield chosen
        receipts = [receipt for receipt in receipts if receipt not in chosen]


def _presence(update: JsonObject, now: int) -> PresenceState | None:
    presence, ago, status = (update.get(name) for name in ("presence", "last_active_ago", "status_msg"))
    if presence not in PRESENCES:
        return None
    active = now if update.get("currently_active") is True else now - min(_time(ago, 0), now)
    message = status if isinstance(status, str) and len(status) <= MAX_STATUS else None
    # Its own server knows when it goes away; we only give up in the end.
    return PresenceState(str(presence), active, now + PRESENT_FOR - OFFLINE_AFTER, message)


def _is_user_of(user_id: object, origin: ServerName) -> bool:
    try:
        return isinstance(user_id, str) and server_of(parse_user_id(user_id)) == origin
    except InvalidId:
        return False
