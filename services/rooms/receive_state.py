"""The state that several branches of a room have together: before an event that has several prev events, and at a head.

One prev event, or several with one state, is the usual case and costs two queries. Where the states differ only what
differs is read, and what has a say in that: a room of 20,000 members whose branches differ in ten keys costs what a
room of twenty does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from protocol.events import Event, StateKey
from protocol.ids import EventID
from protocol.room_versions import RoomVersion
from services.rooms.auth_difference import StateUnknown
from services.rooms.observations import StateResolved
from services.rooms.resolve_branches import Branches
from services.tenant import Tenant
from storage.database import Tx
from storage.events import events_by_id
from storage.state import EMPTY, Snapshot, snapshots, state_ids_of_keys


@dataclass(frozen=True, slots=True)
class StateBefore:
    """A state: that of a stored snapshot, with changes (None: the key is not in it). `next_snapshot` stores it."""

    base: Snapshot
    changes: Mapping[StateKey, EventID | None] = field(default_factory=dict)


async def state_before(tenant: Tenant, version: RoomVersion, prev_events: Collection[EventID]) -> StateBefore:
    """The state after all of these events together; the empty one for none. Raises StateUnknown."""
    async with tenant.database.snapshot() as tx:
        bases = await _snapshots_of(tx, prev_events)
    return await merged(tenant, version, [StateBefore(base) for base in bases])


async def merged(
    tenant: Tenant, version: RoomVersion, states: Sequence[StateBefore], fresh: Sequence[Event] = ()
) -> StateBefore:
    """What these states resolve to, as changes to the base of the first. Raises StateUnknown.

    `fresh` are events of the states that are not stored yet; the bases must be. To find a room's state when an event
    has made a new branch: the head's snapshot comes first, then the state after the event, and the event is fresh.
    """
    if not states:
        return StateBefore(EMPTY)
    distinct = [state for place, state in enumerate(states) if state not in states[:place]]
    if len(distinct) == 1:
        return distinct[0]
    async with tenant.database.snapshot() as tx:
        branches = await Branches.read(
            tx, version, [(state.base, state.changes) for state in distinct], {e.event_id: e for e in fresh}
        )
        if not branches.conflicted_keys:
            return distinct[0]
        question = await branches.question(tx)
    resolved = await tenant.compute.run(question.answer)
    tenant.observe(StateResolved(question.room_id, len(branches.conflicted_keys), len(question.events)))
    return StateBefore(distinct[0].base, dict(distinct[0].changes) | question.changes(resolved))


async def state_ids_in(tx: Tx, state: StateBefore, keys: Collection[StateKey]) -> dict[StateKey, EventID]:
    """What the state has under these keys."""
    stored = [key for key in keys if key not in state.changes]
    number = state.base.snapshot
    found = (await state_ids_of_keys(tx, (number,), stored))[number] if stored else {}
    changed = {key: state.changes[key] for key in keys if key in state.changes}
    return found | {key: event_id for key, event_id in changed.items() if event_id is not None}


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


__all__ = ["StateBefore", "StateUnknown", "merged", "state_before", "state_ids_in"]
