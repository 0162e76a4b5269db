"""Leaving and forgetting rooms (§Leaving rooms)."""

from client_api import ClientCall
from client_api.reasons import reason_of
from services.rooms.membership.leave import forget, leave
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json


@endpoint("POST", "/_matrix/client/v3/rooms/{roomId}/leave", auth=Auth.USER, guest=True, limit=GENERAL)
async def leave_room(call: ClientCall) -> Json:
    """Leaves the room, rejects the invite to it, or takes the knock back."""
    await leave(call.tenant, call.requester, call.room_id(), reason_of(call))
    return {}


@endpoint("POST", "/_matrix/client/v3/rooms/{roomId}/forget", auth=Auth.USER, limit=GENERAL)
async def forget_room(call: ClientCall) -> Json:
    """Does not show the room to the user any more."""
    await forget(call.tenant, call.requester, call.room_id())
    return {}
