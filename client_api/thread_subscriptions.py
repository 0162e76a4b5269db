"""Subscribing to threads (MSC4306), and catching up with what other devices have subscribed to (MSC4308)."""

from client_api import ClientCall
from protocol.errors import InvalidId
from protocol.ids import EventID, parse_event_id
from protocol.matrix_error import InvalidParam
from services import thread_subscriptions
from services.sync.token import Token, parse_token
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json

_ONE = "/_matrix/client/unstable/io.element.msc4306/rooms/{roomId}/thread/{eventId}/subscription"
LIMIT, MAX_LIMIT = 100, 500


@endpoint("GET", _ONE, auth=Auth.USER, limit=GENERAL)
async def get_thread_subscription(call: ClientCall) -> Json:
    """Whether the client subscribed for the user; NotFound where the user is not subscribed."""
    found = await thread_subscriptions.subscription(
        call.tenant, call.requester, call.room_id(), call.event_id()
    )
    return {"automatic": found.automatic}


@endpoint("PUT", _ONE, auth=Auth.USER, limit=GENERAL)
async def subscribe_to_thread(call: ClientCall) -> Json:
    """Subscribes; `automatic` names the event because of which the client does."""
    cause = _event_id(call.text("automatic", None))
    await thread_subscriptions.subscribe(call.tenant, call.requester, call.room_id(), call.event_id(), cause)
    return {}


@endpoint("DELETE", _ONE, auth=Auth.USER, limit=GENERAL)
async def unsubscribe_from_thread(call: ClientCall) -> Json:
    """Unsubscribes, also who was not subscribed."""
    await thread_subscriptions.unsubscribe(call.tenant, call.requester, call.room_id(), call.event_id())
    return {}


@endpoint(
    "GET",
    "/_matrix/client/unstable/io.element.msc4308/thread_subscriptions",
    auth=Auth.USER,
    limit=GENERAL,
)
async def get_thread_subscriptions(call: ClientCall) -> Json:
    """What has changed between two tokens, the newest first; `end` is where to go on."""
    if call.query_text("dir", "b") != "b":
        raise InvalidParam("dir must be b")
    start, end = call.query_text("from", None), call.query_text("to", None)
    page = await thread_subscriptions.changes_between(
        call.tenant,
        call.requester,
        after=parse_token(end).position if end else 0,
        before=parse_token(start).position if start else None,
        limit=call.query_integer("limit", LIMIT, minimum=1, maximum=MAX_LIMIT),
    )
    following = {} if page.following is None else {"end": str(Token(page.following))}
    return thread_subscriptions.as_json(page.changes) | following


def _event_id(text: str | None) -> EventID | None:
    try:
        return None if text is None else parse_event_id(text)
    except InvalidId as error:
        raise InvalidParam(f"automatic: {error}") from None
