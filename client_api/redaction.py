"""Redactions (§Redactions)."""

from client_api import ClientCall
from services.rooms.redact import redact
from web.endpoint import MESSAGES, Auth, endpoint
from web.reply import Json


@endpoint("PUT", "/_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId}", auth=Auth.USER, limit=MESSAGES)
async def redact_event(call: ClientCall) -> Json:
    """The ID of the redaction."""
    reason = call.text("reason", None)
    event_id = await redact(
        call.tenant, call.requester, call.room_id(), call.event_id(), reason, call.txn_id()
    )
    return {"event_id": event_id}
