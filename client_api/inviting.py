"""Inviting users (§Joining rooms)."""

from client_api import ClientCall
from client_api.reasons import reason_of, target_of
from protocol.matrix_error import MissingParam, ServerNotTrusted
from services.rooms.membership.others import invite
from web.endpoint import INVITES, Auth, endpoint
from web.reply import Json

_THIRD_PARTY = ("id_server", "id_access_token", "medium", "address")


@endpoint("POST", "/_matrix/client/v3/rooms/{roomId}/invite", auth=Auth.USER, limit=INVITES)
async def invite_user(call: ClientCall) -> Json:
    """Invites a user, or somebody by a third-party identifier: but no identity server is known here."""
    body = call.json_object()
    if "user_id" not in body and any(name in body for name in _THIRD_PARTY):
        for name in _THIRD_PARTY:
            if not isinstance(body.get(name), str):
                raise MissingParam(f"{name} is missing")
        raise ServerNotTrusted("This server works with no identity server")
    await invite(call.tenant, call.requester, call.room_id(), target_of(call), reason_of(call))
    return {}
