"""The threads of a room (§Threading, «Querying threads in a room»)."""

from client_api import ClientCall
from protocol.matrix_error import InvalidParam
from services.rooms.relations.threads import threads
from services.sync.token import Token, parse_token
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json

DEFAULT_LIMIT, MAX_LIMIT = 10, 100


@endpoint("GET", "/_matrix/client/v1/rooms/{roomId}/threads", auth=Auth.USER, limit=GENERAL)
async def get_thread_roots(call: ClientCall) -> Json:
    """The roots of the threads, those with the newest events first."""
    include = call.query_text("include", "all")
    if include not in ("all", "participated"):
        raise InvalidParam("include must be all or participated")
    start = call.query_text("from", "")
    found = await threads(
        call.tenant,
        call.requester,
        call.room_id(),
        parse_token(start).position if start else None,
        call.query_integer("limit", DEFAULT_LIMIT, minimum=1, maximum=MAX_LIMIT),
        participated=include == "participated",
    )
    following = {} if found.following is None else {"next_batch": str(Token(found.following))}
    return {"chunk": found.chunk, **following}
