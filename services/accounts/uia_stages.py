"""The stages of user-interactive authentication that this server knows, and how each is passed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import Any

from protocol.ids import UserID
from protocol.matrix_error import BadJson, Forbidden, InvalidParam, LimitExceeded, MissingParam, Unrecognized
from services.accounts.captcha import check_captcha
from services.accounts.login import by_password
from services.accounts.registration_tokens import is_valid
from services.accounts.uia_email import shown_by_email
from services.tenant import Tenant
from services.threepids.lookup import user_with

TERMS_VERSION = "1.0"


class Stage(StrEnum):
    """A step that a client can be asked for."""

    CAPTCHA = "m.login.recaptcha"
    DUMMY = "m.login.dummy"
    EMAIL = "m.login.email.identity"
    PASSWORD = "m.login.password"
    REGISTRATION_TOKEN = "m.login.registration_token"
    SSO = "m.login.sso"
    TERMS = "m.login.terms"


class SomebodyElse(Forbidden):
    """Another user has shown who they are: the stage need not be tried again, the request is refused."""


async def check_stage(
    tenant: Tenant,
    user_id: UserID | None,
    stage: str,
    said: Mapping[str, Any],
    offered: Collection[str],
    path: str = "",
) -> Mapping[str, str]:
    """What the stage has shown, if it is passed; `path` is that of the operation it is passed for.

    Raises the error that the client is to see when it is not passed.
    """
    if stage not in offered:
        raise Unrecognized("This is not a stage of any flow")
    match Stage(stage):
        case Stage.PASSWORD:
            return {"user_id": await _password(tenant, user_id, said)}
        case Stage.REGISTRATION_TOKEN:
            return {"registration_token": await _registration_token(tenant, said)}
        case Stage.CAPTCHA:
            return await _captcha(tenant, said)
        case Stage.EMAIL:
            return await shown_by_email(tenant, path, said)
        case Stage.SSO:
            raise Forbidden("This stage is passed in a browser")
        case Stage.DUMMY | Stage.TERMS:
            return {}


def params_of(tenant: Tenant, flows: Iterable[Iterable[Stage]]) -> Mapping[str, Any]:
    """What a client needs to know for the stages."""
    stages = {stage for flow in flows for stage in flow}
    registration = tenant.settings.registration
    params: dict[str, Any] = {}
    if Stage.TERMS in stages:
        terms = registration.terms.items()
        policies = {name: {"version": TERMS_VERSION, "en": {"name": name, "url": url}} for name, url in terms}
        params[Stage.TERMS.value] = {"policies": policies}
    if Stage.CAPTCHA in stages and registration.captcha is not None:
        params[Stage.CAPTCHA.value] = {"public_key": registration.captcha.site_key}
    return params


async def user_named(tenant: Tenant, said: Mapping[str, Any]) -> str:
    """As `name_of`, and by an address that is the user's; no name at all, when it is nobody's."""
    identifier = said.get("identifier")
    if isinstance(identifier, dict) and identifier.get("type") == "m.id.thirdparty":
        of = (text_of(identifier, "medium"), text_of(identifier, "address"))
    elif identifier is None and "user" not in said and "medium" in said:  # as it was before r0.4
        of = (text_of(said, "medium"), text_of(said, "address"))
    else:
        return name_of(said)
    return await user_with(tenant, *of) or ""


def name_of(said: Mapping[str, Any]) -> str:
    """The user that a client names: `identifier`, or `user` as it was before; raises what is wrong with it."""
    identifier = said.get("identifier")
    if identifier is None:
        return text_of(said, "user")
    if not isinstance(identifier, dict):
        raise BadJson("identifier must be an object")
    kind = text_of(identifier, "type")
    if kind != "m.id.user":
        raise InvalidParam(f"Users are not known here by {kind}")
    return text_of(identifier, "user")


def text_of(said: Mapping[str, Any], name: str) -> str:
    """A string of a JSON object; raises MissingParam, BadJson or InvalidParam."""
    value = said.get(name)
    if value is None:
        raise MissingParam(f"{name} is missing")
    if not isinstance(value, str):
        raise BadJson(f"{name} must be a string")
    if "\0" in value:
        raise InvalidParam(f"{name} contains a NUL character")
    return value


async def _password(tenant: Tenant, user_id: UserID | None, said: Mapping[str, Any]) -> UserID:
    if user_id is not None:
        await _hold_back(tenant, user_id)
    is_named = bool(said.keys() & {"identifier", "user", "medium"})
    named = user_id if user_id is not None and not is_named else await user_named(tenant, said)
    found = await by_password(tenant, named, text_of(said, "password"))
    if user_id is not None and found != user_id:
        raise SomebodyElse("This is the password of somebody else")
    return found


async def _hold_back(tenant: Tenant, user_id: UserID) -> None:
    """Whoever has found a session open cannot try passwords at will; other callers are held back by their address."""
    limits = tenant.settings.rate_limits
    if limits.enabled:
        limit = limits.limit("login")
        key = f"password:{user_id}"
        wait = await tenant.limits.take(key, limit.per_second, limit.burst, tenant.clock.now())
        if wait > 0:
            raise LimitExceeded(wait)


async def _captcha(tenant: Tenant, said: Mapping[str, Any]) -> Mapping[str, str]:
    captcha = tenant.settings.registration.captcha
    if captcha is None:
        raise Unrecognized("There is no captcha here")
    # In a browser the provider's script has filled in a field of its own.
    await check_captcha(
        tenant, captcha, text_of(said, captcha.field if captcha.field in said else "response")
    )
    return {}


async def _registration_token(tenant: Tenant, said: Mapping[str, Any]) -> str:
    token = text_of(said, "token")
    if not await is_valid(tenant, token):
        raise Forbidden("The registration token is not valid")
    return token
