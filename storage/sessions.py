"""Access, refresh, login and OpenID tokens, all kept by their SHA-256 digest."""

from __future__ import annotations

from dataclasses import dataclass

from storage.database import Tx
from storage.statement import each, sql


@dataclass(frozen=True, slots=True)
class Login:
    """What an access token stands for, and the account it belongs to."""

    user_id: str
    device_id: str | None
    expires: int | None
    refresh_id: bytes | None
    supersedes: bool  # an older refresh token waits for the first use of this one's pair
    is_guest: bool
    is_admin: bool
    locked: bool
    suspended: bool
    through_oauth: bool


_LOGIN = sql("""
    SELECT t.user_id, t.device_id, t.expires, t.refresh_id, u.is_guest, u.is_admin, u.locked, u.suspended,
        EXISTS (
            SELECT FROM refresh_tokens r
            WHERE r.user_id = t.user_id AND r.device_id = t.device_id AND r.successor = t.refresh_id
        ) AS supersedes,
        EXISTS (
            SELECT FROM oauth_sessions o WHERE o.user_id = t.user_id AND o.device_id = t.device_id
        ) AS through_oauth
    FROM access_tokens t JOIN users u USING (user_id)
    WHERE t.token_id = $1 AND NOT u.deactivated
""")


async def get_login(tx: Tx, token_id: bytes) -> Login | None:
    """The login of an access token, an expired one too."""
    row = await tx.fetchrow(_LOGIN, token_id)
    return None if row is None else Login(**row)


@dataclass(frozen=True, slots=True)
class NewTokens:
    """An access token, and the refresh token it comes with where the client can refresh."""

    user_id: str
    device_id: str
    created: int
    access_id: bytes
    access_expires: int | None
    refresh_id: bytes | None
    refresh_expires: int | None


# For the journal, since other processes know the tokens: (user_id, device_ids). The devices stay.
REVOKE_TOKENS = each("""
    WITH refreshing AS (
        DELETE FROM refresh_tokens WHERE user_id = $2 AND device_id = ANY($3::text[])
    ), oauth_session AS (
        DELETE FROM oauth_sessions WHERE user_id = $2 AND device_id = ANY($3::text[])
    )
    DELETE FROM access_tokens WHERE user_id = $2 AND device_id = ANY($3::text[]) AND $1::bigint IS NOT NULL
""")


_INSERT = sql("""
    WITH refresh AS (
        INSERT INTO refresh_tokens (token_id, user_id, device_id, created, expires)
        SELECT $6::bytea, $1::text, $2::text, $3::bigint, $7::bigint WHERE $6::bytea IS NOT NULL
    )
    INSERT INTO access_tokens (token_id, user_id, device_id, created, expires, refresh_id)
    VALUES ($4, $1, $2, $3, $5, $6)
""")


async def insert_tokens(tx: Tx, new: NewTokens) -> None:
    """Keeps the tokens of a new login, or of a refresh."""
    of = (new.user_id, new.device_id, new.created)
    await tx.execute(_INSERT, *of, new.access_id, new.access_expires, new.refresh_id, new.refresh_expires)


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """What a refresh token stands for; `successor` is the one that it has been exchanged for."""

    token_id: bytes
    user_id: str
    device_id: str
    expires: int | None
    successor: bytes | None
    locked: bool


_REFRESH_TOKEN = sql("""
    SELECT r.token_id, r.user_id, r.device_id, r.expires, r.successor, u.locked
    FROM refresh_tokens r JOIN users u USING (user_id)
    WHERE r.token_id = $1 AND NOT u.deactivated
    FOR UPDATE OF r
""")


async def lock_refresh_token(tx: Tx, token_id: bytes) -> RefreshToken | None:
    """The refresh token, for this transaction alone."""
    row = await tx.fetchrow(_REFRESH_TOKEN, token_id)
    return None if row is None else RefreshToken(**row)


_SUPERSEDE = sql("""
    DELETE FROM refresh_tokens WHERE user_id = $1 AND device_id = $2 AND successor = $3
""")


async def supersede(tx: Tx, user_id: str, device_id: str, refresh_id: bytes) -> None:
    """The pair of the refresh token has been used, so the token that it was made by has had its time."""
    await tx.execute(_SUPERSEDE, user_id, device_id, refresh_id)


_SUCCEED = sql("""
    WITH unused AS (
        DELETE FROM refresh_tokens WHERE token_id = $2
    ), unused_access AS (
        DELETE FROM access_tokens WHERE user_id = $4 AND device_id = $5 AND (refresh_id = $2 OR expires < $6)
    )
    UPDATE refresh_tokens SET successor = $3 WHERE token_id = $1
""")


async def succeed(tx: Tx, old: RefreshToken, refresh_id: bytes, expired_before: int) -> None:
    """Notes the successor; an earlier successor was never used and is forgotten, as are long expired access tokens."""
    of = (old.user_id, old.device_id)
    await tx.execute(_SUCCEED, old.token_id, old.successor, refresh_id, *of, expired_before)


_INSERT_LOGIN_TOKEN = sql("INSERT INTO login_tokens (token_id, user_id, expires) VALUES ($1, $2, $3)")


async def insert_login_token(tx: Tx, token_id: bytes, user_id: str, expires: int) -> None:
    """Keeps a token that is good for one login."""
    await tx.execute(_INSERT_LOGIN_TOKEN, token_id, user_id, expires)


_TAKE_LOGIN_TOKEN = sql("DELETE FROM login_tokens WHERE token_id = $1 RETURNING user_id, expires")


async def take_login_token(tx: Tx, token_id: bytes, now: int) -> str | None:
    """The user that the token logs in, and never again; None when there is no such token or it has expired."""
    row = await tx.fetchrow(_TAKE_LOGIN_TOKEN, token_id)
    return None if row is None or row["expires"] <= now else row["user_id"]


_INSERT_OPENID_TOKEN = sql("INSERT INTO openid_tokens (token_id, user_id, expires) VALUES ($1, $2, $3)")


async def insert_openid_token(tx: Tx, token_id: bytes, user_id: str, expires: int) -> None:
    """Keeps a token that shows others who the user is."""
    await tx.execute(_INSERT_OPENID_TOKEN, token_id, user_id, expires)


_OPENID_USER = sql("SELECT user_id FROM openid_tokens WHERE token_id = $1 AND expires > $2")


async def get_openid_user(tx: Tx, token_id: bytes, now: int) -> str | None:
    """The user that the OpenID token stands for."""
    user_id: str | None = await tx.fetchval(_OPENID_USER, token_id, now)
    return user_id


_DELETE_EXPIRED = sql("""
    WITH login AS (
        DELETE FROM login_tokens WHERE expires <= $1
    )
    DELETE FROM openid_tokens WHERE expires <= $1
""")


async def delete_expired(tx: Tx, now: int) -> None:
    """Forgets login and OpenID tokens that nobody can use any more."""
    await tx.execute(_DELETE_EXPIRED, now)
