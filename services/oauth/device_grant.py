"""The device authorisation grant (RFC 8628): one device waits while a person says yes on another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from protocol.ids import DeviceID, UserID
from protocol.matrix_error import Forbidden
from services.accounts.tokens import digest_of, new_token
from services.oauth.clients import Client, find_client
from services.oauth.errors import OAuthError
from services.oauth.metadata import DEVICE_CODE
from services.oauth.scope import parse_scope
from services.oauth.sessions import From, Grant, Granted, begin
from services.settings import MINUTE, SECOND
from services.tenant import Tenant
from storage.devices import get_device
from storage.oauth.device_codes import (
    DeviceCode,
    answer,
    get_by_user_code,
    insert_device_code,
    lock_device_code,
    polled,
    take_device_code,
)

LIFETIME = 20 * MINUTE
PACE = 5 * SECOND
SLOWER = 5 * SECOND
PREFIX = "htd_"
# Without vowels there are no words, and without digits nothing that looks like a letter (RFC 8628 §6.1).
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
USER_CODE_LENGTH = 8

Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Begun:
    """What the waiting device shows, and what it polls with."""

    device_code: str
    user_code: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A device that waits for an answer."""

    code: DeviceCode
    client: Client


async def begin_device_grant(tenant: Tenant, fields: Fields) -> Begun:
    """Codes for a device; raises OAuthError."""
    async with tenant.database.read() as tx:
        client = await find_client(tx, fields.get("client_id", ""))
    if client is None:
        raise OAuthError("invalid_client", "The client is not known here", 401)
    if not client.has_grant(DEVICE_CODE):
        raise OAuthError("unauthorized_client", "The client has not registered for this grant")
    scope = parse_scope(fields.get("scope", ""))
    now = tenant.clock.now()
    device_code = new_token(tenant.random, PREFIX)
    while True:
        user_code = "".join(tenant.random.choice(LETTERS) for _ in range(USER_CODE_LENGTH))
        of = (client.client_id, scope.device_id, scope.text)
        # The first question comes when it likes.
        code = DeviceCode(device_code.digest, user_code, *of, now + LIFETIME, PACE, now - PACE)
        async with tenant.database.read() as tx:
            if await insert_device_code(tx, code):
                return Begun(device_code.secret, f"{user_code[:4]}-{user_code[4:]}")


async def by_device_code(tenant: Tenant, client: Client, fields: Fields, origin: From) -> Granted:
    """Tokens, once the user has said yes; raises OAuthError, authorization_pending first of all."""
    from services.oauth.judge import Facts, judge_device_code  # see there why here

    code_id, now = digest_of(fields.get("device_code", "")), tenant.clock.now()
    async with tenant.database.transaction() as tx:
        code = await lock_device_code(tx, code_id)
        if code is None:
            raise OAuthError("invalid_grant", "The device_code is unknown")
        too_soon = now < code.polled + code.pace
        await polled(tx, code_id, now, code.pace + SLOWER if too_soon else code.pace)
    judge_device_code(Facts(fields, client, now, device_code=code))
    grant = Grant(UserID(code.user_id or ""), DeviceID(code.device_id), code.scope)
    granted = await begin(tenant, client, grant, origin, lambda tx: take_device_code(tx, code_id))
    if granted is None:
        raise OAuthError("invalid_grant", "The device_code has been used")
    return granted


async def find_waiting(tenant: Tenant, typed: str) -> Waiting | None:
    """The device whose code a person has typed, however they write it."""
    user_code = "".join(letter for letter in typed.upper() if letter in LETTERS)
    async with tenant.database.read() as tx:
        code = await get_by_user_code(tx, user_code, tenant.clock.now())
        client = None if code is None else await find_client(tx, code.client_id)
    return None if code is None or client is None else Waiting(code, client)


async def answer_device(tenant: Tenant, waiting: Waiting, user_id: UserID, *, allowed: bool) -> None:
    """Tells the device; raises Forbidden when it was answered before, or bears the ID of another device of the user.

    Who sends others a code to type could otherwise become one of their devices.
    """
    async with tenant.database.read() as tx:
        if allowed and await get_device(tx, user_id, waiting.code.device_id) is not None:
            raise Forbidden("You have a device of this name already. Begin again on the new device.")
        if not await answer(tx, waiting.code.code_id, user_id, denied=not allowed):
            raise Forbidden("This code has been used already.")
