"""The context of an event (§Event context)."""

from client_api import ClientCall
from client_api.filters_named import room_event_filter
from services.rooms.paginate import context
from services.sync.token import Token
from web.endpoint import Auth, endpoint
from web.reply import Json

MAX_LIMIT = 100


@endpoint("GET", "/_matrix/client/v3/rooms/{roomId}/context/{eventId}", auth=Auth.USER, guest=True)
async def get_event_context(call: ClientCall) -> Json:
    """The event, what stands before and after it, and the room's state at the last of them."""
    limit = call.query_integer("limit", 10, minimum=0, maximum=MAX_LIMIT)
    wanted = room_event_filter(call.query_text("filter", ""))
    found = await context(call.tenant, call.requester, call.room_id(), call.event_id(), limit, wanted)
    return {
        "start": str(Token(found.start)),
        "end": str(Token(found.end)),
        "event": found.event,
        "events_before": found.before,
        "events_after": found.after,
        "state": found.state,
    }
