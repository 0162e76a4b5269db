"""History that another server gave us (/backfill): placed in the gap that it is missing in.

An event of the past changes nothing of what is now; it is checked like any other, save against the state now, and gets the
state after it, because that says who may see it. Where it belongs is for receive/spots.py to say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from protocol.auth.needed import state_needed_for
from protocol.auth.rules import check_auth, check_auth_events
from protocol.errors import Rejected
from protocol.events import CREATE, Event, StateKey
from protocol.ids import EventID, RoomID, ServerName
from protocol.json import JsonObject, canonical_lenient
from protocol.redaction import redact_event
from protocol.room_versions import RoomVersion
from services.ports import RemoteFailed
from services.rooms.carried_redaction import carried_redaction, redaction_rows
from services.rooms.event_rows import Gap, Place, placed_row, relation_rows
from services.rooms.head import Head
from services.rooms.receive.branch import state_after, stored_before
from services.rooms.receive.bridge import NoBridge, snapshot_of, told_state
from services.rooms.receive.check import checked_pdus
from services.rooms.receive.fetch import fetch_auth_events, unknown
from services.rooms.receive.lookup import has_place
from services.rooms.receive.order import leading_back, oldest_first
from services.rooms.receive.redactions import redaction_of
from services.rooms.receive.spots import Spot, spots_in_gaps
from services.rooms.receive_state import StateBefore, StateUnknown, state_before, state_ids_in
from services.tenant import Tenant
from storage import topics
from storage.auth_chains import auth_chain_rows
from storage.database import Tx
from storage.events import Standing, StoredEvent, events_by_id
from storage.journal import Change, Row, Stale
from storage.search.follow import INDEX_HISTORY
from storage.servers.inbound import (
    APPEND_BACKWARD_EXTREMITY,
    CLOSE_BACKWARD_EXTREMITIES,
    REDACTION_APPLIED,
    known_events,
)

MAX_STATES = 10  # times that a server is asked for the state before an event, for one portion of history
MAX_CHAINS = 10  # times that it is asked for an auth chain


async def place_history(
    tenant: Tenant,
    server: ServerName,
    version: RoomVersion,
    room_id: RoomID,
    pdus: Sequence[JsonObject],
    points: Collection[EventID],
) -> int:
    """How many of the events, which lead back from the points, are in their place now."""
    checked = await checked_pdus(tenant, version, pdus, from_backfill=True)
    wanted = leading_back((event for event in checked.events if event.room_id == room_id), points)
    async with tenant.database.read() as tx:
        stored = await events_by_id(tx, [event.event_id for event in wanted])
    fresh = [e for e in wanted if e.event_id not in stored or not has_place(stored[e.event_id])]
    complete = await _with_auth_events(tenant, server, fresh)
    async with tenant.database.read() as tx:
        spots = await spots_in_gaps(tx, room_id, wanted, complete)
    placed = asked = 0
    for event in oldest_first(complete):
        if event.event_id not in spots:
            continue
        try:
            before, has_asked = await _state_before(tenant, server, event, asked < MAX_STATES)
            asked += has_asked
            await _place(tenant, event, before, spots[event.event_id])
        except (NoBridge, RemoteFailed, StateUnknown):
            asked += 1
            continue
        except Stale:  # another process is at it, and we were too slow
            break
        placed += 1
    return placed


async def _with_auth_events(tenant: Tenant, server: ServerName, events: Sequence[Event]) -> list[Event]:
    """Those of the events whose auth events are here or among them, after the server was asked for what is missing."""
    among = {event.event_id for event in events}
    missing = (await unknown(tenant, {a for event in events for a in event.auth_events})) - among
    newest_first = sorted(events, key=lambda event: event.depth, reverse=True)
    for event in [event for event in newest_first if missing & set(event.auth_events)][:MAX_CHAINS]:
        if missing & set(event.auth_events):
            await fetch_auth_events(tenant, server, event)
            missing = await unknown(tenant, missing)
    return [event for event in events if not missing & set(event.auth_events)]


async def _state_before(
    tenant: Tenant, server: ServerName, event: Event, may_ask: bool
) -> tuple[StateBefore, bool]:
    """The state before the event, by what we have, or as the server tells it; and whether it was asked."""
    async with tenant.database.read() as tx:
        stored = await events_by_id(tx, event.prev_events)
    if all(prev in stored and has_place(stored[prev]) for prev in event.prev_events):
        return await state_before(tenant, event.version, event.prev_events), False
    if not may_ask:
        raise NoBridge("the server has been asked for enough states")
    state = await told_state(tenant, server, event.version, event.room_id, event.event_id)
    snapshot, rows = await snapshot_of(tenant, event.room_id, state)
    if rows:
        await tenant.journal.append(Change(tuple(rows), size=512 * len(rows)))
    return StateBefore(snapshot), True


async def _place(tenant: Tenant, event: Event, before: StateBefore, spot: Spot) -> None:
    async with tenant.heads.locked(event.room_id) as head:
        create = await head.state_events(tenant.database, ((CREATE, ""),))
        async with tenant.database.read() as tx:
            found = await known_events(
                tx, {*event.prev_events, *event.auth_events, event.event_id}, event.event_id
            )
            state = await _needed(tx, await state_ids_in(tx, before, _keys(event)))
        known = found.get(event.event_id)
        if known is not None and has_place(known):
            return
        reason = _rejection(event, found, state, create.get((CREATE, "")))
        change = await (
            _shown(tenant, head, event, before, spot, found, state)
            if reason is None
            else _rejected(tenant, event, before, spot, found, reason)
        )
    await tenant.journal.append(change)


def _keys(event: Event) -> set[StateKey]:
    keys = set(state_needed_for(event.version, event.type, event.sender, event.state_key, event.content))
    return keys | {event.key} if event.is_state else keys


async def _needed(tx: Tx, ids: Mapping[StateKey, EventID]) -> dict[StateKey, Event]:
    stored = await events_by_id(tx, ids.values())
    return {key: stored[event_id].event for key, event_id in ids.items()}


def _rejection(
    event: Event,
    found: Mapping[EventID, StoredEvent],
    state: Mapping[StateKey, Event],
    create: Event | None,
) -> str | None:
    known = found.get(event.event_id)
    if known is not None and known.standing is Standing.REJECTED:
        return "it was rejected before it had a place"
    if event.type == CREATE:
        return (
            None
            if create is not None and create.event_id == event.event_id
            else "the room has its create event"
        )
    auth_events = [found[event_id].event for event_id in event.auth_events if event_id in found]
    if len(auth_events) < len(event.auth_events):
        return "an auth event is missing"
    named = {auth_event.key: auth_event for auth_event in auth_events}
    if event.version.room_id_is_create_hash and create is not None:
        named[CREATE, ""] = create
    rejected = {event_id for event_id, one in found.items() if one.standing is Standing.REJECTED}
    try:
        check_auth_events(event.version, event, auth_events, rejected)
        check_auth(event.version, event, named)
        check_auth(event.version, event, state)
    except Rejected as error:
        return str(error)
    return None


async def _rejected(
    tenant: Tenant,
    event: Event,
    before: StateBefore,
    spot: Spot,
    found: Mapping[EventID, StoredEvent],
    reason: str,
) -> Change:
    stored = await stored_before(tenant, event, before)
    gap = Gap(floor=spot.floor) if _missing_before(event, found) else None
    place = Place(Standing.REJECTED, stored.snapshot.snapshot, rejection=reason, gap=gap)
    return _change(event, place, [*stored.rows, *_edges(event, found)])


async def _shown(
    tenant: Tenant,
    head: Head,
    event: Event,
    before: StateBefore,
    spot: Spot,
    found: Mapping[EventID, StoredEvent],
    state: Mapping[StateKey, Event],
) -> Change:
    redaction = redaction_of(
        head, event, [one for one in found.values() if one.event.redacts == event.event_id]
    )
    shown = redact_event(event) if redaction is not None else event
    stored = await state_after(tenant, shown, before)
    carried = await carried_redaction(tenant, head, event) if event.redacts is not None else None
    if carried is not None:
        head.replace_redacted(carried.redacted)
    held_back = event.redacts is not None and carried is None
    rows = [
        *stored.rows,
        *_edges(event, found),
        *redaction_rows(tenant, event, carried),
        *relation_rows(shown, False, spot.position),
        Row(INDEX_HISTORY, (shown.event_id,)),
    ]
    if redaction is not None:
        rows.append(Row(REDACTION_APPLIED, (redaction.event.event_id,)))
    place = Place(
        Standing.HELD_BACK if held_back else Standing.HISTORY,
        stored.snapshot.snapshot,
        spot.tally,
        replaced=state.get(event.key) if event.is_state else None,
        redacted_by=redaction.event.event_id if redaction is not None else None,
        position=spot.position,
        gap=Gap(floor=spot.floor) if _missing_before(event, found) else None,
    )
    return _change(shown, place, rows)


def _change(event: Event, place: Place, rows: Iterable[Row]) -> Change:
    encoded = canonical_lenient(event.json)
    return Change(
        (placed_row(event, place, encoded), *auth_chain_rows((event,)), *rows),
        wake=(topics.history(event.room_id),),
        size=len(encoded) + 512,
    )


def _missing_before(event: Event, found: Mapping[EventID, StoredEvent]) -> list[EventID]:
    return [prev for prev in event.prev_events if prev not in found or not has_place(found[prev])]


def _edges(event: Event, found: Mapping[EventID, StoredEvent]) -> list[Row]:
    return [
        Row(CLOSE_BACKWARD_EXTREMITIES, (event.room_id, [event.event_id])),
        *(
            Row(APPEND_BACKWARD_EXTREMITY, (event.room_id, prev, event.event_id))
            for prev in _missing_before(event, found)
        ),
    ]
