"""Letting users of other servers reject invites, take back knocks and leave (§Leaving Rooms)."""

from federation import ServerCall
from services.rooms.membership.make_template import make_template
from services.rooms.membership.take_member import take_member
from web.endpoint import Auth, endpoint
from web.reply import Json


@endpoint("GET", "/_matrix/federation/v1/make_leave/{roomId}/{userId}", auth=Auth.SERVER)
async def make_leave(call: ServerCall) -> Json:
    """A leave for the other server to complete."""
    template = await make_template(
        call.tenant, call.requester.server_name, call.room_id(), call.user_id(), "leave"
    )
    return {"room_version": template.room_version, "event": template.event}


@endpoint("PUT", "/_matrix/federation/v1/send_leave/{roomId}/{eventId}", auth=Auth.SERVER)
async def send_leave_v1(call: ServerCall) -> Json:
    """COMPAT: the same for servers that know only its first form: the status once more, and the answer."""
    return [200, await send_leave_v2(call)]


@endpoint("PUT", "/_matrix/federation/v2/send_leave/{roomId}/{eventId}", auth=Auth.SERVER)
async def send_leave_v2(call: ServerCall) -> Json:
    """Takes the leave into the room."""
    origin, room_id = call.requester.server_name, call.room_id()
    await take_member(call.tenant, origin, room_id, call.event_id(), call.json_object(), "leave")
    return {}
