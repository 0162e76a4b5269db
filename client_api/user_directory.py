"""Finding users (§User directory, §Mutual rooms)."""

from typing import Any

from client_api import ClientCall
from protocol.errors import InvalidId
from protocol.ids import parse_room_id, parse_user_id
from protocol.matrix_error import InvalidParam
from services.user_directory import rooms_shared_with, search_users
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json

DEFAULT_LIMIT, MAX_LIMIT = 10, 50


@endpoint("POST", "/_matrix/client/v3/user_directory/search", auth=Auth.USER, limit=GENERAL)
async def search_user_directory(call: ClientCall) -> Json:
    """Users whose ID or name has the words of the term in it."""
    limit = call.integer("limit", DEFAULT_LIMIT, minimum=0, maximum=MAX_LIMIT)
    return await search_users(call.tenant, call.requester, call.text("search_term"), limit)


@endpoint(
    "GET",
    "/_matrix/client/v1/mutual_rooms",
    auth=Auth.USER,
    limit=GENERAL,
    also=("/_matrix/client/unstable/uk.half-shot.msc2666/user/mutual_rooms",),
)
async def get_mutual_rooms(call: ClientCall) -> Json:
    """The rooms that the user shares with another one."""
    after = call.query_text("from", "")
    try:
        other = parse_user_id(call.query_text("user_id"))
        behind = parse_room_id(after) if after else None
    except InvalidId as error:
        raise InvalidParam(str(error)) from None
    found = await rooms_shared_with(call.tenant, call.requester, other, behind)
    body: dict[str, Any] = {"joined": found.rooms, "count": found.count}
    if found.following is not None:
        body["next_batch"] = found.following
    return body
