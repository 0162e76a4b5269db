"""What changes of a room's state mean for what is stored of it: the state itself, and who is in the room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from protocol.events import MEMBER, Event, StateKey
from protocol.ids import EventID, RoomID
from services.rooms.head import Head
from services.rooms.member_rows import MemberChange, member_change, member_lost
from services.tenant import Tenant
from storage.journal import Row
from storage.rooms import APPEND_STATE_DELTA, SET_CURRENT_STATE
from storage.state import Snapshot, next_snapshot

StateChanges = Mapping[StateKey, Event | None]
"""What comes under these keys of the state; None: nothing is there any more."""


@dataclass(frozen=True, slots=True)
class StateStep:
    """A head's state changes: what it is then, what was there before, and what is to be written."""

    snapshot: Snapshot
    changes: StateChanges
    previous: Mapping[StateKey, Event]
    members: tuple[MemberChange, ...]
    rows: list[Row]

    @property
    def wake(self) -> tuple[str, ...]:
        """The topics of those whose memberships have changed."""
        return tuple(topic for member in self.members for topic in member.wake)

    def apply(self, head: Head) -> None:
        """The head, whose version has been moved on, has the new state."""
        head.snapshot = self.snapshot
        for key, event in self.changes.items():
            head.put_state(key, event)
        for member in self.members:
            head.joined += member.joined
            head.invited += member.invited


async def state_step(
    tenant: Tenant, head: Head, room_id: RoomID, changes: StateChanges, snapshot: Snapshot | None = None
) -> StateStep:
    """The step by which the head's state changes so; `snapshot` is that state, where it is stored already."""
    previous = await head.state_events(tenant.database, tuple(changes))
    rows: list[Row] = []
    if snapshot is None:
        snapshot, rows = await stored_state(tenant, head.snapshot, room_id, ids_of(changes))
    members: list[MemberChange] = []
    for key, event in changes.items():
        before = previous.get(key)
        event_id = event.event_id if event is not None else None
        rows.append(Row(SET_CURRENT_STATE, (room_id, *key, event_id)))
        replaced = before.event_id if before is not None else None
        rows.append(Row(APPEND_STATE_DELTA, (room_id, *key, event_id, replaced)))
        if key[0] == MEMBER:
            member = await _member(tenant, head, event, before)
            if member is not None:
                members.append(member)
                rows.append(member.row)
    return StateStep(snapshot, changes, previous, tuple(members), rows)


async def _member(
    tenant: Tenant, head: Head, event: Event | None, before: Event | None
) -> MemberChange | None:
    if event is not None:
        return await member_change(tenant, head, event, before)
    return member_lost(tenant, before) if before is not None else None


def ids_of(changes: StateChanges) -> dict[StateKey, EventID | None]:
    """The changes by event IDs."""
    return {key: event.event_id if event is not None else None for key, event in changes.items()}


async def stored_state(
    tenant: Tenant, base: Snapshot, room_id: RoomID, changes: Mapping[StateKey, EventID | None]
) -> tuple[Snapshot, list[Row]]:
    """The state that the base becomes by the changes, and the rows that store it; the base itself if there are none."""
    if not changes:
        return base, []
    snapshot, layer = await tenant.journal.ids.next(), await tenant.journal.ids.next()
    return next_snapshot(base, room_id, changes, snapshot, layer)
