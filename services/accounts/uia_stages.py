"""The stages of user-interactive authentication that this server knows, and how each is passed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import Any

from protocol.ids import UserID
from protocol.matrix_error import BadJson, Forbidden, InvalidParam, LimitExceeded, MissingParam, Unrecognized
from services.accounts.login import by_password
from services.accounts.registration_tokens import is_valid
from services.tenant import Tenant

TERMS_VERSION = "1.0"


class Stage(StrEnum):
    """A step that a client can be asked for."""

    DUMMY = "m.login.dummy"
    PASSWORD = "m.login.password"
    REGISTRATION_TOKEN = "m.login.registration_token"
    TERMS = "m.login.terms"


class SomebodyElse(Forbidden):
    """Another user has shown who they are: the stage need not be tried again, the request is refused."""


async def check_stage(
    tenant: Tenant, user_id: UserID | None, stage: str, said: Mapping[str, Any], offered: Collection[str]
) -> Mapping[str, str]:
    """What the stage has shown, if it is passed; raises the error that the client is to see when it is not."""
    if stage not in offered:
        raise Unrecognized("This is not a stage of any flow")
    match Stage(stage):
        case Stage.PASSWORD:
            return {"user_id": await _password(tenant, user_id, said)}
        case Stage.REGISTRATION_TOKEN:
            return {"registration_token": await _registration_token(tenant, said)}
        case Stage.DUMMY | Stage.TERMS:
            return {}


def params_of(tenant: Tenant, flows: Iterable[Iterable[Stage]]) -> Mapping[str, Any]:
    """What a client needs to know for the stages."""
    if not any(Stage.TERMS in flow for flow in flows):
        return {}
    terms = tenant.settings.registration.terms
    policies = {
        name: {"version": TERMS_VERSION, "en": {"name": name, "url": url}} for name, url in terms.items()
    }
    return {Stage.TERMS.value: {"policies": policies}}


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
    named = user_id if user_id and not said.keys() & {"identifier", "user"} else name_of(said)
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


async def _registration_token(tenant: Tenant, said: Mapping[str, Any]) -> str:
    token = text_of(said, "token")
    if not await is_valid(tenant, token):
        raise Forbidden("The registration token is not valid")
    return token
