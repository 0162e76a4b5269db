"""Redactions (§Redactions)."""

from client_api import ClientCall
from protocol.matrix_error import InvalidParam
from services.rooms.redact import redact
from services.rooms.redact_related import redact_related
from web.endpoint import MESSAGES, Auth, endpoint
from web.reply import Json

MAX_RELATIONS = 50


@endpoint("PUT", "/_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId}", auth=Auth.USER, limit=MESSAGES)
async def redact_event(call: ClientCall) -> Json:
    """The ID of the redaction. What relates to the event by the types that are named goes with it, soon (MSC3912)."""
    reason, room_id, target = call.text("reason", None), call.room_id(), call.event_id()
    related = [*call.strings("with_rel_types", ()), *call.strings("org.matrix.msc3912.with_relations", ())]
    if len(related) > MAX_RELATIONS:
        raise InvalidParam(f"At most {MAX_RELATIONS} relation types")
    event_id = await redact(call.tenant, call.requester, room_id, target, reason, call.txn_id())
    if related:
        redact_related(call.tenant, call.requester, room_id, target, reason, related)
    return {"event_id": event_id}
