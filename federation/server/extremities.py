"""The last events of a room, for servers that do not follow it by themselves (MSC4370): policy servers ask so."""

from __future__ import annotations

from federation import ServerCall
from services.rooms.serving.extremities import extremities_for_server
from web.endpoint import Auth, endpoint
from web.reply import Json


@endpoint("GET", "/_matrix/federation/unstable/org.matrix.msc4370/extremities/{roomId}", auth=Auth.SERVER)
async def get_extremities(call: ServerCall) -> Json:
    """What the next event of the room would have for `prev_events`."""
    server = call.requester.server_name
    return {"prev_events": await extremities_for_server(call.tenant, server, call.room_id())}
