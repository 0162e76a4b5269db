"""Sessions of OAuth clients: a device and its tokens, as a login makes them, and what they were granted by."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from protocol.ids import DeviceID, UserID
from protocol.matrix_error import Forbidden
from services.accounts.begin import MAX_DISPLAY_NAME, Session, issue_tokens, take_over
from services.accounts.tokens import digest_of, new_family
from services.oauth.clients import Client
from services.oauth.errors import OAuthError
from services.tenant import Tenant
from storage.accounts import get_account
from storage.database import Tx
from storage.devices import Seen, insert_device
from storage.oauth.clients import client_used
from storage.oauth.sessions import OAuthSession, insert_session


@dataclass(frozen=True, slots=True)
class Grant:
    """What a user has agreed to."""

    user_id: UserID
    device_id: DeviceID
    scope: str


@dataclass(frozen=True, slots=True)
class Granted:
    """What a client gets for it."""

    session: Session
    scope: str


@dataclass(frozen=True, slots=True)
class From:
    """Where a client asks from."""

    address: str = ""
    user_agent: str = ""


async def begin(
    tenant: Tenant, client: Client, grant: Grant, origin: From, take: Callable[[Tx], Awaitable[bool]]
) -> Granted | None:
    """Tokens for the device; None when `take`, which uses up what was granted in the same transaction, says it was used.

    Raises OAuthError when the user may not log in any more.
    """
    await _check_account(tenant, grant.user_id)
    try:
        await take_over(tenant, grant.user_id, grant.device_id)
    except Forbidden as error:
        raise OAuthError("invalid_grant", error.message) from None
    family = new_family(tenant.random)
    async with tenant.database.transaction() as tx:
        if not await take(tx):
            return None
        seen = Seen(tenant.clock.now(), origin.address, origin.user_agent)
        await insert_device(tx, grant.user_id, grant.device_id, client.name[:MAX_DISPLAY_NAME], seen)
        of = OAuthSession(grant.user_id, grant.device_id, client.client_id, grant.scope)
        await insert_session(tx, of, digest_of(family))
        await client_used(tx, client.client_id, seen.at)
        issued = await issue_tokens(
            tenant, tx, grant.user_id, grant.device_id, refreshable=True, family=family
        )
    return Granted(issued.session, grant.scope)


async def _check_account(tenant: Tenant, user_id: UserID) -> None:
    async with tenant.database.read() as tx:
        account = await get_account(tx, user_id)
    if account is None or account.deactivated or account.locked:
        raise OAuthError("invalid_grant", "The user may not log in any more")
