"""A user lets an old client in, that has asked by m.login.sso: signed in as for all others, and asked before it goes on."""

from client_api import AnonymousCall
from client_api.pages.render import see_other, source_of
from client_api.pages.visit import MAX_FORM, here, shown, to_sign_in, visit
from protocol.matrix_error import InvalidParam
from services.oauth.legacy_sso import is_target, is_trusted, with_login_token
from services.oauth.urls import ROOT
from services.settings import RegistrationMode
from services.tenant import Tenant
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Reply


@endpoint("GET", f"{ROOT}/sso", auth=Auth.NONE, limit=GENERAL)
@shown
async def show_sso(call: AnonymousCall) -> Reply:
    """The question whether the address that asks may have the account."""
    seen = await visit(call)
    target = _target(call)
    if seen.browser is None:
        return _first_sign_in(call)
    if is_trusted(call.tenant, target):
        return see_other(await with_login_token(call.tenant, target, seen.browser.user_id))
    shown_as = target.partition("?")[0].partition("#")[0]
    return seen.page("sso", also_to=source_of(target), onward=here(call, "sso"), target=shown_as)


@endpoint("POST", f"{ROOT}/sso", auth=Auth.NONE, limit=GENERAL, max_body=MAX_FORM)
@shown
async def submit_sso(call: AnonymousCall) -> Reply:
    """The browser takes a token there; or the user has said no, and stays here."""
    seen = await visit(call)
    target = _target(call)
    if seen.browser is None:
        return to_sign_in(here(call, "sso"))
    if seen.form().get("answer") != "allow":
        return seen.page("done", title="Done", message="The application was not let in.")
    return see_other(await with_login_token(call.tenant, target, seen.browser.user_id))


def _first_sign_in(call: AnonymousCall) -> Reply:
    """To the provider that the client has named, or to the page where people choose."""
    onward, provider = here(call, "sso"), call.query_text("provider", None)
    if provider is not None:
        return to_sign_in(onward, "upstream", provider=provider)
    create = call.query_text("action", "login") == "register" and may_register(call.tenant)
    return to_sign_in(onward, "registration" if create else "login")


def may_register(tenant: Tenant) -> bool:
    """Is there a page for new people beside the providers, which make accounts by themselves?"""
    is_closed = tenant.settings.registration.mode is RegistrationMode.CLOSED
    return not (is_closed and tenant.settings.upstream.providers)


def _target(call: AnonymousCall) -> str:
    target = call.query_text("redirectUrl")
    if not is_target(target):
        raise InvalidParam("The application wants to go on at an address where no browser can be sent.")
    return target
