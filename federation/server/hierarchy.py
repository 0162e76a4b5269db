"""Spaces, for other servers (§Spaces)."""

from __future__ import annotations

from federation import ServerCall
from services.rooms.serving.hierarchy import hierarchy_for_server
from web.endpoint import Auth, endpoint
from web.reply import Json


@endpoint("GET", "/_matrix/federation/v1/hierarchy/{roomId}", auth=Auth.SERVER)
async def get_space_hierarchy(call: ServerCall) -> Json:
    """The room and its children."""
    suggested_only = call.query_flag("suggested_only")
    server = call.requester.server_name
    return await hierarchy_for_server(call.tenant, server, call.room_id(), suggested_only)
