"""Receipts (§Receipts): up to where the user has read, told to others or kept private."""

from client_api import ClientCall
from services.receipts import receipt, set_receipts
from web.endpoint import EPHEMERAL, Auth, endpoint
from web.reply import Json

ALLOW_BACKWARD = "com.beeper.allow_backward"
"""MSC4446: the fully-read marker may go back."""


@endpoint(
    "POST",
    "/_matrix/client/v3/rooms/{roomId}/receipt/{receiptType}/{eventId}",
    auth=Auth.USER,
    limit=EPHEMERAL,
)
async def post_receipt(call: ClientCall) -> Json:
    """The user has read up to the event, in the whole room or in one thread."""
    wanted = receipt(call.path["receiptType"], call.event_id(), call.fields.json.get("thread_id"))
    backward = call.flag(ALLOW_BACKWARD, False)
    await set_receipts(call.tenant, call.requester, call.room_id(), [wanted], backward=backward)
    return {}
