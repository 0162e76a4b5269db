"""Letting users of other servers join (§Joining Rooms)."""

from federation import ServerCall
from services.rooms.membership.make_template import make_template
from services.rooms.membership.missed import tell_what_was_missed
from services.rooms.membership.show_room import show_room
from services.rooms.membership.take_member import take_member
from web.endpoint import Auth, endpoint
from web.reply import Json

OLDEST = ["1"]


@endpoint("GET", "/_matrix/federation/v1/make_join/{roomId}/{userId}", auth=Auth.SERVER)
async def make_join(call: ServerCall) -> Json:
    """A join for the other server to complete."""
    template = await make_template(
        call.tenant,
        call.requester.server_name,
        call.room_id(),
        call.user_id(),
        "join",
        call.query_all("ver") or OLDEST,
    )
    return {"room_version": template.room_version, "event": template.event}


@endpoint("PUT", "/_matrix/federation/v1/send_join/{roomId}/{eventId}", auth=Auth.SERVER)
async def send_join_v1(call: ServerCall) -> Json:
    """COMPAT: the same for servers that know only its first form: the status once more, and the answer."""
    return [200, await send_join_v2(call)]


@endpoint("PUT", "/_matrix/federation/v2/send_join/{roomId}/{eventId}", auth=Auth.SERVER)
async def send_join_v2(call: ServerCall) -> Json:
    """The room as it was before the join, which is in it now."""
    origin, room_id = call.requester.server_name, call.room_id()
    pdu = call.json_object()
    join = await take_member(call.tenant, origin, room_id, call.event_id(), pdu, "join")
    shown = await show_room(call.tenant, join, omit_members=call.query_flag("omit_members"))
    await tell_what_was_missed(call.tenant, join, origin)
    reply = {
        "origin": call.tenant.name,
        "event": join.json,
        "state": shown.state,
        "auth_chain": shown.auth_chain,
        "members_omitted": shown.members_omitted,
    }
    return {**reply, "servers_in_room": shown.servers} if shown.members_omitted else reply
