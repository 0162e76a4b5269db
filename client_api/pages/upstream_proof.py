"""Interactive authentication for users without a password: the page that m.login.sso's fallback leads to."""

from typing import Any

from client_api import AnonymousCall
from client_api.pages.upstream import to_provider
from client_api.pages.visit import MAX_FORM, Visit, shown, visit
from protocol.ids import UserID
from protocol.matrix_error import Forbidden, InvalidParam
from services.accounts.uia import UiaSession, find_session, path_of, user_of
from services.oauth.urls import ROOT
from services.upstream.proof import providers_of
from web.endpoint import GENERAL, LOGIN, Auth, endpoint
from web.reply import Reply

_WHAT = {
    "/delete_devices": "log out devices",
    "/keys/device_signing/upload": "replace the keys by which others know you",
    "/account/deactivate": "deactivate the account for ever",
    "/account/password": "set another password",
    "/account/3pid/add": "add an address to the account",
    "/login/get_token": "let another device in",
}


@endpoint("GET", f"{ROOT}/upstream_proof", auth=Auth.NONE, limit=GENERAL)
@shown
async def show_upstream_proof(call: AnonymousCall) -> Reply:
    """Says what an application wants to do, and asks whether that is so: whoever has stolen a token could have begun it."""
    seen = await visit(call)
    session, user_id = await _session(call, call.query_text("session"))
    providers = [provider.face for provider in await providers_of(call.tenant, user_id)]
    said: dict[str, Any] = {
        "session": session.session,
        "whose": user_id,
        "what": _what(session),
        "providers": providers,
    }
    return seen.page("upstream_proof", also_to="https: http:", **said)


@endpoint("POST", f"{ROOT}/upstream_proof", auth=Auth.NONE, limit=LOGIN, max_body=MAX_FORM)
@shown
async def submit_upstream_proof(call: AnonymousCall) -> Reply:
    """Off to the provider, which is to ask who it is."""
    seen: Visit = await visit(call)
    form = seen.form()
    session, user_id = await _session(call, form.get("session", ""))
    for provider in await providers_of(call.tenant, user_id):
        if provider.face.id == form.get("provider"):
            return await to_provider(seen, provider, "account", uia=session.session, again=True)
    raise Forbidden("This provider does not know you")


async def _session(call: AnonymousCall, name: str) -> tuple[UiaSession, UserID]:
    session = await find_session(call.tenant, name)
    user_id = None if session is None else user_of(session)
    if session is None or user_id is None:
        raise InvalidParam("The session is unknown or has expired")
    return session, user_id


def _what(session: UiaSession) -> str:
    path = path_of(session)
    if session.purpose.split(" ")[1:2] == ["DELETE"] and "/devices/" in path:
        return "log out a device"
    return next((words for end, words in _WHAT.items() if path.endswith(end)), "change the account")
