"""Logging in through the browser, for clients from before OAuth (§Legacy API, «SSO client login»)."""

from urllib.parse import urlencode

from client_api import AnonymousCall
from client_api.oauth_server_metadata import check_enabled
from protocol.matrix_error import InvalidParam
from services.oauth.legacy_sso import is_target
from services.oauth.urls import page
from services.upstream.journey import provider_named
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Reply, redirect


@endpoint("GET", "/_matrix/client/v3/login/sso/redirect", auth=Auth.NONE, limit=GENERAL)
async def redirect_to_sso(call: AnonymousCall) -> Reply:
    """To our own pages, where whoever can log in can: old clients and new ones meet the same."""
    return _to_page(call, None)


@endpoint("GET", "/_matrix/client/v3/login/sso/redirect/{idpId}", auth=Auth.NONE, limit=GENERAL)
async def redirect_to_id_p(call: AnonymousCall) -> Reply:
    """The same, and at once on to the identity provider; raises NotFound where there is none of this ID."""
    return _to_page(call, provider_named(call.tenant, call.path["idpId"]).face.id)


def _to_page(call: AnonymousCall, provider: str | None) -> Reply:
    check_enabled(call.tenant)
    target = call.query_text("redirectUrl")
    if not is_target(target):
        raise InvalidParam("redirectUrl must be a URI to which a browser can be sent")
    action = "register" if call.query_text("action", "login") == "register" else "login"
    query = {"redirectUrl": target, "action": action} | ({} if provider is None else {"provider": provider})
    return redirect(f"{page(call.tenant, 'sso')}?{urlencode(query)}")
