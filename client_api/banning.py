"""Banning users (§Banning users in a room)."""

from client_api import ClientCall
from client_api.reasons import reason_of, removal_of, target_of
from services.rooms.membership import others
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json


@endpoint("POST", "/_matrix/client/v3/rooms/{roomId}/ban", auth=Auth.USER, limit=GENERAL)
async def ban(call: ClientCall) -> Json:
    """Makes a user leave the room and stay out of it."""
    await others.ban(call.tenant, call.requester, call.room_id(), target_of(call), removal_of(call))
    return {}


@endpoint("POST", "/_matrix/client/v3/rooms/{roomId}/unban", auth=Auth.USER, limit=GENERAL)
async def unban(call: ClientCall) -> Json:
    """Lets a banned user come again, if the join rules do."""
    await others.unban(call.tenant, call.requester, call.room_id(), target_of(call), reason_of(call))
    return {}
