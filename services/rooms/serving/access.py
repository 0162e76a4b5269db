"""Which rooms another server may ask about."""

from __future__ import annotations

import orjson

from protocol.ids import RoomID, ServerName
from protocol.matrix_error import Forbidden, NotFound
from protocol.room_versions import RoomVersion, version_named
from protocol.server_acl import ServerAcl
from storage.database import Tx
from storage.servers.serving import ServedRoom, served_room


async def room_for_server(tx: Tx, room_id: RoomID, server: ServerName) -> RoomVersion:
    """The version of a room that the server is in; raises NotFound for rooms that we do not have, Forbidden where the
    server has no user in the room or is shut out by its access control list.
    """
    room = await served_room(tx, room_id, server)
    if room is None:
        raise NotFound("There is no such room here")
    if acl_refuses(room, server):
        raise Forbidden("Your server is shut out of this room")
    if not room.has_server:
        raise Forbidden("Your server is not in this room")
    return version_named(room.room_version)


def acl_refuses(room: ServedRoom, server: ServerName) -> bool:
    """Does the room's access control list shut the server out?"""
    return room.acl is not None and not ServerAcl.of(orjson.loads(room.acl)["content"]).allows(server)
