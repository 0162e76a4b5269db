"""How clients synced before /sync, and how guests look into rooms (§Syncing, §Room previews)."""

from client_api import ClientCall
from protocol.errors import InvalidId
from protocol.ids import parse_room_id
from protocol.matrix_error import InvalidParam
from services.rooms import initial_sync as services
from services.rooms.listen import next_events
from services.sync.token import Token, parse_token
from web.endpoint import Auth, endpoint
from web.reply import Json, Reply

DEFAULT_LIMIT, MAX_LIMIT = 20, 100
DEFAULT_TIMEOUT, MAX_TIMEOUT = 0, 5 * 60 * 1000  # milliseconds


@endpoint("GET", "/_matrix/client/v3/rooms/{roomId}/initialSync", auth=Auth.USER, guest=True)
async def room_initial_sync(call: ClientCall) -> Json:
    """The room's state and its last messages."""
    return await services.room_initial_sync(call.tenant, call.requester, call.room_id(), _limit(call))


@endpoint("GET", "/_matrix/client/v3/initialSync", auth=Auth.USER)
async def initial_sync(call: ClientCall) -> Json:
    """All rooms of the user."""
    archived = call.query_flag("archived")
    return await services.initial_sync(call.tenant, call.requester, _limit(call), archived=archived)


@endpoint("GET", "/_matrix/client/v3/events", auth=Auth.USER, guest=True)
async def get_events(call: ClientCall) -> Json:
    """The next events of a room that the user may read, or of all that the user is in."""
    start, room = call.query_text("from", ""), call.query_text("room_id", "")
    try:
        room_id = parse_room_id(room) if room else None
    except InvalidId as error:
        raise InvalidParam(f"room_id: {error}") from None
    heard = await next_events(
        call.tenant,
        call.requester,
        room_id,
        parse_token(start).position if start else None,
        call.query_duration("timeout", DEFAULT_TIMEOUT, MAX_TIMEOUT),
        call.disconnected,
    )
    return {"start": str(Token(heard.start)), "end": str(Token(heard.end)), "chunk": heard.chunk}


@endpoint("GET", "/_matrix/client/v3/events/{eventId}", auth=Auth.USER)
async def get_one_event(call: ClientCall) -> Reply:
    """The event, whatever room it is in."""
    found = await services.event_anywhere(call.tenant, call.requester, call.event_id())
    return Reply(body=found, content_type="application/json")


def _limit(call: ClientCall) -> int:
    return call.query_integer("limit", DEFAULT_LIMIT, minimum=0, maximum=MAX_LIMIT)
