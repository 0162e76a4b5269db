"""Single events and stretches of a room's graph, as other servers ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from protocol.ids import EventID, RoomID, ServerName
from protocol.json import JsonObject
from protocol.matrix_error import NotFound
from services.rooms.reading import is_world_readable
from services.rooms.serving.access import acl_refuses, room_for_server
from services.rooms.serving.graph import Walk, ancestors
from services.rooms.serving.timestamp import nearest
from services.rooms.serving.visibility import hidden_from_server, shown_to_server
from services.tenant import Tenant
from storage.database import Tx
from storage.events import Standing, event_by_id, events_by_id
from storage.servers.serving import served_room

MAX_BACKFILL = 100
MAX_MISSING = 20
MAX_STARTS = 100

_NO_EVENT = "There is no such event, or your server may not see it"


@dataclass(frozen=True, slots=True)
class Gap:
    """What is missing between the events that a server has and those that it was sent."""

    earliest: Sequence[EventID]
    latest: Sequence[EventID]
    limit: int
    min_depth: int


async def event_for_server(tenant: Tenant, server: ServerName, event_id: EventID) -> JsonObject:
    """The event, redacted where none of the server's users may see it; raises NotFound for who may not ask at all."""
    async with tenant.database.snapshot() as tx:
        stored = await event_by_id(tx, event_id)
        if stored is None or stored.standing is Standing.REJECTED:
            raise NotFound(_NO_EVENT)
        room_id = stored.event.room_id
        room = await served_room(tx, room_id, server)
        if room is None or acl_refuses(room, server):
            raise NotFound(_NO_EVENT)
        if not room.has_server and not await is_world_readable(tx, room_id):
            raise NotFound(_NO_EVENT)
        if stored.event.is_state and stored.standing is Standing.OUTLIER:
            return stored.event.json  # a part of some auth chain, which is for the asking
        (pdu,) = await shown_to_server(tx, room_id, server, room.has_server, [stored])
    return pdu


async def backfill_for_server(
    tenant: Tenant, server: ServerName, room_id: RoomID, event_ids: Sequence[EventID], limit: int
) -> list[JsonObject]:
    """The events and those before them, the deepest first; raises Forbidden where the server may not ask, NotFound where we
    have none of the events.
    """
    async with tenant.database.snapshot() as tx:
        await room_for_server(tx, room_id, server)
        walk = Walk(min(limit, MAX_BACKFILL))
        found = await ancestors(tx, room_id, event_ids[:MAX_STARTS], walk)
        if not found:
            await _check_has_any(tx, room_id, event_ids[:MAX_STARTS])
        return await shown_to_server(tx, room_id, server, True, found)


async def missing_for_server(
    tenant: Tenant, server: ServerName, room_id: RoomID, gap: Gap
) -> list[JsonObject]:
    """The events before the latest and not before the earliest, the oldest first; raises Forbidden and NotFound likewise."""
    async with tenant.database.snapshot() as tx:
        await room_for_server(tx, room_id, server)
        walk = Walk(
            min(gap.limit, MAX_MISSING), frozenset(gap.earliest), gap.min_depth, including_starts=False
        )
        found = await ancestors(tx, room_id, gap.latest[:MAX_STARTS], walk)
        if not found:
            await _check_has_any(tx, room_id, gap.latest[:MAX_STARTS])
        shown = await shown_to_server(tx, room_id, server, True, found)
    return shown[::-1]


async def _check_has_any(tx: Tx, room_id: RoomID, event_ids: Sequence[EventID]) -> None:
    """Raises NotFound where none of the events has a place in the room here: an empty answer would say that there is
    nothing before them, and the server would ask nobody else.
    """
    known = await events_by_id(tx, event_ids)
    if event_ids and not any(
        e.event.room_id == room_id and e.standing is not Standing.OUTLIER for e in known.values()
    ):
        raise NotFound("None of these events is known here")


async def event_at_time_for_server(
    tenant: Tenant, server: ServerName, room_id: RoomID, at: int, *, forwards: bool
) -> tuple[EventID, int]:
    """The first event at or after the time (or the last at or before it) that the server may see, and its own time.

    Raises NotFound where there is none, Forbidden where the server may not ask.
    """
    async with tenant.database.snapshot() as tx:
        await room_for_server(tx, room_id, server)
        async for found in nearest(tx, room_id, at, tenant.clock.now(), forwards=forwards):
            hidden = await hidden_from_server(tx, room_id, server, True, found)
            for stored in found:
                if stored.event.event_id not in hidden:
                    return stored.event.event_id, stored.event.origin_server_ts
    raise NotFound("There is no event on that side of that time")
