"""New tokens for old ones (§Legacy API, «Refreshing access tokens»)."""

from __future__ import annotations

from protocol.ids import DeviceID, UserID
from protocol.matrix_error import UnknownToken, UserLocked
from services.accounts.begin import Session, issue_tokens
from services.accounts.tokens import digest_of, family_of
from services.settings import DAY
from services.tenant import Tenant
from storage.sessions import RefreshToken, lock_refresh_token, succeed, supersede


async def refresh(tenant: Tenant, secret: str) -> Session:
    """New tokens for the device; raises UnknownToken or UserLocked.

    «The old refresh token remains valid until the new access token or refresh token is used»: a client that has not
    got the answer asks again with the old one, and what it did not get is forgotten.
    """
    now = tenant.clock.now()
    async with tenant.database.transaction() as tx:
        old = await lock_refresh_token(tx, digest_of(secret))
        if old is None:
            raise UnknownToken("The refresh token is unknown, or has been used")
        _check(old, now)
        await supersede(tx, old.user_id, old.device_id, old.token_id)
        of = (UserID(old.user_id), DeviceID(old.device_id))
        issued = await issue_tokens(tenant, tx, *of, refreshable=True, family=family_of(secret))
        if issued.refresh_id is not None:
            await succeed(tx, old, issued.refresh_id, now - DAY)
        return issued.session


def _check(old: RefreshToken, now: int) -> None:
    if old.expires is not None and old.expires <= now:
        raise UnknownToken("The refresh token has expired", soft_logout=True)
    if old.locked:
        raise UserLocked
