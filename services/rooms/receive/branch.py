"""An event that does not follow on the room's head alone: what the head's extremities and state are once it is there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from protocol.events import Event, StateKey
from protocol.ids import EventID
from services.rooms.append import Branch
from services.rooms.head import Head
from services.rooms.receive_state import StateBefore, merged, state_ids_in
from services.rooms.state_step import StateChanges, stored_state
from services.tenant import Tenant
from storage.database import Tx
from storage.events import Standing, StoredEvent, events_by_id
from storage.journal import Row
from storage.servers.inbound import is_behind
from storage.state import Snapshot, snapshots
from storage.state_branches import keys_that_may_differ

MAX_PASSED = 200  # soft-failed and rejected events that are looked behind for extremities


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """The state after an event, and the rows that store it."""

    state: StateBefore
    snapshot: Snapshot
    rows: list[Row]


async def state_after(tenant: Tenant, event: Event, before: StateBefore) -> Stored:
    """The state after the event; of a rejected one the state before it is to be asked for (`stored_before`)."""
    changes: dict[StateKey, EventID | None] = dict(before.changes)
    if event.is_state:
        changes[event.key] = event.event_id
    return await _stored(tenant, event, StateBefore(before.base, changes))


async def stored_before(tenant: Tenant, event: Event, before: StateBefore) -> Stored:
    """The state before the event, stored as that after it: the event changes nothing."""
    return await _stored(tenant, event, before)


async def _stored(tenant: Tenant, event: Event, state: StateBefore) -> Stored:
    snapshot, rows = await stored_state(tenant, state.base, event.room_id, state.changes)
    return Stored(state, snapshot, rows)


async def branch_of(
    tenant: Tenant,
    head: Head,
    event: Event,
    after: Stored,
    replaced: Event | None,
    prev: Collection[StoredEvent],
) -> Branch:
    """How the event changes the head. The head must be committed: the database is asked. Raises StateUnknown."""
    passed = await _passed(tenant, event, prev)
    others = tuple(known for known in head.extremities if known not in passed)
    async with tenant.database.read() as tx:
        is_end = not others or not await is_behind(tx, event.room_id, event.event_id)
    state, stored = await _state_of_head(tenant, head, event, after if is_end else None, others)
    async with tenant.database.read() as tx:
        changes = await events_of(tx, await differences(tx, head.snapshot, state), event)
    extremities = (*others, event.event_id) if is_end else others
    return Branch(after.snapshot, replaced, stored, changes, extremities)


async def _passed(tenant: Tenant, event: Event, prev: Collection[StoredEvent]) -> set[EventID]:
    """What lies behind the event: its prev events, and those of soft-failed and rejected ones among them, which cannot be
    extremities themselves."""
    passed = set(event.prev_events)
    hidden = [found for found in prev if found.standing in (Standing.SOFT_FAILED, Standing.REJECTED)]
    while hidden and len(passed) < MAX_PASSED:
        behind = {event_id for found in hidden for event_id in found.event.prev_events} - passed
        passed |= behind
        async with tenant.database.read() as tx:
            stored = await events_by_id(tx, behind)
        hidden = [s for s in stored.values() if s.standing in (Standing.SOFT_FAILED, Standing.REJECTED)]
    return passed


async def _state_of_head(
    tenant: Tenant, head: Head, event: Event, after: Stored | None, others: Sequence[EventID]
) -> tuple[StateBefore, Snapshot | None]:
    """The state of all extremities together, and its snapshot where it has one. `after` is that of the event, if it is one."""
    if after is not None and not others:
        return after.state, after.snapshot
    async with tenant.database.read() as tx:
        found = await events_by_id(tx, others)
        numbers = {stored.snapshot for stored in found.values() if stored.snapshot is not None}
        bases = await snapshots(tx, numbers)
    states = [StateBefore(bases[number]) for number in sorted(numbers)]
    if after is None:
        state = await merged(tenant, head.room_version, states)
    else:
        fresh = (event,) if event.is_state else ()
        state = await merged(tenant, head.room_version, [*states, after.state], fresh)
        if state == after.state:
            return state, after.snapshot
    return state, None if state.changes else state.base


async def differences(tx: Tx, old: Snapshot, new: StateBefore) -> dict[StateKey, EventID | None]:
    """What the new state has that the old one has not; None for what it lacks."""
    keys = set(new.changes)
    if new.base.snapshot != old.snapshot:
        keys |= await keys_that_may_differ(tx, [old, new.base])
    if not keys:
        return {}
    before = await state_ids_in(tx, StateBefore(old), keys)
    now = await state_ids_in(tx, new, keys)
    return {key: now.get(key) for key in keys if before.get(key) != now.get(key)}


async def events_of(tx: Tx, changes: Mapping[StateKey, EventID | None], fresh: Event) -> StateChanges:
    """The changes with their events, of which one is not stored yet."""
    wanted = [event_id for event_id in changes.values() if event_id not in (None, fresh.event_id)]
    found = await events_by_id(tx, [event_id for event_id in wanted if event_id is not None])
    events = {event_id: stored.event for event_id, stored in found.items()} | {fresh.event_id: fresh}
    return {key: events[event_id] if event_id is not None else None for key, event_id in changes.items()}
