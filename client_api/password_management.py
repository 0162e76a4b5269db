"""Another password (§Legacy API, «Password management»)."""

from client_api import AnonymousCall, AnyonesCall
from client_api.interactive import operation_of
from client_api.token_request import mail_token, refuse_phone
from services.accounts.change_password import NewPassword
from services.accounts.change_password import change_password as change
from services.threepids.sessions import Purpose
from web.endpoint import LOGIN, Auth, endpoint
from web.reply import Json


@endpoint("POST", "/_matrix/client/v3/account/password", auth=Auth.OPTIONAL, limit=LOGIN)
async def change_password(call: AnyonesCall) -> Json:
    """Sets the password; other devices are logged out unless the request says otherwise."""
    new = NewPassword(call.text("new_password"), call.flag("logout_devices", True))
    await change(call.tenant, call.requester, new, operation_of(call))
    return {}


@endpoint("POST", "/_matrix/client/v3/account/password/email/requestToken", auth=Auth.NONE, limit=LOGIN)
async def request_token_to_reset_password_email(call: AnonymousCall) -> Json:
    """A link is mailed to an address whose account is to have another password."""
    return await mail_token(call, Purpose.PASSWORD)


@endpoint("POST", "/_matrix/client/v3/account/password/msisdn/requestToken", auth=Auth.NONE, limit=LOGIN)
async def request_token_to_reset_password_msisdn(call: AnonymousCall) -> Json:
    """This server works with no phone numbers."""
    return refuse_phone(call)
