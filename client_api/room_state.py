"""Sending state events (§Sending events to a room)."""

from client_api import ClientCall
from client_api.delay import delay_of, scheduled
from client_api.room_send import timestamp
from protocol.build import EventDraft
from protocol.events import MEMBER
from services.rooms.membership.guests import send_state
from services.rooms.membership.restricted import AUTHORISED_VIA
from web.endpoint import MESSAGES, Auth, endpoint
from web.reply import Json

_STATE = "/_matrix/client/v3/rooms/{roomId}/state/{eventType}"


@endpoint(
    "PUT",
    _STATE + "/{stateKey}",
    auth=Auth.USER,
    guest=True,
    limit=MESSAGES,
    # «The trailing slash is optional, for a state key that is empty.»
    also=(_STATE, _STATE + "/"),
)
async def set_room_state_with_key(call: ClientCall) -> Json:
    """The ID of the event; that of the one which stands, if it says the same. Or that of its delay (MSC4140)."""
    event_type, content = call.path["eventType"], call.json_object()
    delay = delay_of(call)
    if delay is not None:
        return await scheduled(call, EventDraft(event_type, content, call.path.get("stateKey", "")), delay)
    if event_type == MEMBER:
        content.pop(AUTHORISED_VIA, None)  # who vouches for a join is for servers to say
    draft = EventDraft(event_type, content, call.path.get("stateKey", ""))
    event_id = await send_state(call.tenant, call.requester, call.room_id(), draft, timestamp(call))
    return {"event_id": event_id}
