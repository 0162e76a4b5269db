"""Whose token is it (§Client Authentication, «Current account information»)."""

from client_api import ClientCall
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json


@endpoint("GET", "/_matrix/client/v3/account/whoami", auth=Auth.USER, limit=GENERAL, guest=True)
async def get_token_owner(call: ClientCall) -> Json:
    """The user, the device (application services may have none), and whether it is a guest."""
    requester = call.requester
    device = {} if requester.device_id is None else {"device_id": requester.device_id}
    return {"user_id": requester.user_id, **device, "is_guest": requester.is_guest}
