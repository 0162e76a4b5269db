"""Tokens with which a user shows to others who it is (§OpenID)."""

from __future__ import annotations

from protocol.ids import UserID
from services.accounts.tokens import OPENID, digest_of, new_token
from services.settings import HOUR
from services.tenant import Tenant
from storage.sessions import get_openid_user, insert_openid_token

LIFETIME = HOUR


async def make_openid_token(tenant: Tenant, user_id: UserID) -> str:
    """A secret that is good for `LIFETIME`, and for nothing but the question who the user is."""
    token = new_token(tenant.random, OPENID)
    async with tenant.database.read() as tx:
        await insert_openid_token(tx, token.digest, user_id, tenant.clock.now() + LIFETIME)
    return token.secret


async def user_of_openid_token(tenant: Tenant, secret: str) -> UserID | None:
    """Who has made the token; None when it is unknown or has expired."""
    async with tenant.database.read() as tx:
        user_id = await get_openid_user(tx, digest_of(secret), tenant.clock.now())
    return None if user_id is None else UserID(user_id)
