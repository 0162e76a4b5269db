"""The state before an event that does not follow on the room's head alone: resolved from the states of its prev events.

One prev event, or several with one state, is the usual case and costs one query. Where the states differ, the events
of all of them are loaded with their whole auth chains, and resolved where that does not hold up the event loop.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from protocol.errors import ProtocolError
from protocol.events import Event, StateKey
from protocol.ids import EventID
from protocol.room_versions import RoomVersion
from protocol.state_res import resolve
from services.tenant import Tenant
from storage.database import Tx
from storage.events import Standing, events_by_id
from storage.state import Snapshot, snapshots, state_ids_at


class StateUnknown(ProtocolError):
    """We lack one of the prev events, its state, or something of the auth chains: ask other servers first."""


@dataclass(frozen=True, slots=True)
class StateBefore:
    """A state: that of a stored snapshot, with changes (None: the key is not in it). `next_snapshot` stores it."""

    base: Snapshot
    changes: dict[StateKey, EventID | None] = field(default_factory=dict)


async def state_before(tenant: Tenant, version: RoomVersion, prev_events: Collection[EventID]) -> StateBefore:
    """The state after all of these events together. Raises StateUnknown."""
    async with tenant.database.snapshot() as tx:
        bases = await _snapshots_of(tx, prev_events)
        if len(bases) == 1:
            return StateBefore(bases[0])
        states = [await state_ids_at(tx, base.snapshot) for base in bases]
        if all(state == states[0] for state in states):
            return StateBefore(bases[0])
        wanted = {event_id for state in states for event_id in state.values()}
        events, rejected = await _with_auth_chains(tx, wanted)
    resolved = await tenant.compute.run(resolve, version, states, events, rejected)
    return StateBefore(bases[0], _changes(states[0], resolved))


async def _snapshots_of(tx: Tx, prev_events: Collection[EventID]) -> list[Snapshot]:
    """The states of the events, each once, in the events' order."""
    stored = await events_by_id(tx, prev_events)
    numbers: list[int] = []
    for event_id in prev_events:
        found = stored.get(event_id)
        if found is None or found.snapshot is None:
            raise StateUnknown(f"the state after {event_id} is not known")
        if found.snapshot not in numbers:
            numbers.append(found.snapshot)
    found_snapshots = await snapshots(tx, numbers)
    return [found_snapshots[number] for number in numbers]


async def _with_auth_chains(
    tx: Tx, event_ids: Collection[EventID]
) -> tuple[dict[EventID, Event], frozenset[EventID]]:
    """The events, all that they rest on, and which of these were rejected."""
    events: dict[EventID, Event] = {}
    rejected: set[EventID] = set()
    missing = set(event_ids)
    while missing:
        found = await events_by_id(tx, missing)
        if len(found) < len(missing):
            raise StateUnknown(f"{len(missing) - len(found)} events of the auth chains are not here")
        for event_id, stored in found.items():
            events[event_id] = stored.event
            if stored.standing is Standing.REJECTED:
                rejected.add(event_id)
        missing = {named for stored in found.values() for named in stored.event.auth_events} - events.keys()
    return events, frozenset(rejected)


def _changes(
    before: dict[StateKey, EventID], after: dict[StateKey, EventID]
) -> dict[StateKey, EventID | None]:
    changes: dict[StateKey, EventID | None] = {
        key: event_id for key, event_id in after.items() if before.get(key) != event_id
    }
    return changes | dict.fromkeys(before.keys() - after.keys())
