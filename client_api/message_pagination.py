"""Paginating events (§Getting events for a room)."""

from typing import Any

from client_api import ClientCall
from client_api.filters_named import room_event_filter
from protocol.matrix_error import InvalidParam, MissingParam
from services.rooms.paginate import Range, messages
from services.rooms.read import check_readable
from services.sync.token import Token, parse_token
from web.endpoint import Auth, endpoint
from web.reply import Json

MAX_LIMIT = 1000


@endpoint("GET", "/_matrix/client/v3/rooms/{roomId}/messages", auth=Auth.USER, guest=True)
async def get_room_events(call: ClientCall) -> Json:
    """A page of the room's events."""
    direction = call.query_text("dir", None)
    if direction not in ("b", "f"):
        await check_readable(call.tenant, call.requester, call.room_id())
        raise MissingParam("dir is missing") if direction is None else InvalidParam("dir must be b or f")
    start, stop = call.query_text("from", ""), call.query_text("to", "")
    asked = Range(
        direction == "b",
        parse_token(start).position if start else None,
        parse_token(stop).position if stop else None,
        max(call.query_integer("limit", 10, minimum=0, maximum=MAX_LIMIT), 1),
    )
    wanted = room_event_filter(call.query_text("filter", ""))
    page = await messages(call.tenant, call.requester, call.room_id(), asked, wanted)
    body: dict[str, Any] = {"start": start or str(Token(page.start)), "chunk": page.chunk}
    if page.end is not None:
        body["end"] = str(Token(page.end))
    if page.state:
        body["state"] = page.state
    return body
