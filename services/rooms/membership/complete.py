"""Fetching the members of a room that we have joined without them, and making the room whole.

Nothing of other servers enters such a room before it is whole (services/rooms/membership/whole.py), so that what has been
built since the join is ours, and rests on what was known. All states since the join begin with one layer; what was left
out of it is put there, and so is in all of them at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from protocol.entered_room import EnteredRoom, enter_room
from protocol.errors import Rejected
from protocol.events import Event, StateKey
from protocol.ids import ServerName
from services.ports import RemoteFailed
from services.rooms.append import commit, committed
from services.rooms.head import Head
from services.rooms.membership.candidates import candidates
from services.rooms.receive.check import checked_pdus
from services.rooms.receive.outliers import store_outliers
from services.rooms.state_step import state_step
from services.tenant import Tenant
from storage import topics
from storage.events import event_by_id
from storage.journal import Change, Row, Stale
from storage.servers.partial_rooms import FILL_STATES, UNMARK_PARTIAL, PartialRoom, local_members
from storage.state import state_ids_at

ATTEMPTS = 10
MAX_ASKED = 5


async def complete(tenant: Tenant, room: PartialRoom) -> None:
    """Makes the room whole, and wakes those who wait for that. Raises RemoteFailed when no server shows us the rest."""
    async with tenant.database.read() as tx:
        stored = await event_by_id(tx, room.join_event)
    assert stored is not None  # the mark was written with the join
    entered = await _shown_by_any(tenant, room, stored.event)
    await store_outliers(tenant, [*entered.auth_chain, *entered.state.values()])
    for _ in range(ATTEMPTS):
        try:
            await _fill(tenant, room, stored.event, stored.position, entered)
        except Stale:
            continue
        return
    raise RemoteFailed(room.server, None, None, "the room is too busy to be completed")


async def _shown_by_any(tenant: Tenant, room: PartialRoom, join: Event) -> EnteredRoom:
    failed: RemoteFailed | None = None
    for server in candidates(tenant, [room.server], room.servers)[:MAX_ASKED]:
        try:
            return await _shown(tenant, server, join)
        except RemoteFailed as error:
            failed = error
    raise failed or RemoteFailed(room.server, None, None, "no server is known that is in the room")


async def _shown(tenant: Tenant, server: ServerName, join: Event) -> EnteredRoom:
    """The whole state before our join."""
    told = await tenant.remotes.state(server, join.room_id, join.event_id)
    state = await checked_pdus(tenant, join.version, told.pdus)
    chain = await checked_pdus(tenant, join.version, told.auth_chain)
    try:
        return await tenant.compute.run(_enter_room, join, state.events, chain.events)
    except Rejected as error:
        raise RemoteFailed(server, None, None, f"not the room that we have joined: {error}") from None


def _enter_room(join: Event, state: Sequence[Event], auth_chain: Sequence[Event]) -> EnteredRoom:
    return enter_room(join.version, join.room_id, state, auth_chain, join, is_partial=False)


async def _fill(tenant: Tenant, room: PartialRoom, join: Event, position: int, entered: EnteredRoom) -> None:
    async with tenant.heads.locked(room.room_id) as head:
        async with tenant.database.read() as tx:
            known = await state_ids_at(tx, head.snapshot.snapshot)
            ours = await local_members(tx, room.room_id)
        added = {key: event for key, event in entered.state.items() if key not in known}
        change = await _change(tenant, head, join, position, added)
        # State that changes without an event is found in the database: there those who sync are to look.
        wake = (*change.wake, *(topics.user(user_id) for user_id in ours))
        done = commit(tenant, [replace(change, wake=wake)], head)
    await committed(done)
    tenant.heads.forget(room.room_id)  # the sizes of its layers have changed


async def _change(
    tenant: Tenant, head: Head, join: Event, position: int, added: dict[StateKey, Event]
) -> Change:
    step = await state_step(tenant, head, head.room_id, added, head.snapshot)
    expected = head.version
    head.version += 1
    step.apply(head)
    version, room_id = head.version, head.room_id
    keys = [*added]

    def after(at: int) -> None:
        head.committed(version, at)
        tenant.tails.drop(room_id)

    fill = (
        head.room_id,
        position,
        [event_type for event_type, _ in keys],
        [state_key for _, state_key in keys],
        [added[key].event_id for key in keys],
    )
    return Change(
        rows=(*step.rows, Row(FILL_STATES, fill), Row(UNMARK_PARTIAL, (head.room_id,))),
        wake=tuple(dict.fromkeys((topics.room(head.room_id), topics.device_lists(head.room_id), *step.wake))),
        head=head.move(expected),
        after=after,
        size=512 * (1 + len(keys)),
    )
