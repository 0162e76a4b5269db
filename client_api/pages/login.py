"""Signing in with a password, and out again."""

from urllib.parse import quote

from client_api import AnonymousCall
from client_api.pages.render import see_other
from client_api.pages.visit import MAX_FORM, Visit, checked_onward, shown, sign_in, visit
from protocol.matrix_error import MatrixError
from services.accounts.login import by_password
from services.accounts.uia_stages import user_named
from services.mail.outbox import may_send
from services.oauth.browsers import forget
from services.oauth.urls import ROOT
from services.settings import MailKind, RegistrationMode
from services.tenant import Tenant
from web.endpoint import GENERAL, LOGIN, Auth, endpoint
from web.reply import Reply

MAX_NAME = 255


@endpoint("GET", f"{ROOT}/login", auth=Auth.NONE, limit=GENERAL)
@shown
async def show_login(call: AnonymousCall) -> Reply:
    """The page; who is signed in goes on at once, unless it is to be proved again."""
    seen = await visit(call)
    onward, again = checked_onward(call.query_text("next", None)), call.query_text("again", None) is not None
    if seen.browser is not None and not again:
        return see_other(onward)
    name = seen.browser.user_id if seen.browser else call.query_text("name", "")
    return _page(seen, onward, name, again=again)


@endpoint("POST", f"{ROOT}/login", auth=Auth.NONE, limit=LOGIN, max_body=MAX_FORM)
@shown
async def submit_login(call: AnonymousCall) -> Reply:
    """The user goes on; or sees the page again, with what was wrong."""
    seen = await visit(call)
    form = seen.form()
    name, onward = form.get("name", "").strip(), checked_onward(form.get("next"))
    try:
        meant = await _meant(call.tenant, name)
        user_id = await by_password(call.tenant, meant, form.get("password", ""))
    except MatrixError as error:
        return _page(seen, onward, name, error)
    return await sign_in(seen, user_id, onward)


@endpoint("POST", f"{ROOT}/logout", auth=Auth.NONE, limit=GENERAL, max_body=MAX_FORM)
@shown
async def submit_logout(call: AnonymousCall) -> Reply:
    """Nobody is signed in any more; somebody else may be next."""
    seen = await visit(call)
    onward = checked_onward(seen.form().get("next"))
    await forget(call.tenant, seen.secret)
    return see_other(f"login?next={quote(onward, safe='')}")


async def _meant(tenant: Tenant, name: str) -> str:
    """The user's name; an address is looked up, and nobody's is no name."""
    if name.startswith("@") or "@" not in name:
        return name
    identifier = {"type": "m.id.thirdparty", "medium": "email", "address": name}
    return await user_named(tenant, {"identifier": identifier})


def _page(
    seen: Visit, onward: str, name: str, wrong: MatrixError | None = None, *, again: bool = False
) -> Reply:
    return seen.page(
        "login",
        200 if wrong is None else wrong.status,
        onward=onward,
        name=name[:MAX_NAME],
        again=again,
        providers=[provider.face for provider in seen.tenant.settings.upstream.providers],
        may_register=seen.tenant.settings.registration.mode is not RegistrationMode.CLOSED,
        may_recover=may_send(seen.tenant, MailKind.VERIFICATION),
        message=None if wrong is None else wrong.message,
    )
