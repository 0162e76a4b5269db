"""Upgrading rooms (§Room Upgrades)."""

from client_api import ClientCall
from protocol.ids import parse_user_id
from services.rooms import upgrade
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json


@endpoint("POST", "/_matrix/client/v3/rooms/{roomId}/upgrade", auth=Auth.USER, limit=GENERAL)
async def upgrade_room(call: ClientCall) -> Json:
    """The ID of the room that takes this one's place."""
    more_creators = [parse_user_id(user) for user in call.strings("additional_creators", [])]
    replacement = await upgrade.upgrade_room(
        call.tenant, call.requester, call.room_id(), call.text("new_version"), more_creators
    )
    return {"replacement_room": replacement}
