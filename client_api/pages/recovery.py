"""A new password for who has forgotten theirs: a link is mailed, then the password is set."""

from collections.abc import Mapping

from client_api import AnonymousCall
from client_api.pages.visit import MAX_FORM, Visit, checked_onward, shown, sign_in, visit
from protocol.matrix_error import InvalidParam, MatrixError
from services.oauth.recovery import ShownBy, recover
from services.oauth.urls import ROOT
from services.threepids.sessions import Purpose, TokenRequest, request_token
from web.endpoint import GENERAL, LOGIN, Auth, endpoint
from web.reply import Reply

SECRET_LENGTH = 32
SHOWN_BY = ("email", "sid", "client_secret")


@endpoint("GET", f"{ROOT}/recovery", auth=Auth.NONE, limit=GENERAL)
@shown
async def show_recovery(call: AnonymousCall) -> Reply:
    """Asks for an address of the account."""
    seen = await visit(call)
    return seen.page("recovery", onward=checked_onward(call.query_text("next", None)), message=None)


@endpoint("POST", f"{ROOT}/recovery", auth=Auth.NONE, limit=LOGIN, max_body=MAX_FORM)
@shown
async def submit_recovery(call: AnonymousCall) -> Reply:
    """A link is on its way, if the address is anybody's; the page waits for the new password."""
    seen = await visit(call)
    form = seen.form()
    onward, email = checked_onward(form.get("next")), form.get("email", "").strip()
    secret = call.tenant.random.token(SECRET_LENGTH)
    try:
        sid = await request_token(call.tenant, Purpose.PASSWORD, TokenRequest(email, secret, 1))
    except MatrixError as error:
        return seen.page("recovery", error.status, onward=onward, message=error.message)
    return _second_page(seen, onward, {"email": email, "sid": sid, "client_secret": secret})


@endpoint("POST", f"{ROOT}/recovery_password", auth=Auth.NONE, limit=LOGIN, max_body=MAX_FORM)
@shown
async def submit_recovery_password(call: AnonymousCall) -> Reply:
    """The password is the new one, and the user goes on."""
    seen = await visit(call)
    form = seen.form()
    onward = checked_onward(form.get("next"))
    shown_by = ShownBy(form.get("sid", ""), form.get("client_secret", ""))
    try:
        if form.get("new") != form.get("again"):
            raise InvalidParam("The two new passwords are not the same")
        user_id = await recover(
            call.tenant, shown_by, form.get("new", ""), logout_devices="logout_devices" in form
        )
    except MatrixError as error:
        said = {name: form.get(name, "") for name in SHOWN_BY}
        return _second_page(seen, onward, said, error)
    return await sign_in(seen, user_id, onward)


def _second_page(
    seen: Visit, onward: str, said: Mapping[str, str], wrong: MatrixError | None = None
) -> Reply:
    status, message = (200, None) if wrong is None else (wrong.status, wrong.message)
    shortest = seen.tenant.settings.passwords.minimum_length
    return seen.page(
        "recovery_password", status, onward=onward, said=said, shortest=shortest, message=message
    )
