"""Another password (§Legacy API, «Password management»)."""

from client_api import AnyonesCall
from client_api.interactive import operation_of
from services.accounts.change_password import NewPassword
from services.accounts.change_password import change_password as change
from web.endpoint import LOGIN, Auth, endpoint
from web.reply import Json


@endpoint("POST", "/_matrix/client/v3/account/password", auth=Auth.OPTIONAL, limit=LOGIN)
async def change_password(call: AnyonesCall) -> Json:
    """Sets the password; other devices are logged out unless the request says otherwise."""
    new = NewPassword(call.text("new_password"), call.flag("logout_devices", True))
    await change(call.tenant, call.requester, new, operation_of(call))
    return {}
