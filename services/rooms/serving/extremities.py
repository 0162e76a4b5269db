"""The last events of a room, for other servers (MSC4370)."""

from __future__ import annotations

from protocol.ids import EventID, RoomID, ServerName
from services.rooms.serving.access import room_for_server
from services.tenant import Tenant
from storage.servers.serving import forward_extremities


async def extremities_for_server(tenant: Tenant, server: ServerName, room_id: RoomID) -> list[EventID]:
    """The room's forward extremities; raises NotFound, or Forbidden for servers that are not in it."""
    async with tenant.database.read() as tx:
        await room_for_server(tx, room_id, server)
        return await forward_extremities(tx, room_id)
