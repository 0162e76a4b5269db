"""What a room looks like before one is in it (§Room summaries)."""

from __future__ import annotations

from client_api import AnyonesCall
from protocol.ids import server_of
from protocol.matrix_error import NotFound
from services.rooms.membership.resolve import room_named
from services.rooms.membership.whom_to_ask import whom_to_ask
from services.rooms.room_summary import room_summary
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json

# MSC3266, before v1.15; the second is its oldest form.
_UNSTABLE = (
    "/_matrix/client/unstable/im.nheko.summary/summary/{roomIdOrAlias}",
    "/_matrix/client/unstable/im.nheko.summary/rooms/{roomIdOrAlias}/summary",
)


@endpoint(
    "GET",
    "/_matrix/client/v1/room_summary/{roomIdOrAlias}",
    auth=Auth.OPTIONAL,
    limit=GENERAL,
    guest=True,
    also=_UNSTABLE,
)
async def get_room_summary(call: AnyonesCall) -> Json:
    """The summary of a room that the requester could enter, and the requester's membership."""
    named, requester = call.path["roomIdOrAlias"], call.requester
    if requester is None:
        if named.startswith("#") and server_of(named) != call.tenant.name:
            raise NotFound("Other servers are asked for users of this server only")
        room_id, _ = await room_named(call.tenant, named)
        return await room_summary(call.tenant, None, room_id, ())
    room_id, servers = await room_named(call.tenant, named)
    via = (*call.query_all("via"), *servers)
    asked = await whom_to_ask(call.tenant, room_id, requester.user_id, via)
    return await room_summary(call.tenant, requester, room_id, asked)
