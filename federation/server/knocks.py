"""Letting users of other servers knock (§Knocking Rooms)."""

from federation import ServerCall
from services.rooms.membership.make_template import make_template
from services.rooms.membership.show_room import knock_room_state
from services.rooms.membership.take_member import take_member
from web.endpoint import Auth, endpoint
from web.reply import Json


@endpoint("GET", "/_matrix/federation/v1/make_knock/{roomId}/{userId}", auth=Auth.SERVER)
async def make_knock(call: ServerCall) -> Json:
    """A knock for the other server to complete."""
    template = await make_template(
        call.tenant,
        call.requester.server_name,
        call.room_id(),
        call.user_id(),
        "knock",
        call.query_all("ver"),
    )
    return {"room_version": template.room_version, "event": template.event}


@endpoint("PUT", "/_matrix/federation/v1/send_knock/{roomId}/{eventId}", auth=Auth.SERVER)
async def send_knock(call: ServerCall) -> Json:
    """Takes the knock into the room; what the room shows of itself to one who knocks."""
    origin, room_id = call.requester.server_name, call.room_id()
    await take_member(call.tenant, origin, room_id, call.event_id(), call.json_object(), "knock")
    return {"knock_room_state": await knock_room_state(call.tenant, room_id)}
