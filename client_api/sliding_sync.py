"""Sliding sync (MSC4186), in the form that clients use, and in the one that the MSC was accepted with."""

from typing import Any

from client_api import ClientCall
from client_api.sync import MAX_TIMEOUT
from protocol.matrix_error import InvalidParam
from services.presence import PRESENCES
from services.sync.sliding.parse import parse_request
from services.sync.sliding.poll import sliding_sync
from web.endpoint import Auth, endpoint
from web.reply import Json


@endpoint("POST", "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync", auth=Auth.USER, guest=True)
async def simplified_sync(call: ClientCall) -> Json:
    """What is new on the connection; `pos`, `timeout` and `set_presence` are in the query."""
    return await _answer(
        call,
        call.json_object_or_empty(),
        call.query_text("pos", ""),
        call.query_duration("timeout", 0, MAX_TIMEOUT),
        call.query_text("set_presence", "online"),
        accepted=False,
    )


@endpoint("POST", "/_matrix/client/v4/sync", auth=Auth.USER, guest=True)
async def sync(call: ClientCall) -> Json:
    """What is new on the connection; everything is in the body."""
    return await _answer(
        call,
        call.json_object(),
        call.text("pos", ""),
        call.duration("timeout", 0, MAX_TIMEOUT),
        call.text("set_presence", "online"),
        accepted=True,
    )


async def _answer(
    call: ClientCall, body: dict[str, Any], pos: str, timeout: int, presence: str, accepted: bool
) -> Json:
    if presence not in PRESENCES:
        raise InvalidParam("set_presence must be one of " + ", ".join(PRESENCES))
    request = parse_request(
        body,
        call.requester.user_id,
        pos=pos or None,
        timeout=timeout,
        presence=presence,
        accepted=accepted,
    )
    return await sliding_sync(call.tenant, call.requester, request, call.disconnected)
