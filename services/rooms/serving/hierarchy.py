"""A space and its children, for another server."""

from __future__ import annotations

from protocol.ids import RoomID, ServerName
from protocol.json import JsonObject
from protocol.matrix_error import NotFound
from services.rooms.space_children import children_of
from services.rooms.summary import asked_for, known_summaries
from services.tenant import Tenant
from storage.summaries import memberships_of_server


async def hierarchy_for_server(
    tenant: Tenant, server: ServerName, room_id: RoomID, suggested_only: bool
) -> JsonObject:
    """The room, those of its children that the server may see, and the IDs of those that it may not.

    Raises NotFound for a room that we are not in, or that the server may not see.
    """
    async with tenant.database.snapshot() as tx:
        room = (await known_summaries(tx, (room_id,))).get(room_id)
        if room is None:
            raise NotFound("There is no such room here")
        named = (await children_of(tx, (room_id,), suggested_only))[room_id] if room.is_space else ()
        known = await known_summaries(tx, [child.room_id for child in named])
        memberships = await memberships_of_server(tx, server, asked_for((room, *known.values())))
    if not room.is_shown_to(memberships):
        raise NotFound("There is no such room here")
    shown = {i for i, summary in known.items() if summary.is_shown_to(memberships)}
    return {
        "room": {**room.json, "children_state": [child.json for child in named]},
        "children": [known[child.room_id].json for child in named if child.room_id in shown],
        "inaccessible_children": [c.room_id for c in named if c.room_id in known and c.room_id not in shown],
    }
