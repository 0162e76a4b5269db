"""Typing notifications (§Typing Notifications)."""

from client_api import ClientCall
from services import typing
from web.endpoint import EPHEMERAL, Auth, endpoint
from web.reply import Json


@endpoint("PUT", "/_matrix/client/v3/rooms/{roomId}/typing/{userId}", auth=Auth.USER, limit=EPHEMERAL)
async def set_typing(call: ClientCall) -> Json:
    """The user types for a while, or has ceased to."""
    timeout = call.duration("timeout", typing.DEFAULT_TIMEOUT, typing.MAX_TIMEOUT)
    await typing.set_typing(
        call.tenant, call.requester_named(), call.room_id(), timeout if call.flag("typing") else None
    )
    return {}
