"""Inviting users (§Joining rooms)."""

from client_api import ClientCall
from client_api.reasons import reason_of, target_of, third_party_of
from services.rooms.membership.others import invite
from services.threepids.invite import invite_third_party
from web.endpoint import INVITES, Auth, endpoint
from web.reply import Json

_THIRD_PARTY = frozenset(("id_server", "id_access_token", "medium", "address"))


@endpoint("POST", "/_matrix/client/v3/rooms/{roomId}/invite", auth=Auth.USER, limit=INVITES)
async def invite_user(call: ClientCall) -> Json:
    """Invites a user, or somebody of whom only an address is known."""
    body = call.json_object()
    if "user_id" not in body and body.keys() & _THIRD_PARTY:
        guest = third_party_of(call.fields)
        await invite_third_party(call.tenant, call.requester, call.room_id(), guest, reason_of(call))
        return {}
    await invite(call.tenant, call.requester, call.room_id(), target_of(call), reason_of(call))
    return {}
