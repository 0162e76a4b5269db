"""Logging in (§Legacy API, «Login»)."""

from typing import Any

from client_api import AnonymousCall, ClientCall
from client_api.interactive import operation_of
from client_api.registration import APPSERVICE
from client_api.session_reply import session_json, wish_of
from protocol.ids import UserID
from protocol.matrix_error import MissingToken, Unknown
from services.accounts.begin import begin_session, check_device_id
from services.accounts.login import appservice_of, by_appservice, by_password, by_token, make_login_token
from services.accounts.uia import PASSWORD, require_uia
from services.accounts.uia_stages import name_of, user_named
from services.upstream.settings import Face
from web.endpoint import GENERAL, LOGIN, Auth, endpoint
from web.reply import Json

FLOWS: list[dict[str, Any]] = [
    {"type": "m.login.password"},
    {"type": "m.login.token", "get_login_token": True},
    {"type": APPSERVICE},
]

# «oauth_aware_preferred: clients that know OAuth 2.0 should offer this one only» (v1.18): it leads to the same pages.
SSO: dict[str, Any] = {"type": "m.login.sso", "oauth_aware_preferred": True}


@endpoint("GET", "/_matrix/client/v3/login", auth=Auth.NONE, limit=GENERAL)
async def get_login_flows(call: AnonymousCall) -> Json:
    """The ways to log in."""
    settings = call.tenant.settings
    if not settings.oauth.enabled:
        return {"flows": FLOWS}
    providers = [_shown(provider.face) for provider in settings.upstream.providers]
    return {"flows": [*FLOWS, SSO | {"identity_providers": providers} if providers else SSO]}


def _shown(face: Face) -> dict[str, str]:
    told = {"id": face.id, "name": face.name, "icon": face.icon, "brand": face.brand}
    return {name: value for name, value in told.items() if value is not None}


@endpoint("POST", "/_matrix/client/v3/login", auth=Auth.NONE, limit=LOGIN)
async def login(call: AnonymousCall) -> Json:
    """A new session of whoever the request shows to be."""
    wish = wish_of(call)
    check_device_id(wish.device_id)
    return session_json(await begin_session(call.tenant, await _user_of(call), wish))


async def _user_of(call: AnonymousCall) -> UserID:
    match call.text("type"):
        case "m.login.password":
            name = await user_named(call.tenant, call.json_object())
            return await by_password(call.tenant, name, call.text("password"))
        case "m.login.token":
            return await by_token(call.tenant, call.text("token"))
        case "m.login.application_service":
            token = call.access_token()
            if token is None:
                raise MissingToken
            return await by_appservice(
                call.tenant, appservice_of(call.tenant, token), name_of(call.json_object())
            )
        case kind:
            raise Unknown(f"There is no login by {kind}")


@endpoint(
    "POST",
    "/_matrix/client/v1/login/get_token",
    auth=Auth.USER,
    limit=LOGIN,
    also=("/_matrix/client/unstable/org.matrix.msc3882/login/get_token",),
)
async def generate_login_token(call: ClientCall) -> Json:
    """A token for another client of the user, after the password was asked for again."""
    await require_uia(call.tenant, call.requester, operation_of(call), PASSWORD)
    return {
        "login_token": await make_login_token(call.tenant, call.requester.user_id),
        "expires_in_ms": call.tenant.settings.accounts.login_token_lifetime,
    }
