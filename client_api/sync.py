"""Syncing (§Syncing)."""

from client_api import ClientCall
from client_api.filters_named import filter_named
from protocol.matrix_error import InvalidParam
from services.presence import PRESENCES
from services.sync.token import parse_token
from services.sync.v3 import SyncRequest
from services.sync.v3 import sync as sync_now
from web.endpoint import Auth, endpoint
from web.reply import Json

MAX_TIMEOUT = 5 * 60 * 1000  # milliseconds


@endpoint("GET", "/_matrix/client/v3/sync", auth=Auth.USER, guest=True)
async def sync(call: ClientCall) -> Json:
    """What is new for the user since the token."""
    since = call.query_text("since", "")
    presence = call.query_text("set_presence", "online")
    if presence not in PRESENCES:
        raise InvalidParam("set_presence must be one of " + ", ".join(PRESENCES))
    request = SyncRequest(
        since=parse_token(since) if since else None,
        filter=await filter_named(call, call.query_text("filter", "")),
        timeout=call.query_duration("timeout", 0, MAX_TIMEOUT),
        full_state=call.query_flag("full_state"),
        state_after=call.query_flag("use_state_after")
        or call.query_flag("org.matrix.msc4222.use_state_after"),
        presence=presence,
    )
    return await sync_now(call.tenant, call.requester, request, call.disconnected)
