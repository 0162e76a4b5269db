"""Tokens for services outside that want to know who the user is (§OpenID)."""

from client_api import ClientCall
from services.accounts.openid import LIFETIME, make_openid_token
from services.settings import SECOND
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json


@endpoint("POST", "/_matrix/client/v3/user/{userId}/openid/request_token", auth=Auth.USER, limit=GENERAL)
async def request_open_id_token(call: ClientCall) -> Json:
    """A token, and where it can be exchanged for the user's ID."""
    requester = call.requester_named("userId")
    return {
        "access_token": await make_openid_token(call.tenant, requester.user_id),
        "token_type": "Bearer",
        "matrix_server_name": call.tenant.name,
        "expires_in": LIFETIME // SECOND,
    }
