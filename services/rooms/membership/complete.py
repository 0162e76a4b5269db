"""Making a room whole that we have joined without its members."""

from __future__ import annotations

from protocol.events import Event
from services.ports import RemoteFailed
from services.rooms.membership.candidates import candidates
from services.rooms.membership.fill import fill
from services.rooms.membership.left_before import leave_again
from services.rooms.membership.rest import State, state_before_join
from services.tenant import Tenant
from storage.events import event_by_id
from storage.servers.partial_rooms import PartialRoom

MAX_ASKED = 5


async def complete(tenant: Tenant, room: PartialRoom) -> None:
    """Makes the room whole, and wakes those who wait for that. Raises RemoteFailed when no server shows us the rest, and
    Unknown when the room is too busy."""
    async with tenant.database.read() as tx:
        stored = await event_by_id(tx, room.join_event)
    assert stored is not None  # the mark was written with the join
    state = tenant.partial_rooms.shown(room.room_id, room.join_event)
    if state is None:
        state = await _shown_by_any(tenant, room, stored.event)
    await fill(tenant, room, stored.position, state)
    await leave_again(tenant, room.room_id)


async def _shown_by_any(tenant: Tenant, room: PartialRoom, join: Event) -> State:
    """The state before our join, by the server that let us in, else by others that it says are in the room."""
    failed: RemoteFailed | None = None
    for server in candidates(tenant, [room.server], room.servers)[:MAX_ASKED]:
        try:
            return await state_before_join(tenant, server, join)
        except RemoteFailed as error:
            failed = error
    raise failed or RemoteFailed(room.server, None, None, "no server is known that is in the room")
