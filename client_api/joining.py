"""Joining rooms (§Joining rooms)."""

from client_api import ClientCall
from client_api.reasons import join_content_of, via_of
from services.rooms.membership.join import join
from services.rooms.membership.resolve import room_named
from web.endpoint import JOINS, Auth, endpoint
from web.reply import Json


@endpoint("POST", "/_matrix/client/v3/rooms/{roomId}/join", auth=Auth.USER, guest=True, limit=JOINS)
async def join_room_by_id(call: ClientCall) -> Json:
    """The ID of the room, joined."""
    room_id = call.room_id()
    await join(call.tenant, call.requester, room_id, join_content_of(call), via_of(call))
    return {"room_id": room_id}


# COMPAT matrix-js-sdk: it joins by this path only, guests too, whom the specification lets in by the other one.
@endpoint("POST", "/_matrix/client/v3/join/{roomIdOrAlias}", auth=Auth.USER, guest=True, limit=JOINS)
async def join_room(call: ClientCall) -> Json:
    """The ID of the room, joined."""
    room_id, servers = await room_named(call.tenant, call.path["roomIdOrAlias"])
    await join(call.tenant, call.requester, room_id, join_content_of(call), (*via_of(call), *servers))
    return {"room_id": room_id}
