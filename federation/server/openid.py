"""Who a user is, for whoever was shown an OpenID token (§OpenID)."""

from __future__ import annotations

from federation import AnonymousCall
from protocol.matrix_error import UnknownToken
from services.accounts.openid import user_of_openid_token
from web.endpoint import Auth, endpoint
from web.reply import Json


@endpoint("GET", "/_matrix/federation/v1/openid/userinfo", auth=Auth.NONE)
async def exchange_open_id_token(call: AnonymousCall) -> Json:
    """The user who made the token."""
    user_id = await user_of_openid_token(call.tenant, call.query_text("access_token"))
    if user_id is None:
        raise UnknownToken("The token is unknown or has expired")
    return {"sub": user_id}
