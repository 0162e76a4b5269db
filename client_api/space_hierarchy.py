"""What is in a space (§Spaces)."""

from __future__ import annotations

from client_api import ClientCall
from services.rooms.membership.whom_to_ask import whom_to_ask
from services.rooms.spaces import (
    DEFAULT_LIMIT,
    MAX_DEPTH,
    MAX_LIMIT,
    SpaceQuery,
    hierarchy,
    query_of_token,
    token_of,
)
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json


@endpoint("GET", "/_matrix/client/v1/rooms/{roomId}/hierarchy", auth=Auth.USER, limit=GENERAL)
async def get_space_hierarchy(call: ClientCall) -> Json:
    """A page of the rooms in the space, depth-first."""
    room_id = call.room_id()
    query = SpaceQuery(
        suggested_only=call.query_flag("suggested_only"),
        max_depth=call.query_integer("max_depth", MAX_DEPTH, 0, MAX_DEPTH),
        limit=call.query_integer("limit", DEFAULT_LIMIT, 1, MAX_LIMIT),
    )
    token = call.query_text("from", None)
    if token is not None:
        query = query_of_token(token, room_id, query)
    via = await whom_to_ask(call.tenant, room_id, call.requester.user_id)
    rooms, following = await hierarchy(call.tenant, call.requester, room_id, query, via)
    return {"rooms": rooms, **({"next_batch": token_of(room_id, following)} if following else {})}
