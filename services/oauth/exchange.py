"""The token endpoint: codes and refresh tokens for tokens (RFC 6749 §4.1.3 and §6, RFC 8628 §3.4)."""

from __future__ import annotations

from collections.abc import Mapping

from protocol.ids import DeviceID, UserID
from protocol.matrix_error import MatrixError
from services.accounts.refresh import refresh
from services.accounts.revoke import delete_devices
from services.accounts.tokens import digest_of, family_of
from services.oauth import metadata
from services.oauth.clients import Client, find_client
from services.oauth.device_grant import by_device_code
from services.oauth.errors import OAuthError
from services.oauth.sessions import From, Grant, Granted, begin
from services.tenant import Tenant
from storage.oauth.codes import get_code, take_code
from storage.oauth.sessions import session_of_device, session_of_family, session_of_token

Fields = Mapping[str, str]


async def exchange(tenant: Tenant, fields: Fields, origin: From) -> Granted:
    """New tokens; raises OAuthError."""
    async with tenant.database.read() as tx:
        client = await find_client(tx, fields.get("client_id", ""))
    if client is None:
        raise OAuthError("invalid_client", "The client is not known here", 401)
    match fields.get("grant_type"):
        case metadata.CODE:
            return await _by_code(tenant, client, fields, origin)
        case metadata.REFRESH:
            return await _by_refresh_token(tenant, client, fields)
        case metadata.DEVICE_CODE:
            return await by_device_code(tenant, client, fields, origin)
        case _:
            grants = ", ".join(metadata.GRANTS)
            raise OAuthError("unsupported_grant_type", f"The grant_type must be one of {grants}")


async def _by_code(tenant: Tenant, client: Client, fields: Fields, origin: From) -> Granted:
    from services.oauth.judge import Facts, judge_code  # see there why here

    code_id = digest_of(fields.get("code", ""))
    async with tenant.database.read() as tx:
        code = await get_code(tx, code_id)
    if code is not None and not code.used:
        judge_code(Facts(fields, client, tenant.clock.now(), code=code))
        grant = Grant(UserID(code.user_id), DeviceID(code.device_id), code.scope)
        granted = await begin(tenant, client, grant, origin, lambda tx: take_code(tx, code_id))
        if granted is not None:
            return granted
    if code is not None:
        # «If an authorization code is used more than once, the authorization server ... SHOULD revoke ... all tokens
        # previously issued based on that authorization code.» (RFC 6749 §4.1.2)
        await _end(tenant, code.user_id, code.device_id, code.client_id)
    raise OAuthError("invalid_grant", "The code is unknown, expired or has been used")


async def _by_refresh_token(tenant: Tenant, client: Client, fields: Fields) -> Granted:
    from services.oauth.judge import Facts, judge_refresh  # see there why here

    secret = fields.get("refresh_token", "")
    async with tenant.database.read() as tx:
        session = await session_of_token(tx, digest_of(secret))
        stolen = None if session else await session_of_family(tx, digest_of(family_of(secret)))
    if stolen is not None:
        # One that was exchanged long ago: somebody else has it too, and nobody knows who is who (RFC 9700 §4.14.2).
        await _end(tenant, stolen.user_id, stolen.device_id, stolen.client_id)
    judge_refresh(Facts(fields, client, tenant.clock.now(), session=session))
    try:
        renewed = await refresh(tenant, secret)
    except MatrixError as error:
        raise OAuthError("invalid_grant", error.message) from None
    assert session is not None, "the judge refuses where there is none"
    return Granted(renewed, session.scope)


async def revoke(tenant: Tenant, fields: Fields) -> None:
    """Ends the session of an access or refresh token (RFC 7009); one that is not known is over already. Raises OAuthError.

    «The server MUST revoke both the access token and the refresh token associated with the token», and with them goes
    the device.
    """
    secret = fields.get("token")
    if secret is None:
        raise OAuthError("invalid_request", "The token is missing")
    async with tenant.database.read() as tx:
        session = await session_of_token(tx, digest_of(secret))
        session = session or await session_of_family(tx, digest_of(family_of(secret)))
    if session is None:
        return
    if fields.get("client_id", session.client_id) != session.client_id:
        raise OAuthError("invalid_client", "The token was given to another client", 401)
    await delete_devices(tenant, UserID(session.user_id), [session.device_id])


async def _end(tenant: Tenant, user_id: str, device_id: str, client_id: str) -> None:
    """The device is gone, if it is still this client's."""
    async with tenant.database.read() as tx:
        session = await session_of_device(tx, user_id, device_id)
    if session is not None and session.client_id == client_id:
        await delete_devices(tenant, UserID(user_id), [device_id])
