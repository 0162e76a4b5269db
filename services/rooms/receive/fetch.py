"""Asking other servers for events that we lack, and keeping them as outliers. Never under a room's lock."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from protocol.events import Event
from protocol.ids import EventID, RoomID, ServerName
from protocol.json import JsonObject
from protocol.room_versions import RoomVersion
from services.ports import RemoteFailed
from services.rooms.receive.check import checked_pdus
from services.rooms.receive.outliers import store_outliers
from services.tenant import Tenant
from storage.events import events_by_id

MAX_SINGLE = 100  # events that are asked for one by one
_AT_ONCE = 5
_ROUNDS = 5  # so far down auth events are followed one by one


async def fetched_events(
    tenant: Tenant, server: ServerName, version: RoomVersion, room_id: RoomID, wanted: Collection[EventID]
) -> list[Event]:
    """Those of the events that the server gave us and that are what was asked for; so many are asked for at most."""
    turn = asyncio.Semaphore(_AT_ONCE)

    async def ask(event_id: EventID) -> JsonObject | None:
        async with turn:
            try:
                return await tenant.remotes.event(server, event_id)
            except RemoteFailed:
                return None

    answers = await asyncio.gather(*(ask(event_id) for event_id in sorted(wanted)[:MAX_SINGLE]))
    checked = await checked_pdus(tenant, version, [answer for answer in answers if answer is not None])
    return [event for event in checked.events if event.event_id in wanted and event.room_id == room_id]


async def fetch_auth_events(tenant: Tenant, server: ServerName, event: Event) -> None:
    """Keeps what the event rests on as outliers, as far as the server has it. Nothing is raised: who needs it will miss it."""
    await store_outliers(tenant, await told_auth_events(tenant, server, event))


async def told_auth_events(tenant: Tenant, server: ServerName, event: Event) -> list[Event]:
    """What we lack of that which the event rests on, as far as the server has it. Nothing is raised."""
    try:
        chain = await tenant.remotes.event_auth(server, event.room_id, event.event_id)
    except RemoteFailed:
        chain = []
    checked = await checked_pdus(tenant, event.version, chain)
    told = {one.event_id: one for one in checked.events if one.room_id == event.room_id}
    lacking = await unknown(tenant, told.keys())
    found = {event_id: one for event_id, one in told.items() if event_id in lacking}
    named = {auth_event for one in (event, *found.values()) for auth_event in one.auth_events}
    missing = (await unknown(tenant, named)) - found.keys()
    for _ in range(_ROUNDS):
        if not missing:
            break
        some = await fetched_events(tenant, server, event.version, event.room_id, missing)
        found |= {one.event_id: one for one in some}
        named = {auth_event for one in some for auth_event in one.auth_events}
        missing = (await unknown(tenant, named)) - found.keys()
    return list(found.values())


async def keep_outliers(
    tenant: Tenant, version: RoomVersion, room_id: RoomID, pdus: Sequence[JsonObject]
) -> None:
    """Stores what of the PDUs passes the checks and is of the room."""
    checked = await checked_pdus(tenant, version, pdus)
    await store_outliers(tenant, [event for event in checked.events if event.room_id == room_id])


async def unknown(tenant: Tenant, event_ids: Collection[EventID]) -> set[EventID]:
    """Those of the events that we do not have at all."""
    async with tenant.database.read() as tx:
        return set(event_ids) - (await events_by_id(tx, event_ids)).keys()
