"""What must be here before an event can be placed: the events that it follows on and those that it rests on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from protocol.auth.needed import state_needed_for
from protocol.events import Event, StateKey
from protocol.ids import EventID
from services.rooms.head import Head
from services.tenant import Tenant
from storage.events import Standing, StoredEvent
from storage.servers.inbound import known_events


class Missing(Exception):
    """Events that we lack: the state after `prev`, and `auth` at all. They are to be fetched without the room's lock."""

    def __init__(self, prev: frozenset[EventID], auth: frozenset[EventID]) -> None:
        super().__init__(f"{len(prev)} prev events and {len(auth)} auth events are missing")
        self.prev = prev
        self.auth = auth


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """An arriving event and what we know around it. `state` is the head's, under the keys that the event needs."""

    known: StoredEvent | None
    follows_on_head: bool
    state: Mapping[StateKey, Event]
    prev: tuple[StoredEvent, ...]
    auth: tuple[Event, ...]
    rejected: frozenset[EventID]
    redactions: tuple[StoredEvent, ...]


def has_place(stored: StoredEvent) -> bool:
    """Does the event stand in the graph, with a state after it? Bridged ones have that, but what is before them is missing."""
    return stored.standing is not Standing.OUTLIER and stored.snapshot is not None


async def surroundings(tenant: Tenant, head: Head, event: Event) -> Surroundings:
    """What is around the event; one query in a warm room. Raises Missing."""
    follows = bool(event.prev_events) and set(event.prev_events) == set(head.extremities)
    if not follows and head.pending is not None and not head.pending.done():
        # The database is asked for what the head rests on; on a failure the head is dropped and all begins anew.
        await asyncio.wait([head.pending])
    keys = state_needed_for(event.version, event.type, event.sender, event.state_key, event.content)
    state = await head.state_events(tenant.database, keys)
    at_hand = {found.event_id: found for found in state.values()}
    # The event itself too where it is part of the state already: whether it has a place is what is asked.
    wanted = {*event.auth_events} - at_hand.keys() | {event.event_id}
    if not follows:
        wanted.update(event.prev_events)
    async with tenant.database.read() as tx:
        found = await known_events(tx, wanted, event.event_id)
    known = found.get(event.event_id)
    if known is None or not has_place(known):
        _check_complete(event, found, frozenset(at_hand), follows)
    auth = tuple(
        at_hand[event_id] if event_id in at_hand else found[event_id].event
        for event_id in event.auth_events
        if event_id in at_hand or event_id in found
    )
    return Surroundings(
        known,
        follows,
        state,
        () if follows else tuple(found[event_id] for event_id in event.prev_events if event_id in found),
        auth,
        frozenset(event_id for event_id, one in found.items() if one.standing is Standing.REJECTED),
        tuple(one for one in found.values() if one.event.redacts == event.event_id),
    )


def _check_complete(
    event: Event, found: Mapping[EventID, StoredEvent], at_hand: frozenset[EventID], follows: bool
) -> None:
    auth = {event_id for event_id in event.auth_events if event_id not in found and event_id not in at_hand}
    prev = (
        set()
        if follows
        else {event_id for event_id in event.prev_events if not _is_usable(event, found.get(event_id))}
    )
    if prev or auth:
        raise Missing(frozenset(prev), frozenset(auth))


def _is_usable(event: Event, prev: StoredEvent | None) -> bool:
    return prev is not None and prev.snapshot is not None and prev.event.room_id == event.room_id
