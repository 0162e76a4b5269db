"""Making an account (§Legacy API, «Account registration»)."""

from client_api import AnonymousCall
from client_api.interactive import operation_of
from client_api.session_reply import session_json, wish_of
from client_api.token_request import mail_token, refuse_phone
from protocol.ids import UserID
from protocol.matrix_error import Forbidden, InvalidParam, MissingToken, ThreepidMediumNotSupported
from services.accounts.begin import Wish, begin_session, check_device_id
from services.accounts.login import appservice_of
from services.accounts.register import (
    Registration,
    check_available,
    flows_of,
    register_for_appservice,
    register_guest,
    register_user,
)
from services.accounts.registration_tokens import is_valid
from services.accounts.uia_stages import Stage
from services.settings import RegistrationMode
from services.threepids.sessions import Purpose
from web.endpoint import GENERAL, REGISTRATION, Auth, endpoint
from web.reply import Json

APPSERVICE = "m.login.application_service"


@endpoint("POST", "/_matrix/client/v3/register", auth=Auth.NONE, limit=REGISTRATION)
async def register(call: AnonymousCall) -> Json:
    """The new user, logged in unless that is inhibited."""
    kind = call.query_text("kind", "user")
    if kind not in ("user", "guest"):
        raise InvalidParam("kind must be user or guest")
    wish, inhibit_login = wish_of(call), call.flag("inhibit_login", False)
    check_device_id(wish.device_id)
    if kind == "guest":
        # «A guest has no password and cannot log in again»; its device is always a new one.
        user_id, wish = await register_guest(call.tenant), Wish(display_name=wish.display_name)
    else:
        user_id = await _register(call)
    if inhibit_login:
        return {"user_id": user_id}
    return session_json(await begin_session(call.tenant, user_id, wish))


async def _register(call: AnonymousCall) -> UserID:
    username = call.text("username", None)
    if call.text("type", None) == APPSERVICE:
        token = call.access_token()
        if token is None:
            raise MissingToken
        return await register_for_appservice(call.tenant, appservice_of(call.tenant, token), username)
    wanted = Registration(username, call.text("password", None), call.text("guest_access_token", None))
    return await register_user(call.tenant, wanted, operation_of(call))


@endpoint("GET", "/_matrix/client/v3/register/available", auth=Auth.NONE, limit=GENERAL)
async def check_username_availability(call: AnonymousCall) -> Json:
    """Always true: a name that cannot be had is an error."""
    if call.tenant.settings.registration.mode is RegistrationMode.CLOSED:
        raise Forbidden("Registration is closed")
    await check_available(call.tenant, call.query_text("username"))
    return {"available": True}


@endpoint(
    "GET",
    "/_matrix/client/v1/register/m.login.registration_token/validity",
    auth=Auth.NONE,
    limit=REGISTRATION,
)
async def registration_token_validity(call: AnonymousCall) -> Json:
    """Whether somebody could register with the token now."""
    if call.tenant.settings.registration.mode is RegistrationMode.CLOSED:
        raise Forbidden("Registration is closed")
    return {"valid": await is_valid(call.tenant, call.query_text("token"))}


@endpoint("POST", "/_matrix/client/v3/register/email/requestToken", auth=Auth.NONE, limit=REGISTRATION)
async def request_token_to_register_email(call: AnonymousCall) -> Json:
    """A link is mailed to an address that an account is to be made with."""
    if not any(Stage.EMAIL in flow for flow in flows_of(call.tenant)):
        raise ThreepidMediumNotSupported("Accounts are made without an e-mail address here")
    return await mail_token(call, Purpose.REGISTER)


@endpoint("POST", "/_matrix/client/v3/register/msisdn/requestToken", auth=Auth.NONE, limit=REGISTRATION)
async def request_token_to_register_msisdn(call: AnonymousCall) -> Json:
    """This server works with no phone numbers."""
    return refuse_phone(call)
