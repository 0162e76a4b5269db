"""A room that we enter through another server: what it shows us becomes the room's state, and our join its one extremity."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from protocol.events import MEMBER, Event, StateKey
from protocol.ids import ServerName
from protocol.matrix_error import Unknown
from protocol.room_versions import RoomVersion
from services.rooms.append import ATTEMPTS, Arrival, Branch, append, commit, committed
from services.rooms.event_rows import AT_THE_BEGINNING, IN_THE_MIDDLE
from services.rooms.head import Head, UnknownRoom
from services.rooms.receive.lookup import has_place
from services.rooms.receive.outliers import Judged, in_auth_order, write_outliers
from services.rooms.state_step import StateChanges, ids_of, stored_state
from services.tenant import Tenant
from storage import topics
from storage.events import events_by_id
from storage.journal import Row, Stale
from storage.rooms import APPEND_STATE_DELTA, current_state_ids, current_state_ids_of_ours
from storage.servers.handshakes import residence
from storage.servers.inbound import APPEND_BACKWARD_EXTREMITY
from storage.servers.partial_rooms import FORGET_MARK, MARK_PARTIAL
from storage.state import EMPTY


@dataclass(frozen=True, slots=True)
class Partial:
    """Of whom we know the room without all its members: the server that let us in, and those that it says are in there."""

    server: ServerName
    servers: tuple[ServerName, ...]


class Entered(Exception):
    """A user of ours is in the room: its state here is not to be replaced by what another server shows."""


async def place_room(
    tenant: Tenant,
    version: RoomVersion,
    create: Event,
    state: Sequence[Event],
    auth_chain: Sequence[Event],
    join: Event,
    partial: Partial | None,
) -> None:
    """The room is here, with this state and our join as its only event so far; also one that we were in before.

    All events have been checked, and are allowed (protocol/entered_room.py). `auth_chain` is what they rest on beside
    the state. Raises Entered where another process has entered the room meanwhile.
    """
    everything = {event.event_id: event for event in (create, *auth_chain, *state)}
    await write_outliers(tenant, await tenant.compute.run(_allowed_in_order, list(everything.values())))
    after = {event.key: event for event in state} | {join.key: join}
    replaced = next((event for event in state if event.key == join.key), None)
    for _ in range(ATTEMPTS):
        try:
            await _place(tenant, version, after, join, replaced, partial)
        except Stale:
            await _check_nobody_is_in(tenant, join)
            continue
        return
    raise Unknown("The room is too busy: try again", status=503)


def _allowed_in_order(events: Sequence[Event]) -> Judged:
    return [(event, None) for event in in_auth_order(events)]


async def _place(
    tenant: Tenant,
    version: RoomVersion,
    after: Mapping[StateKey, Event],
    join: Event,
    replaced: Event | None,
    partial: Partial | None,
) -> None:
    more = await _missing_before(tenant, join)
    if partial is not None:
        more.append(Row(MARK_PARTIAL, (join.room_id, join.event_id, partial.server, list(partial.servers))))
    else:
        more.append(Row(FORGET_MARK, (join.room_id,)))
    try:
        async with tenant.heads.locked(join.room_id) as head:
            if head.pending is not None and not head.pending.done():
                await asyncio.wait([head.pending])
            await _check_nobody_is_in(tenant, join)
            done = await _enter(tenant, head, after, join, replaced, more)
        await committed(done)
    except UnknownRoom:
        head = Head(join.room_id, version)
        await committed(await _enter(tenant, head, after, join, replaced, more))
        tenant.heads.adopt(head)


async def _check_nobody_is_in(tenant: Tenant, join: Event) -> None:
    async with tenant.database.read() as tx:
        here = await residence(tx, join.room_id)
    if here.is_resident:
        raise Entered


async def _enter(
    tenant: Tenant,
    head: Head,
    after: Mapping[StateKey, Event],
    join: Event,
    replaced: Event | None,
    more: Sequence[Row],
) -> asyncio.Future[list[int]]:
    is_new = head.version == 0
    is_partial = any(row.statement is MARK_PARTIAL for row in more)
    changes = await _changes(tenant, head, after, is_partial=is_partial)
    # One layer, on nothing: what is missing of it is filled in later (membership/complete.py).
    snapshot, rows = await stored_state(tenant, EMPTY, join.room_id, ids_of(after))
    branch = Branch(snapshot, replaced, snapshot, changes, (join.event_id,))
    gap = None
    if any(row.statement is APPEND_BACKWARD_EXTREMITY for row in more):
        gap = AT_THE_BEGINNING if is_new else IN_THE_MIDDLE
    change = await append(tenant, head, join, arrival=Arrival(branch, rows=(*rows, *more), gap=gap))
    # Also when its members are still to come, we know its servers.
    change = replace(change, wake=(*change.wake, topics.room_servers(join.room_id)))
    if is_new:
        # Nobody here has seen the room in another state: only our join is news.
        rows = [
            row
            for row in change.rows
            if row.statement is not APPEND_STATE_DELTA or join.event_id in row.values
        ]
        change = replace(change, rows=tuple(rows))
    return commit(tenant, [change], head)


async def _changes(
    tenant: Tenant, head: Head, after: Mapping[StateKey, Event], *, is_partial: bool
) -> StateChanges:
    """What changes in the room's state as we know it. Where not all members are shown, those that we knew stay until we are told
    of all (membership/fill.py), so that only what differs is written then: nothing is decided by them so long."""
    if head.version == 0:
        return after
    async with tenant.database.read() as tx:
        if is_partial:
            members = [state_key for event_type, state_key in after if event_type == MEMBER]
            before = await current_state_ids_of_ours(tx, head.room_id, members)
        else:
            before = await current_state_ids(tx, head.room_id)
    changed = {key: event for key, event in after.items() if before.get(key) != event.event_id}
    return changed | dict.fromkeys(before.keys() - after.keys())


async def _missing_before(tenant: Tenant, join: Event) -> list[Row]:
    """The events before our join, which we lack: what we have of the room begins there, or goes on."""
    async with tenant.database.read() as tx:
        found = await events_by_id(tx, join.prev_events)
    return [
        Row(APPEND_BACKWARD_EXTREMITY, (join.room_id, event_id, join.event_id))
        for event_id in join.prev_events
        if event_id not in found or not has_place(found[event_id])
    ]
