"""Browsers in which somebody is signed in, and what they have allowed there."""

from __future__ import annotations

from dataclasses import dataclass

from storage.database import Tx
from storage.statement import sql


@dataclass(frozen=True, slots=True)
class StoredBrowser:
    """Who is signed in, when they last proved it, and what the account looks like now."""

    user_id: str
    credential: bytes
    proved: int
    password_hash: str | None
    suspended: bool


_INSERT = sql("""
    INSERT INTO oauth_browsers (token_id, user_id, credential, proved, expires) VALUES ($1, $2, $3, $4, $5)
""")


async def insert_browser(
    tx: Tx, token_id: bytes, user_id: str, credential: bytes, proved: int, expires: int
) -> None:
    """From now on the browser is known."""
    await tx.execute(_INSERT, token_id, user_id, credential, proved, expires)


_BROWSER = sql("""
    SELECT b.user_id, b.credential, b.proved, u.password_hash, u.suspended
    FROM oauth_browsers b JOIN users u USING (user_id)
    WHERE b.token_id = $1 AND b.expires > $2 AND NOT u.deactivated AND NOT u.locked
""")


async def get_browser(tx: Tx, token_id: bytes, now: int) -> StoredBrowser | None:
    """The browser, if it is still good and its user may still log in."""
    row = await tx.fetchrow(_BROWSER, token_id, now)
    return None if row is None else StoredBrowser(**row)


_DELETE = sql("DELETE FROM oauth_browsers WHERE token_id = $1")


async def delete_browser(tx: Tx, token_id: bytes) -> None:
    """Nobody is signed in there any more."""
    await tx.execute(_DELETE, token_id)


_DELETE_OF_USER = sql("DELETE FROM oauth_browsers WHERE user_id = $1")


async def delete_browsers_of(tx: Tx, user_id: str) -> None:
    """The user is signed in in no browser any more."""
    await tx.execute(_DELETE_OF_USER, user_id)


_ALLOW_RESET = sql("""
    INSERT INTO oauth_resets (user_id, expires) VALUES ($1, $2) ON CONFLICT (user_id) DO UPDATE SET expires = EXCLUDED.expires
""")


async def allow_reset(tx: Tx, user_id: str, expires: int) -> None:
    """The user's cross-signing keys may be replaced until then."""
    await tx.execute(_ALLOW_RESET, user_id, expires)


_TAKE_RESET = sql("DELETE FROM oauth_resets WHERE user_id = $1 RETURNING expires")


async def take_reset(tx: Tx, user_id: str, now: int) -> bool:
    """Whether they may be replaced now; once."""
    expires: int | None = await tx.fetchval(_TAKE_RESET, user_id)
    return expires is not None and expires > now


_DELETE_EXPIRED = sql("""
    WITH reset AS (
        DELETE FROM oauth_resets WHERE expires <= $1
    )
    DELETE FROM oauth_browsers WHERE expires <= $1
""")


async def delete_expired_browsers(tx: Tx, now: int) -> None:
    """Forgets what is over."""
    await tx.execute(_DELETE_EXPIRED, now)
