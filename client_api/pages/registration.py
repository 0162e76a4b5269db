"""Making an account."""

from typing import Any

from client_api import AnonymousCall
from client_api.pages.visit import MAX_FORM, Visit, checked_onward, shown, sign_in, visit
from protocol.ids import UserID
from protocol.matrix_error import Forbidden, InvalidParam, MatrixError
from services.accounts.create import create_account
from services.accounts.passwords import check_strength
from services.accounts.register import check_available, flows_of
from services.accounts.uia_stages import Stage, check_stage
from services.oauth.urls import ROOT
from services.tenant import Tenant
from web.endpoint import GENERAL, REGISTRATION, Auth, endpoint
from web.reply import Reply

ON_THIS_PAGE = frozenset({Stage.DUMMY, Stage.TERMS, Stage.REGISTRATION_TOKEN})


@endpoint("GET", f"{ROOT}/registration", auth=Auth.NONE, limit=GENERAL)
@shown
async def show_registration(call: AnonymousCall) -> Reply:
    """The page; raises Forbidden where nobody may register, or not here."""
    seen = await visit(call)
    return _page(seen, checked_onward(call.query_text("next", None)), call.query_text("name", ""))


@endpoint("POST", f"{ROOT}/registration", auth=Auth.NONE, limit=REGISTRATION, max_body=MAX_FORM)
@shown
async def submit_registration(call: AnonymousCall) -> Reply:
    """The new user goes on; or sees the page again, with what was wrong."""
    seen = await visit(call)
    form = seen.form()
    onward, name = checked_onward(form.get("next")), form.get("name", "").strip()
    try:
        user_id = await _register(call.tenant, name.lower(), form)
    except MatrixError as error:
        return _page(seen, onward, name, error)
    return await sign_in(seen, user_id, onward)


async def _register(tenant: Tenant, localpart: str, form: dict[str, str]) -> UserID:
    password = form.get("password", "")
    await check_available(tenant, localpart)
    check_strength(tenant.settings.passwords, password)
    if password != form.get("again"):
        raise InvalidParam("The two passwords are not the same")
    flow, shown_by = _flow(tenant), {}
    if Stage.TERMS in flow and "agreed" not in form:
        raise InvalidParam("You must agree to the terms")
    if Stage.REGISTRATION_TOKEN in flow:
        said = {"token": form.get("token", "")}
        shown_by = dict(await check_stage(tenant, None, Stage.REGISTRATION_TOKEN, said, flow))
    token = shown_by.get("registration_token")
    return await create_account(tenant, localpart, password, registration_token=token)


def _flow(tenant: Tenant) -> tuple[Stage, ...]:
    """What this page must ask for; raises Forbidden where registration asks for something that is not asked here."""
    for flow in flows_of(tenant):
        if set(flow) <= ON_THIS_PAGE:
            return flow
    raise Forbidden("Accounts cannot be made on this page")


def _page(seen: Visit, onward: str, name: str, wrong: MatrixError | None = None) -> Reply:
    flow = _flow(seen.tenant)
    said: dict[str, Any] = {
        "terms": seen.tenant.settings.registration.terms if Stage.TERMS in flow else {},
        "wants_token": Stage.REGISTRATION_TOKEN in flow,
        "shortest": seen.tenant.settings.passwords.minimum_length,
        "message": None if wrong is None else wrong.message,
    }
    status = 200 if wrong is None else wrong.status
    return seen.page("registration", status, onward=onward, name=name, **said)
