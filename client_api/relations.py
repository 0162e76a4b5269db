"""What relates to an event (§Aggregations, «Relationships API»)."""

from typing import Any

from client_api import ClientCall
from protocol.matrix_error import InvalidParam
from services.rooms.relations.children import DEPTH, Page, children
from services.sync.token import Token, parse_token
from web.endpoint import Auth, endpoint
from web.reply import Json

DEFAULT_LIMIT, MAX_LIMIT = 5, 100

_CHILDREN = "/_matrix/client/v1/rooms/{roomId}/relations/{eventId}"


@endpoint("GET", _CHILDREN, auth=Auth.USER)
async def get_relating_events(call: ClientCall) -> Json:
    """The events that relate to the event."""
    return await _page(call)


@endpoint("GET", _CHILDREN + "/{relType}", auth=Auth.USER)
async def get_relating_events_with_rel_type(call: ClientCall) -> Json:
    """Those that relate to it in one way."""
    return await _page(call)


@endpoint("GET", _CHILDREN + "/{relType}/{eventType}", auth=Auth.USER)
async def get_relating_events_with_rel_type_and_event_type(call: ClientCall) -> Json:
    """Those that relate to it in one way, and are of one type."""
    return await _page(call)


async def _page(call: ClientCall) -> Json:
    direction = call.query_text("dir", "b")
    if direction not in ("b", "f"):
        raise InvalidParam("dir must be b or f")
    start, stop = call.query_text("from", ""), call.query_text("to", "")
    recurse = call.query_flag("recurse", None)
    page = Page(
        rel_type=call.path.get("relType"),
        type=call.path.get("eventType"),
        recurse=bool(recurse),
        is_backwards=direction == "b",
        start=parse_token(start).position if start else None,
        stop=parse_token(stop).position if stop else None,
        limit=call.query_integer("limit", DEFAULT_LIMIT, minimum=1, maximum=MAX_LIMIT),
    )
    found = await children(call.tenant, call.requester, call.room_id(), call.event_id(), page)
    body: dict[str, Any] = {"chunk": found.chunk}
    if found.following is not None:
        body["next_batch"] = str(Token(found.following))
    if start:
        body["prev_batch"] = start
    if recurse is not None:
        # «If the client did not specify the recurse parameter, this field must be absent.»
        body["recursion_depth"] = DEPTH if recurse else 1
    return body
