"""What clients asked for before there was /sync, and what guests look at a room with: all of it at once (§Room previews)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import asyncpg
from orjson import Fragment

from protocol.filters import ALL_EVENTS
from protocol.ids import EventID, RoomID
from protocol.json import JsonObject
from protocol.matrix_error import Forbidden, NotFound
from services.likings import read_likings
from services.presence import shown
from services.requester import Requester
from services.rooms.client_event import shared_json, splice, unsigned_member
from services.rooms.paginate import Range, messages
from services.rooms.read import one_event, whole_state
from services.sync.token import Token
from services.tenant import Tenant
from storage.account_data import GLOBAL
from storage.directory import is_published
from storage.events import event_by_id
from storage.membership import Membership, membership_of, memberships_of_user
from storage.sync_user_data import account_data_changes
from storage.timeline import NEWEST

_TOLD = ("invite", "join", "leave", "ban")


async def room_initial_sync(tenant: Tenant, requester: Requester, room_id: RoomID, limit: int) -> JsonObject:
    """The room's state and its last messages, for whoever may read it; raises Forbidden."""
    async with tenant.database.read() as tx:
        membership = await membership_of(tx, room_id, requester.user_id)
        data = await account_data_changes(tx, requester.user_id, NEWEST, NEWEST, [room_id])
    return await _room(tenant, requester, room_id, membership, data, limit)


async def initial_sync(tenant: Tenant, requester: Requester, limit: int, *, archived: bool) -> JsonObject:
    """All rooms of the user, those that were left too if they are asked for (`archived`), and where to go on."""
    wanted = _TOLD if archived else ("invite", "join")
    end = Token(tenant.feed.position, tenant.ephemeral.position)
    async with tenant.database.read() as tx:
        memberships = await memberships_of_user(tx, requester.user_id, wanted)
        data = await account_data_changes(tx, requester.user_id, -1, NEWEST, ())
        likings = await read_likings(tx, requester.user_id, tenant.settings.server_notices)
    rooms = []
    for membership in memberships:
        if membership.membership == "invite":
            if likings.hides_invite_of(membership.sender):
                continue
            rooms.append(await _invite(tenant, membership))
            continue
        try:
            rooms.append(await _room(tenant, requester, membership.room_id, membership, data, limit))
        except Forbidden:  # left between the two
            continue
    return {
        "end": str(end),
        "rooms": rooms,
        "presence": [_presence(tenant, requester)] if tenant.settings.presence_enabled else [],
        "account_data": _account_data(data, GLOBAL),
    }


async def _room(
    tenant: Tenant,
    requester: Requester,
    room_id: RoomID,
    membership: Membership | None,
    data: Iterable[asyncpg.Record],
    limit: int,
) -> JsonObject:
    page = await messages(tenant, requester, room_id, Range(True, None, None, max(limit, 1)), ALL_EVENTS)
    state = await whole_state(tenant, requester, room_id)
    async with tenant.database.read() as tx:
        published = await is_published(tx, room_id)
    chunk = page.chunk[:limit][::-1]
    told: JsonObject = {
        "room_id": room_id,
        "messages": {
            "start": str(Token(page.start if page.end is None else page.end)),
            "end": str(Token(page.start)),
            "chunk": chunk,
        },
        "state": state,
        "visibility": "public" if published else "private",
        "account_data": _account_data(data, room_id),
    }
    if membership is not None and membership.membership in _TOLD:
        told["membership"] = membership.membership
    return told


async def _invite(tenant: Tenant, membership: Membership) -> JsonObject:
    told: JsonObject = {
        "room_id": membership.room_id,
        "membership": "invite",
        "inviter": membership.sender,
        "state": [],
    }
    async with tenant.database.read() as tx:
        stored = await event_by_id(tx, membership.event_id)
    if stored is not None:
        event = stored.event
        unsigned = unsigned_member(tenant.clock.now() - event.origin_server_ts, b"", "invite")
        told["invite"] = Fragment(splice(shared_json(event.event_id, event.json), unsigned, event.room_id))
    return told


async def event_anywhere(tenant: Tenant, requester: Requester, event_id: EventID) -> bytes:
    """The event, whatever room it is in; raises NotFound."""
    async with tenant.database.read() as tx:
        stored = await event_by_id(tx, event_id)
    if stored is None:
        raise NotFound("There is no such event, or you may not see it")
    return await one_event(tenant, requester, stored.event.room_id, event_id)


def _presence(tenant: Tenant, requester: Requester) -> JsonObject:
    content = shown(tenant, requester.user_id)
    return {"type": "m.presence", "sender": requester.user_id, "content": content}


def _account_data(rows: Iterable[asyncpg.Record], room_id: str) -> list[dict[str, Any]]:
    return [
        {"type": row["type"], "content": Fragment(row["content"])}
        for row in rows
        if row["room_id"] == room_id
    ]
