"""Making an account; where a captcha or an e-mail address is demanded, each has a page of its own first."""

from collections.abc import Mapping
from typing import Any

from client_api import AnonymousCall
from client_api.pages.visit import MAX_FORM, Visit, checked_onward, shown, sign_in, visit
from protocol.ids import UserID
from protocol.matrix_error import (
    CaptchaNeeded,
    Forbidden,
    InvalidParam,
    MatrixError,
    Translated,
    Unrecognized,
)
from services.accounts.create import Shows, create_account
from services.accounts.human import is_human, show_human, use_proof
from services.accounts.passwords import check_strength
from services.accounts.register import check_available, flows_of
from services.accounts.uia_email import shown_of
from services.accounts.uia_stages import Stage, check_stage
from services.oauth.urls import ROOT
from services.tenant import Tenant
from services.threepids.sessions import Purpose, TokenRequest, request_token
from web.endpoint import GENERAL, REGISTRATION, Auth, endpoint
from web.reply import Reply

HUMAN = "human"
"""The field with the proof that a captcha was solved: its scripts are others', and see no password of ours."""
MAILED = ("email", "sid", "client_secret")
SECRET_LENGTH = 32
PURPOSE = "/register"
"""How the stages of registering are told from those of a new password."""

Form = Mapping[str, str]


@endpoint("GET", f"{ROOT}/registration", auth=Auth.NONE, limit=GENERAL)
@shown
async def show_registration(call: AnonymousCall) -> Reply:
    """The page; raises Forbidden where nobody may register."""
    seen = await visit(call)
    return _page(seen, checked_onward(call.query_text("next", None)), {"name": call.query_text("name", "")})


@endpoint("POST", f"{ROOT}/registration_captcha", auth=Auth.NONE, limit=REGISTRATION, max_body=MAX_FORM)
@shown
async def submit_registration_captcha(call: AnonymousCall) -> Reply:
    """Somebody has shown not to be a machine, and is asked for the rest."""
    seen = await visit(call)
    form = seen.form()
    onward = checked_onward(form.get("next"))
    if Stage.CAPTCHA not in _flow(call.tenant):
        raise Forbidden("Accounts are made without a captcha here")
    asked = {"name": form.get("name", "")}
    try:
        proof = await show_human(call.tenant, {"response": "", **form})
    except MatrixError as error:
        return _page(seen, onward, asked, error)
    except Translated as error:
        return _page(seen, onward, asked, error.told)
    return _page(seen, onward, {**asked, HUMAN: proof})


@endpoint("POST", f"{ROOT}/registration_email", auth=Auth.NONE, limit=REGISTRATION, max_body=MAX_FORM)
@shown
async def submit_registration_email(call: AnonymousCall) -> Reply:
    """A link is on its way, and the page asks for the rest."""
    seen = await visit(call)
    form = await _still_true(call.tenant, seen.form())
    onward, flow = checked_onward(form.get("next")), _flow(call.tenant)
    if Stage.EMAIL not in flow:
        raise Forbidden("Accounts are made without an e-mail address here")
    email, secret = form.get("email", "").strip(), call.tenant.random.token(SECRET_LENGTH)
    try:
        _check_human(flow, form)
        sid = await request_token(call.tenant, Purpose.REGISTER, TokenRequest(email, secret, 1))
    except MatrixError as error:
        kept = {name: form[name] for name in ("name", HUMAN) if name in form}
        return _page(seen, onward, kept, error)
    return _page(seen, onward, {**form, "email": email, "sid": sid, "client_secret": secret})


@endpoint("POST", f"{ROOT}/registration", auth=Auth.NONE, limit=REGISTRATION, max_body=MAX_FORM)
@shown
async def submit_registration(call: AnonymousCall) -> Reply:
    """The new user goes on; or sees the page again, with what was wrong."""
    seen = await visit(call)
    form = await _still_true(call.tenant, seen.form())
    onward = checked_onward(form.get("next"))
    try:
        user_id = await _register(call.tenant, form)
    except MatrixError as error:
        return _page(seen, onward, await _still_true(call.tenant, form), error)
    return await sign_in(seen, user_id, onward)


async def _still_true(tenant: Tenant, form: Form) -> Form:
    """The form, without a proof that is none, is too old, or has been used: then the captcha is shown again."""
    if HUMAN not in form or await is_human(tenant, form[HUMAN]):
        return form
    return {name: value for name, value in form.items() if name != HUMAN}


def _check_human(flow: tuple[Stage, ...], form: Form) -> None:
    if Stage.CAPTCHA in flow and HUMAN not in form:
        raise CaptchaNeeded


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
    _check_human(flow, form)
    credentials = {name: form.get(name, "") for name in ("sid", "client_secret")}
    said = {"token": form.get("token", ""), "threepid_creds": credentials}
    for stage in flow:
        if stage is Stage.TERMS and "agreed" not in form:
            raise InvalidParam("You must agree to the terms")
        if stage is not Stage.CAPTCHA:
            facts |= await check_stage(tenant, None, stage, said, flow, PURPOSE)
    if Stage.CAPTCHA in flow:
        await use_proof(tenant, form[HUMAN])
    return facts


def _flow(tenant: Tenant) -> tuple[Stage, ...]:
    """What must be asked for: the flow that asks for least comes first. Raises Forbidden where nobody may register."""
    return flows_of(tenant)[0]


def _page(seen: Visit, onward: str, form: Form, wrong: MatrixError | None = None) -> Reply:
    """The next thing that is asked for."""
    flow = _flow(seen.tenant)
    status, message = (200, None) if wrong is None else (wrong.status, wrong.message)
    mailed = {name: form[name] for name in MAILED if name in form}
    said: dict[str, Any] = {"onward": onward, "message": message, "name": form.get("name", "").strip()}
    if Stage.CAPTCHA in flow and HUMAN not in form:
        captcha = seen.tenant.settings.registration.captcha
        if captcha is None:
            raise Unrecognized("There is no captcha here")
        return seen.page("registration_captcha", status, of_others=True, captcha=captcha, **said)
    said["kept"] = {HUMAN: form[HUMAN]} if HUMAN in form else {}
    if Stage.EMAIL in flow and len(mailed) < len(MAILED):
        return seen.page("registration_email", status, **said)
    said |= {
        "mailed": mailed if Stage.EMAIL in flow else {},
        "terms": seen.tenant.settings.registration.terms if Stage.TERMS in flow else {},
        "wants_token": Stage.REGISTRATION_TOKEN in flow,
        "shortest": seen.tenant.settings.passwords.minimum_length,
    }
    return seen.page("registration", status, **said)
