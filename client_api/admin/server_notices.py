"""Telling users something in the server's name, at the path where administrators' tools look for it."""

from client_api import ClientCall
from protocol.build import EventDraft
from protocol.errors import InvalidId
from protocol.ids import EventID, parse_user_id
from protocol.matrix_error import Forbidden, InvalidParam
from services.server_notices import send_notice
from web.endpoint import Auth, endpoint
from web.reply import Json

_PATH = "/_synapse/admin/v1/send_server_notice"


@endpoint("POST", _PATH, auth=Auth.USER)
async def send_server_notice(call: ClientCall) -> Json:
    """The ID of the event in the user's room of server notices."""
    return {"event_id": await _told(call, None)}


@endpoint("PUT", _PATH + "/{txnId}", auth=Auth.USER)
async def send_server_notice_once(call: ClientCall) -> Json:
    """The same; asked again with this transaction ID, the same event."""
    return {"event_id": await _told(call, call.txn_id())}


async def _told(call: ClientCall, txn_id: str | None) -> EventID:
    if not call.requester.is_admin:
        raise Forbidden("You are not an administrator of this server")
    try:
        user_id = parse_user_id(call.text("user_id"))
    except InvalidId as error:
        raise InvalidParam(f"user_id: {error}") from None
    draft = EventDraft(
        call.text("type", "m.room.message"), call.object("content"), call.text("state_key", None)
    )
    return await send_notice(call.tenant, user_id, draft, txn_id)
