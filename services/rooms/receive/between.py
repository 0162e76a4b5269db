"""Asking other servers for the events between what we have and what has come (/get_missing_events)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from protocol.events import Event
from protocol.ids import EventID, RoomID, ServerName
from protocol.json import JsonObject
from services.ports import RemoteFailed
from services.rooms.membership.candidates import candidates
from services.rooms.receive.check import checked_pdus
from services.rooms.receive.order import leading_back
from services.tenant import Tenant
from storage.events import events_by_id
from storage.gaps import first_depth
from storage.servers.room_servers import servers_of_rooms

MAX_BETWEEN = 20  # events that are asked for at a time
MAX_ROUNDS = 5  # answers that bring us further
MAX_OTHERS = 3  # servers that are asked beside the first
_MAX_NAMED = 20


@dataclass(slots=True)
class Between:
    """The events that were given, and whether the first server gave what is no event, or of no use."""

    events: dict[EventID, Event] = field(default_factory=dict)
    is_nonsense: bool = False


async def events_between(tenant: Tenant, origin: ServerName, points: Sequence[Event]) -> Between:
    """What leads from the points (of one room) back to what we have, as far as it is given. Nothing is raised.

    A server is asked again while it gives as much as it may, and that brings us further; then others in the room are asked.
    """
    room_id, rounds = points[0].room_id, MAX_ROUNDS
    between = Between()
    async with tenant.heads.locked(room_id) as head:
        earliest = head.extremities[-_MAX_NAMED:]
    async with tenant.database.read() as tx:
        # What is older than our being in the room is history, and no news.
        min_depth = await first_depth(tx, room_id)
    ends = await _open_ends(tenant, points, between.events)
    if not ends:
        return between
    for server in await _whom_to_ask(tenant, origin, room_id):
        while ends and rounds:
            pdus, is_answer = await _told(tenant, server, room_id, earliest, ends, min_depth)
            checked = await checked_pdus(tenant, points[0].version, pdus)
            fresh = _fresh(points, between.events, checked.events)
            is_of_use = is_answer and not checked.dropped and (bool(fresh) or not pdus)
            between.is_nonsense |= server == origin and not is_of_use
            if not fresh:
                break
            rounds -= 1
            between.events |= fresh
            ends = await _open_ends(tenant, points, between.events)
            if len(pdus) < MAX_BETWEEN:
                break
    return between


async def _told(
    tenant: Tenant,
    server: ServerName,
    room_id: RoomID,
    earliest: Sequence[EventID],
    latest: Sequence[EventID],
    min_depth: int,
) -> tuple[list[JsonObject], bool]:
    """The events given, and whether that was an answer: a refusal is one, what has no events in it is none."""
    try:
        pdus = await tenant.remotes.missing_events(server, room_id, earliest, latest, MAX_BETWEEN, min_depth)
    except RemoteFailed as error:
        return [], error.status is not None and error.status >= 400
    return pdus[:MAX_BETWEEN], True


def _fresh(
    points: Sequence[Event], known: Mapping[EventID, Event], given: Sequence[Event]
) -> dict[EventID, Event]:
    """Those of the events that lead back from the points, and have not been given before."""
    of_room = [event for event in given if event.room_id == points[0].room_id]
    starts = {prev for event in points for prev in event.prev_events}
    here = {event.event_id for event in points} | known.keys()
    reached = leading_back([*known.values(), *of_room], starts)
    return {event.event_id: event for event in reached if event.event_id not in here}


async def _open_ends(
    tenant: Tenant, points: Sequence[Event], known: Mapping[EventID, Event]
) -> list[EventID]:
    """Those of the events that follow on something that is neither here nor among them."""
    here = {event.event_id for event in points} | known.keys()
    events = {event.event_id: event for event in points} | dict(known)
    missing = await without_state(tenant, {p for e in events.values() for p in e.prev_events} - here)
    return [event_id for event_id, event in events.items() if missing & set(event.prev_events)][:_MAX_NAMED]


async def without_state(tenant: Tenant, event_ids: Collection[EventID]) -> set[EventID]:
    """Those of the events after which we do not know the state: nothing can follow on them."""
    async with tenant.database.read() as tx:
        stored = await events_by_id(tx, event_ids)
    return set(event_ids) - {event_id for event_id, found in stored.items() if found.snapshot is not None}


async def _whom_to_ask(tenant: Tenant, origin: ServerName, room_id: RoomID) -> list[ServerName]:
    """The origin, and then those that have been in the room longest: they have most of it."""
    async with tenant.database.read() as tx:
        known = (await servers_of_rooms(tx, [room_id], tenant.name))[room_id]
    longest_first = sorted((one for one in known.values() if one.joined), key=lambda one: one.since)
    return candidates(tenant, [origin], (one.server for one in longest_first))[: 1 + MAX_OTHERS]
