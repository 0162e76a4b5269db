"""Sending messages (§Sending events to a room)."""

from client_api import ClientCall
from client_api.delay import delay_of, scheduled
from protocol.build import EventDraft
from services.rooms.send import send_event
from web.endpoint import MESSAGES, Auth, endpoint
from web.reply import Json


@endpoint(
    "PUT",
    "/_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}",
    auth=Auth.USER,
    guest=True,
    limit=MESSAGES,
)
async def send_message(call: ClientCall) -> Json:
    """The ID of the event, or of its delay (MSC4140); the same again for the same transaction ID."""
    delay = delay_of(call)
    if delay is not None:
        draft = EventDraft(call.path["eventType"], call.json_object_or_empty())
        return await scheduled(call, draft, delay, call.txn_id())
    draft = EventDraft(call.path["eventType"], call.json_object())
    at = timestamp(call)
    event_id = await send_event(call.tenant, call.requester, call.room_id(), draft, call.txn_id(), at)
    return {"event_id": event_id}


def timestamp(call: ClientCall) -> int | None:
    """The time that an application service gives its event (§Timestamp massaging); others have no say in it."""
    if call.requester.appservice is None or call.query_text("ts", None) is None:
        return None
    return call.query_integer("ts", 0, minimum=0, maximum=2**53 - 1)
