"""Presence (§Presence): who is there."""

from client_api import ClientCall
from protocol.matrix_error import InvalidParam
from services import presence
from web.endpoint import EPHEMERAL, Auth, endpoint
from web.reply import Json

_STATUS = "/_matrix/client/v3/presence/{userId}/status"
MAX_STATUS = 1000


@endpoint("PUT", _STATUS, auth=Auth.USER, limit=EPHEMERAL)
async def set_presence(call: ClientCall) -> Json:
    """The user says whether they are there, and what they are doing."""
    requester, said, status = call.requester_named(), call.text("presence"), call.text("status_msg", None)
    if said not in presence.PRESENCES:
        raise InvalidParam(f"presence is one of {', '.join(presence.PRESENCES)}")
    if status is not None and len(status) > MAX_STATUS:
        raise InvalidParam(f"status_msg has more than {MAX_STATUS} characters")
    await presence.set_presence(call.tenant, requester, said, status)
    return {}


@endpoint("GET", _STATUS, auth=Auth.USER)
async def get_presence(call: ClientCall) -> Json:
    """Whether somebody is there with whom the user shares a room."""
    return await presence.get_presence(call.tenant, call.requester, call.user_id())
