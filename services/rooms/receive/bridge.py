"""The far side of a gap: an event that we lack, and the state after it as another server tells us.

The event is kept as an outlier with a state: others can follow on it, while what lies before it stays unknown. What is told
of the state is no more than a claim: it is resolved with the states that we know.
"""

from __future__ import annotations

from protocol.auth.rules import check_auth
from protocol.errors import Rejected
from protocol.events import Event, StateKey
from protocol.ids import EventID, RoomID, ServerName
from protocol.json import canonical_lenient
from protocol.room_versions import RoomVersion
from services.rooms.event_rows import Place, placed_row
from services.rooms.receive.fetch import (
    MAX_SINGLE,
    fetch_auth_events,
    fetched_events,
    keep_outliers,
    unknown,
)
from services.rooms.receive.outliers import store_outliers
from services.rooms.state_step import stored_state
from services.tenant import Tenant
from storage.events import Standing, StoredEvent, event_by_id, events_by_id
from storage.journal import Change, Row
from storage.rooms import head_of
from storage.state import Snapshot, state_ids_at

MAX_STATE = 200_000  # events of one state and what it rests on


class NoBridge(Exception):
    """The server could not or would not tell the state at the gap."""


async def bridge(
    tenant: Tenant, server: ServerName, version: RoomVersion, room_id: RoomID, event_id: EventID
) -> None:
    """The event is here, with the state after it. Raises NoBridge or RemoteFailed.

    The state is asked for first: with it comes what the event rests on, however far that goes back.
    """
    state = await told_state(tenant, server, version, room_id, event_id)
    stored = await _event(tenant, server, version, room_id, event_id)
    place = Place(stored.standing)
    if stored.standing is not Standing.REJECTED:
        reason = _refusal(stored.event, state)
        if reason is not None:
            place = Place(Standing.REJECTED, rejection=reason)
        elif stored.event.is_state:
            state[stored.event.key] = stored.event
    await _keep(tenant, stored.event, place, state)


async def _event(
    tenant: Tenant, server: ServerName, version: RoomVersion, room_id: RoomID, event_id: EventID
) -> StoredEvent:
    async with tenant.database.read() as tx:
        stored = await event_by_id(tx, event_id)
    if stored is None:
        for event in await fetched_events(tenant, server, version, room_id, [event_id]):
            if await unknown(tenant, event.auth_events):
                await fetch_auth_events(tenant, server, event)
            await store_outliers(tenant, [event])
        async with tenant.database.read() as tx:
            stored = await event_by_id(tx, event_id)
    if stored is None or stored.event.room_id != room_id:
        raise NoBridge(f"{server} does not have {event_id}, or not what it rests on")
    return stored


async def told_state(
    tenant: Tenant, server: ServerName, version: RoomVersion, room_id: RoomID, event_id: EventID
) -> dict[StateKey, Event]:
    """The state before the event, as the server tells it, without what was rejected. Raises NoBridge or RemoteFailed."""
    told = await tenant.remotes.state_ids(server, room_id, event_id)
    if len(told.pdu_ids) + len(told.auth_chain_ids) > MAX_STATE:
        raise NoBridge(f"{server} tells a state of too many events")
    wanted = await unknown(tenant, {*told.pdu_ids, *told.auth_chain_ids})
    if len(wanted) > MAX_SINGLE:
        whole = await tenant.remotes.state(server, room_id, event_id)
        await keep_outliers(tenant, version, room_id, [*whole.auth_chain, *whole.pdus])
    elif wanted:
        await store_outliers(tenant, await fetched_events(tenant, server, version, room_id, wanted))
    async with tenant.database.read() as tx:
        found = await events_by_id(tx, told.pdu_ids)
    if len(found) < len(set(told.pdu_ids)):
        raise NoBridge(
            f"{len(set(told.pdu_ids)) - len(found)} events of the state before {event_id} are missing"
        )
    state: dict[StateKey, Event] = {}
    for stored in found.values():
        if stored.event.room_id != room_id or not stored.event.is_state or stored.event.key in state:
            raise NoBridge(f"{server} tells something that is no state of the room")
        if stored.standing is not Standing.REJECTED:
            state[stored.event.key] = stored.event
    return state


def _refusal(event: Event, state: dict[StateKey, Event]) -> str | None:
    try:
        check_auth(event.version, event, state)
    except Rejected as error:
        return str(error)
    return None


async def _keep(tenant: Tenant, event: Event, place: Place, state: dict[StateKey, Event]) -> None:
    snapshot, rows = await snapshot_of(tenant, event.room_id, state)
    place = Place(place.standing, snapshot.snapshot, rejection=place.rejection)
    row = placed_row(event, place, canonical_lenient(event.json))
    await tenant.journal.append(Change((*rows, row), size=512 * (1 + len(rows))))


async def snapshot_of(
    tenant: Tenant, room_id: RoomID, state: dict[StateKey, Event]
) -> tuple[Snapshot, list[Row]]:
    """The state as a snapshot, and the rows that store it: what it has that the room's state now has not."""
    async with tenant.database.snapshot() as tx:
        # The head as committed: what others have put into the journal since may come to nothing.
        head = await head_of(tx, room_id, ())
        if head is None:
            raise NoBridge("the room is gone")
        known = await state_ids_at(tx, head.snapshot)
    changes: dict[StateKey, EventID | None] = {
        key: event.event_id for key, event in state.items() if known.get(key) != event.event_id
    }
    changes |= dict.fromkeys(known.keys() - state.keys())
    base = Snapshot(head.snapshot, head.layers, head.sizes)
    return await stored_state(tenant, base, room_id, changes)
