"""The list of notifications (§Listing notifications)."""

from client_api import ClientCall
from protocol.matrix_error import InvalidParam
from services.push.notifications import notifications_of
from web.endpoint import Auth, endpoint
from web.reply import Json

DEFAULT_LIMIT = 20
MAX_LIMIT = 50


@endpoint("GET", "/_matrix/client/v3/notifications", auth=Auth.USER)
async def get_notifications(call: ClientCall) -> Json:
    """What the user was notified of, the newest first."""
    limit = call.query_integer("limit", DEFAULT_LIMIT, minimum=1, maximum=MAX_LIMIT)
    only = call.query_text("only", None)
    if only not in (None, "", "highlight"):
        raise InvalidParam("only must be highlight")
    found = await notifications_of(
        call.tenant, call.requester.user_id, _position(call), limit, only == "highlight"
    )
    # «If this is absent, there are no more results.»
    next_token = {} if found.next is None else {"next_token": str(found.next)}
    return {"notifications": found.shown, **next_token}


def _position(call: ClientCall) -> int | None:
    token = call.query_text("from", None)
    if token is None:
        return None
    if not (token.isascii() and token.isdecimal() and len(token) <= 18):
        raise InvalidParam("from is not a token that this server has given out")
    return int(token)
