"""Rooms of tests/protocol/rooms.py, written to a database as events come: each with the state after it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from protocol.events import Event, StateKey
from protocol.ids import EventID
from protocol.json import canonical_lenient
from services.tenant import Tenant
from storage.auth_chains import auth_chain_rows
from storage.events import APPEND_EVENT, Standing
from storage.journal import Change, Row
from storage.state import EMPTY, Snapshot, next_snapshot

_ROOM = """
    INSERT INTO rooms (room_id, room_version, version, depth, forward_extremities, snapshot, position)
    VALUES ($1, $2, 1, 1, '[]', 0, 0) ON CONFLICT DO NOTHING
"""


def event_row(event: Event, snapshot: int | None, standing: Standing) -> Row:
    """The event itself."""
    place = (event.depth, event.origin_server_ts, snapshot, 0, int(standing), False, False)
    names = (event.event_id, event.room_id, event.type, event.state_key, event.sender)
    return Row(APPEND_EVENT, (*place, *names, *[None] * 6, canonical_lenient(event.json)))


class StoredRoom:
    """Writes events with the state after each, given what came before; snapshots derive from one another as in rooms."""

    def __init__(self, tenant: Tenant, first: Event) -> None:
        self._tenant = tenant
        self._first = first
        self._states: dict[EventID, tuple[Snapshot, dict[StateKey, EventID]]] = {}
        self._changes: list[Change] = []

    async def add(
        self, event: Event, state: Mapping[StateKey, EventID], standing: Standing = Standing.TIMELINE
    ) -> None:
        """The event, and the state after it."""
        before, old = self._states[event.prev_events[0]] if event.prev_events else (EMPTY, {})
        changes: dict[StateKey, EventID | None] = {k: v for k, v in state.items() if old.get(k) != v}
        await self._add(event, before, changes | dict.fromkeys(old.keys() - state.keys()), standing)
        self._states[event.event_id] = (self._states[event.event_id][0], dict(state))

    async def add_plain(self, event: Event) -> None:
        """The event, where the state after it is that of its one prev event with itself put in."""
        before, _ = self._states[event.prev_events[0]]
        await self._add(
            event, before, {event.key: event.event_id} if event.is_state else {}, Standing.TIMELINE
        )

    async def _add(
        self,
        event: Event,
        before: Snapshot,
        changes: Mapping[StateKey, EventID | None],
        standing: Standing,
    ) -> None:
        rows: list[Row] = []
        snapshot = before
        if changes or before is EMPTY:
            ids = self._tenant.journal.ids
            snapshot, rows = next_snapshot(before, event.room_id, changes, await ids.next(), await ids.next())
        self._states[event.event_id] = (snapshot, {})
        rows += [event_row(event, snapshot.snapshot, standing), *auth_chain_rows((event,))]
        self._changes.append(Change(rows=tuple(rows)))

    async def write(self) -> None:
        """All that was added, in its order."""
        async with self._tenant.database.transaction() as tx:
            await tx.execute(_ROOM, self._first.room_id, self._first.version.id)
        written = [self._tenant.journal.enqueue(change) for change in self._changes]
        self._changes.clear()
        for done in written:
            await done

    def snapshot_after(self, event_id: EventID) -> Snapshot:
        """Where the state after an event is stored."""
        return self._states[event_id][0]

    def state_after(self, event_id: EventID) -> dict[StateKey, EventID]:
        """The state after an event, as a plain dictionary."""
        return self._states[event_id][1]

    def known(self) -> Collection[EventID]:
        """All events that were added."""
        return self._states.keys()
