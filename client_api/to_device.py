"""Messages to devices (§Send-to-Device messaging)."""

from typing import Any

from client_api import ClientCall
from protocol.ids import parse_user_id
from protocol.matrix_error import BadJson
from services import to_device
from web.body import clean_text
from web.endpoint import KEYS, Auth, endpoint
from web.reply import Json

MAX_BODY = 4 * 1024 * 1024


@endpoint(
    "PUT",
    "/_matrix/client/v3/sendToDevice/{eventType}/{txnId}",
    auth=Auth.USER,
    guest=True,
    limit=KEYS,
    max_body=MAX_BODY,
)
async def send_to_device(call: ClientCall) -> Json:
    """The messages are delivered, or will be with the devices' next /sync."""
    asked = call.fields.object("messages")
    messages = {parse_user_id(user_id): _contents(user_id, devices) for user_id, devices in asked.items()}
    sending = to_device.Sending(call.path["eventType"], call.txn_id(), messages)
    await to_device.send_to_device(call.tenant, call.requester, sending)
    return {}


def _contents(name: str, value: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(value, dict) or not all(isinstance(content, dict) for content in value.values()):
        raise BadJson(f"{name} must map device IDs to contents")
    return {clean_text("A device ID", device_id): content for device_id, content in value.items()}
