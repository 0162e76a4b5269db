"""Kicking users (§Kicking users)."""

from client_api import ClientCall
from client_api.reasons import removal_of, target_of
from services.rooms.membership import others
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json


@endpoint("POST", "/_matrix/client/v3/rooms/{roomId}/kick", auth=Auth.USER, limit=GENERAL)
async def kick(call: ClientCall) -> Json:
    """Makes a user leave the room."""
    await others.kick(call.tenant, call.requester, call.room_id(), target_of(call), removal_of(call))
    return {}
