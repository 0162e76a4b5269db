"""Who types, reads and is there, as an application service is told of it (§Pushing ephemeral data)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from protocol.ids import UserID
from services.appservices.interest import Interest
from services.appservices.pending import News
from services.appservices.registry import Appservice
from services.presence import shown
from services.sync.streams.presence import PRESENCE
from services.sync.streams.receipts import events_of
from services.sync.streams.typing import TYPING
from services.tenant import Tenant
from storage.appservices import joined_rooms, receipts_between
from storage.receipts import READ_PRIVATE

MAX_RECEIPTS = 500
Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Passing:
    """The events, and the position behind which there are more receipts, if there are."""

    events: list[Event]
    receipts_after: int | None = None


async def ephemeral(
    tenant: Tenant, appservice: Appservice, interest: Interest, news: News, upto: int
) -> Passing:
    """The events, typing and receipts with the ID of their room: «the same format as the client-server API»."""
    if not appservice.wants_ephemeral:
        return Passing([])
    read = await _receipts(tenant, appservice, interest, news, upto)
    events = read.events
    events += await _typing(tenant, interest, news.typing, upto)
    if news.presence:
        events += await _presence(tenant, appservice, interest, news.presence, upto)
    return Passing(events, read.receipts_after)


async def _receipts(
    tenant: Tenant, appservice: Appservice, interest: Interest, news: News, upto: int
) -> Passing:
    rooms = await _of_interest(interest, news.receipts, upto)
    if not rooms or news.receipts_after is None:
        return Passing([])
    async with tenant.database.read() as tx:
        rows = await receipts_between(tx, rooms, news.receipts_after, upto, MAX_RECEIPTS)
    by_room: dict[str, list[Any]] = {}
    for row in rows:
        # «Private read receipts MUST only be sent for users matching one of the application service's namespaces.»
        if row["receipt_type"] != READ_PRIVATE or appservice.cares_for_user(row["user_id"]):
            by_room.setdefault(row["room_id"], []).append(row)
    events = [
        event | {"room_id": room_id} for room_id, found in by_room.items() for event in events_of(found)
    ]
    return Passing(events, rows[-1]["position"] if len(rows) == MAX_RECEIPTS else None)


async def _typing(tenant: Tenant, interest: Interest, rooms: Collection[str], upto: int) -> list[Event]:
    return [
        {"type": TYPING, "room_id": room_id, "content": {"user_ids": list(tenant.ephemeral.typing(room_id))}}
        for room_id in await _of_interest(interest, rooms, upto)
    ]


async def _presence(
    tenant: Tenant, appservice: Appservice, interest: Interest, users: Collection[str], upto: int
) -> list[Event]:
    """Of the application service's users, and of those who are in a room that is of interest to it."""
    if not tenant.settings.presence_enabled:
        return []
    concerned = {user_id for user_id in users if appservice.cares_for_user(user_id)}
    async with tenant.database.read() as tx:
        places = await joined_rooms(tx, [user_id for user_id in users if user_id not in concerned])
    rooms = set(await _of_interest(interest, {room_id for _, room_id in places}, upto))
    concerned |= {user_id for user_id, room_id in places if room_id in rooms}
    return [
        {"type": PRESENCE, "sender": user_id, "content": shown(tenant, UserID(user_id))}
        for user_id in sorted(concerned)
        if tenant.ephemeral.presence(user_id) is not None
    ]


async def _of_interest(interest: Interest, rooms: Collection[str], upto: int) -> list[str]:
    windows = await interest.windows(rooms, upto) if rooms else {}
    return [room_id for room_id in rooms if windows[room_id].is_open]
