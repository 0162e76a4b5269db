"""Invites of our users by other servers (§Inviting to a room)."""

from collections.abc import Sequence
from typing import Any

from federation import ServerCall
from protocol.errors import UnsupportedRoomVersion
from protocol.matrix_error import IncompatibleRoomVersion
from protocol.room_versions import V1, RoomVersion, version_named
from services.rooms.membership.receive_invite import receive_invite
from web.endpoint import Auth, endpoint
from web.reply import Json


@endpoint("PUT", "/_matrix/federation/v2/invite/{roomId}/{eventId}", auth=Auth.SERVER)
async def send_invite_v2(call: ServerCall) -> Json:
    """The invite with our signature."""
    named = call.text("room_version")
    try:
        version = version_named(named)
    except UnsupportedRoomVersion:
        raise IncompatibleRoomVersion(named) from None
    state = call.fields.json.get("invite_room_state")
    return {"event": await _signed(call, version, call.object("event"), state)}


@endpoint("PUT", "/_matrix/federation/v1/invite/{roomId}/{eventId}", auth=Auth.SERVER)
async def send_invite_v1(call: ServerCall) -> Json:
    """The same for servers that know only room versions 1 and 2: the status once more, and the event."""
    pdu = call.json_object()
    unsigned = pdu.get("unsigned")
    state = unsigned.get("invite_room_state") if isinstance(unsigned, dict) else None
    return [200, {"event": await _signed(call, V1, pdu, state)}]


async def _signed(call: ServerCall, version: RoomVersion, pdu: Any, state: Any) -> Json:
    shown: Sequence[object] = state if isinstance(state, list) else ()
    event = await receive_invite(
        call.tenant,
        call.requester.server_name,
        version,
        call.room_id(),
        call.event_id(),
        pdu,
        shown,
    )
    return event.json
