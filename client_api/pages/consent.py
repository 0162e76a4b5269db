"""The authorisation endpoint: a user lets an application in (RFC 6749 §4.1)."""

from client_api import AnonymousCall
from client_api.pages.render import see_other, source_of
from client_api.pages.visit import MAX_FORM, here, shown, to_sign_in, visit
from services.oauth.authorize import Asked, check_asked, grant, what_is_asked
from services.oauth.errors import OAuthError
from services.oauth.urls import ROOT
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Reply

HINT = "mxid:"


@endpoint("GET", f"{ROOT}/authorize", auth=Auth.NONE, limit=GENERAL)
@shown
async def show_consent(call: AnonymousCall) -> Reply:
    """The question; who is not signed in signs in, or makes an account, first."""
    seen = await visit(call)
    asked = await what_is_asked(call.tenant, call.query)
    try:
        scope = check_asked(call.tenant, asked, call.query)
    except OAuthError as error:
        return see_other(asked.refusal(error))
    onward = here(call, "authorize")
    if seen.browser is None:
        create = "create" in asked.fields.get("prompt", "").split()
        return to_sign_in(onward, "registration" if create else "login", **_hint(asked))
    return seen.page(
        "consent",
        also_to=source_of(asked.redirect_uri),
        onward=onward,
        client=asked.client,
        device_id=scope.device_id,
        user_code=None,
    )


@endpoint("POST", f"{ROOT}/authorize", auth=Auth.NONE, limit=GENERAL, max_body=MAX_FORM)
@shown
async def submit_consent(call: AnonymousCall) -> Reply:
    """The browser takes the answer to the application."""
    seen = await visit(call)
    asked = await what_is_asked(call.tenant, call.query)
    if seen.browser is None:
        return to_sign_in(here(call, "authorize"))
    form = seen.form()
    try:
        scope = check_asked(call.tenant, asked, call.query)
        if form.get("answer") != "allow":
            raise OAuthError("access_denied", "The user has said no")
    except OAuthError as error:
        return see_other(asked.refusal(error))
    return see_other(await grant(call.tenant, asked, scope, seen.browser.user_id))


def _hint(asked: Asked) -> dict[str, str]:
    """«login_hint»: a user ID behind `mxid:` (MSC4198), or a name."""
    hint = asked.fields.get("login_hint", "").removeprefix(HINT)
    return {"name": hint} if hint else {}
