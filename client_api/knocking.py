"""Knocking on rooms (§Knocking on rooms)."""

from client_api import ClientCall
from client_api.reasons import reason_of, via_of
from services.rooms.membership.knock import knock
from services.rooms.membership.resolve import room_named
from web.endpoint import JOINS, Auth, endpoint
from web.reply import Json


@endpoint("POST", "/_matrix/client/v3/knock/{roomIdOrAlias}", auth=Auth.USER, limit=JOINS)
async def knock_room(call: ClientCall) -> Json:
    """The ID of the room, knocked upon."""
    room_id, servers = await room_named(call.tenant, call.path["roomIdOrAlias"])
    await knock(call.tenant, call.requester, room_id, reason_of(call), (*via_of(call), *servers))
    return {"room_id": room_id}
