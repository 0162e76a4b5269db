"""Devices whose tokens were got through OAuth: which client has them, and what it may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from storage.database import Tx
from storage.statement import sql


@dataclass(frozen=True, slots=True)
class OAuthSession:
    """A device, its client and its scope."""

    user_id: str
    device_id: str
    client_id: str
    scope: str


_INSERT = sql("""
    INSERT INTO oauth_sessions (user_id, device_id, client_id, scope, family) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (user_id, device_id)
    DO UPDATE SET client_id = EXCLUDED.client_id, scope = EXCLUDED.scope, family = EXCLUDED.family
""")


async def insert_session(tx: Tx, session: OAuthSession, family: bytes) -> None:
    """Keeps the session; whatever the device had before is over."""
    of = (session.user_id, session.device_id, session.client_id)
    await tx.execute(_INSERT, *of, session.scope, family)


_BY_TOKEN = sql("""
    SELECT s.user_id, s.device_id, s.client_id, s.scope
    FROM (
        SELECT user_id, device_id FROM refresh_tokens WHERE token_id = $1
        UNION ALL SELECT user_id, device_id FROM access_tokens WHERE token_id = $1
    ) t JOIN oauth_sessions s USING (user_id, device_id)
""")


async def session_of_token(tx: Tx, token_id: bytes) -> OAuthSession | None:
    """The session of an access or refresh token."""
    row = await tx.fetchrow(_BY_TOKEN, token_id)
    return None if row is None else OAuthSession(**row)


_BY_FAMILY = sql("SELECT user_id, device_id, client_id, scope FROM oauth_sessions WHERE family = $1")


async def session_of_family(tx: Tx, family: bytes) -> OAuthSession | None:
    """The session whose refresh tokens begin with the secret of this digest."""
    row = await tx.fetchrow(_BY_FAMILY, family)
    return None if row is None else OAuthSession(**row)


_BY_DEVICE = sql("""
    SELECT user_id, device_id, client_id, scope FROM oauth_sessions WHERE user_id = $1 AND device_id = $2
""")


async def session_of_device(tx: Tx, user_id: str, device_id: str) -> OAuthSession | None:
    """The session that the device has."""
    row = await tx.fetchrow(_BY_DEVICE, user_id, device_id)
    return None if row is None else OAuthSession(**row)


_CLIENTS = sql("SELECT device_id, client_id FROM oauth_sessions WHERE user_id = $1")


async def clients_of_devices(tx: Tx, user_id: str) -> Mapping[str, str]:
    """Which of the user's devices got in through OAuth, and with what client."""
    return {row["device_id"]: row["client_id"] for row in await tx.fetch(_CLIENTS, user_id)}
