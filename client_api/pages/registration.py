"""Making an account; where an e-mail address is demanded, a link is mailed first."""

from collections.abc import Mapping
from typing import Any

from client_api import AnonymousCall
from client_api.pages.visit import MAX_FORM, Visit, checked_onward, shown, sign_in, visit
from protocol.ids import UserID
from protocol.matrix_error import Forbidden, InvalidParam, MatrixError
from services.accounts.create import Shows, create_account
from services.accounts.passwords import check_strength
from services.accounts.register import check_available, flows_of
from services.accounts.uia_email import shown_of
from services.accounts.uia_stages import Stage, check_stage
from services.oauth.urls import ROOT
from services.tenant import Tenant
from services.threepids.sessions import Purpose, TokenRequest, request_token
from web.endpoint import GENERAL, REGISTRATION, Auth, endpoint
from web.reply import Reply

# A captcha would bring the scripts of others onto the page.
ON_THIS_PAGE = frozenset({Stage.DUMMY, Stage.TERMS, Stage.REGISTRATION_TOKEN, Stage.EMAIL})
MAILED = ("email", "sid", "client_secret")
SECRET_LENGTH = 32
PURPOSE = "/register"
"""How the stages of registering are told from those of a new password."""

Form = Mapping[str, str]


@endpoint("GET", f"{ROOT}/registration", auth=Auth.NONE, limit=GENERAL)
@shown
async def show_registration(call: AnonymousCall) -> Reply:
    """The page; raises Forbidden where nobody may register, or not here."""
    seen = await visit(call)
    return _page(seen, checked_onward(call.query_text("next", None)), {"name": call.query_text("name", "")})


@endpoint("POST", f"{ROOT}/registration_email", auth=Auth.NONE, limit=REGISTRATION, max_body=MAX_FORM)
@shown
async def submit_registration_email(call: AnonymousCall) -> Reply:
    """A link is on its way, and the page asks for the rest."""
    seen = await visit(call)
    form = seen.form()
    onward = checked_onward(form.get("next"))
    if Stage.EMAIL not in _flow(call.tenant):
        raise Forbidden("Accounts are made without an e-mail address here")
    email, secret = form.get("email", "").strip(), call.tenant.random.token(SECRET_LENGTH)
    try:
        sid = await request_token(call.tenant, Purpose.REGISTER, TokenRequest(email, secret, 1))
    except MatrixError as error:
        return _page(seen, onward, {}, error)
    return _page(seen, onward, {**form, "email": email, "sid": sid, "client_secret": secret})


@endpoint("POST", f"{ROOT}/registration", auth=Auth.NONE, limit=REGISTRATION, max_body=MAX_FORM)
@shown
async def submit_registration(call: AnonymousCall) -> Reply:
    """The new user goes on; or sees the page again, with what was wrong."""
    seen = await visit(call)
    form = seen.form()
    onward = checked_onward(form.get("next"))
    try:
        user_id = await _register(call.tenant, form)
    except MatrixError as error:
        return _page(seen, onward, form, error)
    return await sign_in(seen, user_id, onward)


async def _register(tenant: Tenant, form: Form) -> UserID:
    localpart, password = form.get("name", "").strip().lower(), form.get("password", "")
    await check_available(tenant, localpart)
    check_strength(tenant.settings.passwords, password)
    if password != form.get("again"):
        raise InvalidParam("The two passwords are not the same")
    facts = await _facts(tenant, form)
    shows = Shows(facts.get("registration_token"), shown_of(facts, tenant.clock.now()))
    return await create_account(tenant, localpart, password, shows=shows)


async def _facts(tenant: Tenant, form: Form) -> Mapping[str, str]:
    """What the stages of the flow have shown; raises what the first that is not passed raises."""
    flow, facts = _flow(tenant), dict[str, str]()
    credentials = {name: form.get(name, "") for name in ("sid", "client_secret")}
    said = {"token": form.get("token", ""), "threepid_creds": credentials}
    for stage in flow:
        if stage is Stage.TERMS and "agreed" not in form:
            raise InvalidParam("You must agree to the terms")
        facts |= await check_stage(tenant, None, stage, said, flow, PURPOSE)
    return facts


def _flow(tenant: Tenant) -> tuple[Stage, ...]:
    """What this page must ask for; raises Forbidden where registration asks for something that is not asked here."""
    for flow in flows_of(tenant):
        if set(flow) <= ON_THIS_PAGE:
            return flow
    raise Forbidden("Accounts cannot be made on this page")


def _page(seen: Visit, onward: str, form: Form, wrong: MatrixError | None = None) -> Reply:
    flow = _flow(seen.tenant)
    status, message = (200, None) if wrong is None else (wrong.status, wrong.message)
    mailed = {name: form[name] for name in MAILED if name in form}
    if Stage.EMAIL in flow and len(mailed) < len(MAILED):
        name = form.get("name", "")
        return seen.page("registration_email", status, onward=onward, name=name, message=message)
    said: dict[str, Any] = {
        "name": form.get("name", "").strip(),
        "mailed": mailed if Stage.EMAIL in flow else {},
        "terms": seen.tenant.settings.registration.terms if Stage.TERMS in flow else {},
        "wants_token": Stage.REGISTRATION_TOKEN in flow,
        "shortest": seen.tenant.settings.passwords.minimum_length,
    }
    return seen.page("registration", status, onward=onward, message=message, **said)
