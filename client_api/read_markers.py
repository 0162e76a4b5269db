"""Read markers (§Fully read markers): several receipts at once."""

from client_api import ClientCall
from client_api.receipts import ALLOW_BACKWARD
from protocol.ids import parse_event_id
from services.receipts import RECEIPT_TYPES, receipt, set_receipts
from web.endpoint import EPHEMERAL, Auth, endpoint
from web.reply import Json


@endpoint("POST", "/_matrix/client/v3/rooms/{roomId}/read_markers", auth=Auth.USER, limit=EPHEMERAL)
async def set_read_marker(call: ClientCall) -> Json:
    """Sets the fully-read marker and the receipts that are named."""
    named = [(receipt_type, call.text(receipt_type, None)) for receipt_type in RECEIPT_TYPES]
    wanted = [receipt(kind, parse_event_id(event_id)) for kind, event_id in named if event_id is not None]
    backward = call.flag(ALLOW_BACKWARD, False)
    await set_receipts(call.tenant, call.requester, call.room_id(), wanted, backward=backward)
    return {}
