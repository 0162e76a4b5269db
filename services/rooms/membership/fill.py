"""Putting what was left out of a room's state into it, some at a time, so that nobody else's writes wait long.

Nothing of other servers enters such a room before it is whole (services/rooms/membership/whole.py), so that what has been
built since the join is ours, and rests on what was known. All states since the join begin with one layer; what was left
out of it is put there, and so is in all of them at once. Until the last of it is there the room is not whole.

Of a room that we come back to we still have the members as they were (`current_state`, but none of the states since the join):
of them only those are written that have changed, and those are taken away that are not there any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from protocol.events import MEMBER, Event, StateKey
from protocol.ids import EventID, RoomID
from protocol.matrix_error import Unknown
from services.rooms.append import ATTEMPTS, commit, committed
from services.rooms.head import Head
from services.rooms.membership.rest import State, portions
from services.rooms.state_step import StateChanges, state_step
from services.tenant import Tenant
from storage import topics
from storage.events import events_by_id
from storage.journal import Change, Row, Stale
from storage.rooms import current_state_ids, current_state_ids_of
from storage.servers.partial_rooms import (
    FILL_STATES,
    FORGET_PARTIAL,
    UNMARK_PARTIAL,
    PartialRoom,
    join_of_partial,
    local_members,
)
from storage.state import state_ids_of_keys

AT_ONCE = 100  # keys of the state that are written together

Keys = Mapping[StateKey, EventID | None]
"""What is to be under these keys before our join; None: nothing."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """What is missing in the states since our join, and what differs in the room's state."""

    added: State
    changes: StateChanges


async def fill(tenant: Tenant, room: PartialRoom, position: int, state: State) -> None:
    """The room has this state before our join, which is at that position; and is whole. Nothing happens (any more) where we
    have left the room meanwhile, or entered it anew. Raises Unknown where the room is too busy."""
    async with tenant.database.read() as tx:
        gone = (await current_state_ids(tx, room.room_id, event_type=MEMBER)).keys() - state.keys()
    keys: list[tuple[StateKey, EventID | None]] = [*state.items(), *((key, None) for key in sorted(gone))]
    some = list(portions(keys, AT_ONCE)) or [[]]
    for number, items in enumerate(some, 1):
        is_last = number == len(some)
        if not await _filled(tenant, room, position, dict(items), is_last=is_last):
            await give_up(tenant, room.room_id)
            return


async def _filled(tenant: Tenant, room: PartialRoom, position: int, keys: Keys, *, is_last: bool) -> bool:
    """Writes these keys; is the room still the one that was to be completed?"""
    for _ in range(ATTEMPTS):
        try:
            async with tenant.heads.locked(room.room_id) as head:
                if head.pending is not None and not head.pending.done():
                    await asyncio.wait([head.pending])
                ours = await _ours(tenant, room)
                if not ours:
                    return False
                piece = await _piece(tenant, head, keys)
                if not piece.added and not piece.changes and not is_last:
                    return True
                change = await _change(tenant, head, position, piece, is_last=is_last)
                # State that changes without an event is found in the database: there those who sync are to look.
                wake = (*change.wake, *(topics.user(user_id) for user_id in ours))
                done = commit(tenant, [replace(change, wake=wake)], head)
            await committed(done)
        except Stale:
            continue
        tenant.heads.forget(room.room_id)  # the sizes of its layers have changed
        return True
    raise Unknown(f"{room.room_id} is too busy to be completed", status=503)


async def _ours(tenant: Tenant, room: PartialRoom) -> Sequence[str]:
    """Our users in the room; none where there is nothing to complete (any more)."""
    async with tenant.database.read() as tx:
        if await join_of_partial(tx, room.room_id) != room.join_event:
            return ()
        return await local_members(tx, room.room_id)


async def give_up(tenant: Tenant, room_id: RoomID) -> None:
    """The room will not be completed, if all of ours have left it. Whoever waits is told."""
    await tenant.journal.append(Change((Row(FORGET_PARTIAL, (room_id,)),), (topics.room(room_id),)))


async def _piece(tenant: Tenant, head: Head, keys: Keys) -> _Piece:
    """What is to be done about those of the keys under which nothing has been put since our join."""
    number = head.snapshot.snapshot
    async with tenant.database.read() as tx:
        known = (await state_ids_of_keys(tx, (number,), list(keys)))[number]
        open_keys = {key: event_id for key, event_id in keys.items() if key not in known}
        now = await current_state_ids_of(tx, head.room_id, list(open_keys))
        differ = {key: event_id for key, event_id in open_keys.items() if now.get(key) != event_id}
        found = await events_by_id(tx, [event_id for event_id in differ.values() if event_id is not None])
    changes: dict[StateKey, Event | None] = {}
    for key, event_id in differ.items():
        if event_id is None:
            changes[key] = None
        elif event_id in found:
            changes[key] = found[event_id].event
    same = open_keys.keys() - differ.keys()
    added = {
        key: event_id
        for key, event_id in open_keys.items()
        if event_id is not None and (key in same or key in changes)
    }
    return _Piece(added, changes)


async def _change(tenant: Tenant, head: Head, position: int, piece: _Piece, *, is_last: bool) -> Change:
    step = await state_step(tenant, head, head.room_id, piece.changes, head.snapshot)
    expected = head.version
    head.version += 1
    step.apply(head)
    version, room_id = head.version, head.room_id

    def after(at: int) -> None:
        head.committed(version, at)
        tenant.tails.drop(room_id)

    rows = [*step.rows, _fill_row(room_id, position, piece.added)]
    if is_last:
        rows.append(Row(UNMARK_PARTIAL, (room_id, position)))
    wake = (topics.room(room_id), topics.device_lists(room_id), topics.room_servers(room_id), *step.wake)
    return Change(
        rows=tuple(rows),
        wake=tuple(dict.fromkeys(wake)),
        head=head.move(expected),
        after=after,
        size=512 * (1 + len(piece.added) + len(piece.changes)),
    )


def _fill_row(room_id: RoomID, position: int, added: State) -> Row:
    keys = [*added]
    values = (
        room_id,
        position,
        [event_type for event_type, _ in keys],
        [state_key for _, state_key in keys],
        [added[key] for key in keys],
    )
    return Row(FILL_STATES, values)
