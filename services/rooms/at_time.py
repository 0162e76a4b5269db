"""The event of a room that is next to a time, for clients that jump to a date."""

from __future__ import annotations

from protocol.ids import EventID, RoomID
from protocol.matrix_error import NotFound
from services.ports import RemoteFailed
from services.requester import Requester
from services.rooms.backfill import backfill
from services.rooms.membership.whom_to_ask import whom_to_ask
from services.rooms.reading import reading
from services.rooms.serving.timestamp import nearest
from services.rooms.tail import stored_tail_event
from services.tenant import Tenant
from storage.gaps import OpenGap, gap_beside, open_gaps
from storage.timeline import shown_events

_MAX_SERVERS = 3
_BACKFILLS = 5  # times that one request makes us fetch history

Found = tuple[EventID, int]
"""An event, and the time that it claims."""


async def event_at_time(
    tenant: Tenant, requester: Requester, room_id: RoomID, at: int, *, forwards: bool
) -> Found:
    """The first event at or after the time, or the last at or before it, that the user may see; raises NotFound, and
    Forbidden for who may not read the room. Next to a gap of what we have, other servers are asked
    whether there is a closer one: then history is fetched, as far as that is for one request.
    """
    found, gap = await _here(tenant, requester, room_id, at, forwards=forwards)
    if gap is not None and await _is_closer_elsewhere(
        tenant, requester, room_id, at, found, forwards=forwards
    ):
        # What is fetched stands in the room's order, so that one does not land on an island.
        for _ in range(_BACKFILLS):
            if gap is None or not await backfill(tenant, room_id, gap.floor):
                break
            found, gap = await _here(tenant, requester, room_id, at, forwards=forwards)
    if found is None:
        raise NotFound("There is no event on that side of that time")
    return found


async def _is_closer_elsewhere(
    tenant: Tenant, requester: Requester, room_id: RoomID, at: int, found: Found | None, *, forwards: bool
) -> bool:
    """Does another server know of a closer event?"""
    for server in (await whom_to_ask(tenant, room_id, requester.user_id))[:_MAX_SERVERS]:
        try:
            other = await tenant.remotes.timestamp_to_event(server, room_id, at, "f" if forwards else "b")
        except RemoteFailed:
            continue
        return _is_closer(other, found, at, forwards=forwards)
    return False


async def _here(
    tenant: Tenant, requester: Requester, room_id: RoomID, at: int, *, forwards: bool
) -> tuple[Found | None, OpenGap | None]:
    async with tenant.database.snapshot() as tx:
        view = await reading(tx, requester, room_id)
        async for batch in nearest(tx, room_id, at, tenant.clock.now(), forwards=forwards):
            ids = [stored.event.event_id for stored in batch]
            shown = await view.visible(tx, [stored_tail_event(row) for row in await shown_events(tx, ids)])
            visible = {event.event_id for event in shown}
            for stored in batch:
                if stored.event.event_id in visible:
                    gap = await gap_beside(tx, room_id, stored.position, later=not forwards)
                    return (stored.event.event_id, stored.event.origin_server_ts), gap
        gaps = await open_gaps(tx, room_id)
        return None, gaps[0 if forwards else -1] if gaps else None


def _is_closer(other: Found, found: Found | None, at: int, *, forwards: bool) -> bool:
    _, time = other
    if forwards:
        return time >= at and (found is None or time < found[1])
    return time <= at and (found is None or time > found[1])
