"""Ending sessions (§Legacy API, «Logout»)."""

from client_api import ClientCall
from protocol.matrix_error import Forbidden
from services.accounts.revoke import delete_all_devices, delete_devices
from web.endpoint import Auth, Body, endpoint
from web.reply import Json


@endpoint("POST", "/_matrix/client/v3/logout", auth=Auth.USER, body=Body.STREAM)
async def logout(call: ClientCall) -> Json:
    """The device is gone, with all that belongs to it. A body is not looked at."""
    if call.requester.device_id is None:
        raise Forbidden("This token does not belong to a device")
    await delete_devices(call.tenant, call.requester.user_id, [call.requester.device_id])
    return {}


@endpoint("POST", "/_matrix/client/v3/logout/all", auth=Auth.USER, body=Body.STREAM)
async def logout_all(call: ClientCall) -> Json:
    """All devices of the user are gone."""
    await delete_all_devices(call.tenant, call.requester.user_id)
    return {}
