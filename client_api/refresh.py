"""New tokens for a session (§Legacy API, «Refreshing access tokens»)."""

from client_api import AnonymousCall
from client_api.session_reply import tokens_json
from services.accounts.refresh import refresh as new_tokens
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json


@endpoint("POST", "/_matrix/client/v3/refresh", auth=Auth.NONE, limit=GENERAL)
async def refresh(call: AnonymousCall) -> Json:
    """A new access token and a new refresh token."""
    return tokens_json(await new_tokens(call.tenant, call.text("refresh_token")))
