"""A room as one that we are in, for another server that wants to take part in it."""

from __future__ import annotations

from protocol.ids import RoomID, ServerName
from protocol.matrix_error import Forbidden, NotFound
from protocol.server_acl import ServerAcl
from services.rooms.draft_checks import SERVER_ACL
from services.tenant import Tenant
from storage.servers.handshakes import residence
from storage.servers.partial_rooms import is_partial


async def check_resident(tenant: Tenant, room_id: RoomID, origin: ServerName) -> None:
    """Raises NotFound where no user of ours is in the room, or where we do not know ourselves yet who is; Forbidden where its
    access control list shuts the origin out."""
    async with tenant.database.read() as tx:
        here = await residence(tx, room_id)
        partial = await is_partial(tx, room_id)
    if not here.is_resident or partial:
        raise NotFound("This server is not in the room")
    await check_acl(tenant, room_id, origin)


async def check_acl(tenant: Tenant, room_id: RoomID, origin: ServerName) -> None:
    """Raises Forbidden where the room's access control list shuts the origin out (§Server Access Control Lists)."""
    key = (SERVER_ACL, "")
    async with tenant.heads.locked(room_id) as head:
        acl = (await head.state_events(tenant.database, (key,))).get(key)
    if acl is not None and not ServerAcl.of(acl.content).allows(origin):
        raise Forbidden("Your server is shut out of this room")
