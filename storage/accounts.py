"""Accounts of local users, and the tokens that let somebody make one."""

from __future__ import annotations

from dataclasses import dataclass

from storage.database import Tx
from storage.statement import each, sql


@dataclass(frozen=True, slots=True)
class Account:
    """A row of `users`; without a password hash nobody can log in with a password."""

    user_id: str
    password_hash: str | None
    created: int
    is_guest: bool = False
    is_admin: bool = False
    deactivated: bool = False
    locked: bool = False
    suspended: bool = False
    appservice: str | None = None


_ACCOUNTS = sql("""
    SELECT user_id, password_hash, created, is_guest, is_admin, deactivated, locked, suspended, appservice
    FROM users WHERE user_id = ANY($1::text[])
""")


async def get_account(tx: Tx, *user_ids: str) -> Account | None:
    """The account of the first of the user IDs that has one: the second may be another spelling of the first."""
    accounts = {row["user_id"]: Account(**row) for row in await tx.fetch(_ACCOUNTS, user_ids)}
    return next((accounts[user_id] for user_id in user_ids if user_id in accounts), None)


_INSERT = sql("""
    INSERT INTO users (user_id, password_hash, created, is_guest, is_admin, appservice)
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING true
""")


async def insert_account(tx: Tx, account: Account) -> bool:
    """Makes the account; False when the user ID is taken."""
    values = (account.user_id, account.password_hash, account.created)
    rights = (account.is_guest, account.is_admin, account.appservice)
    return await tx.fetchval(_INSERT, *values, *rights) is True


_MAKE_FULL = sql("""
    UPDATE users SET is_guest = false, password_hash = $2 WHERE user_id = $1 AND is_guest AND NOT deactivated RETURNING true
""")


async def make_full_account(tx: Tx, user_id: str, password_hash: str | None) -> bool:
    """The guest is none any more; False when it was none."""
    return await tx.fetchval(_MAKE_FULL, user_id, password_hash) is True


_SET_PASSWORD = sql("""
    UPDATE users SET password_hash = $3 WHERE user_id = $1 AND password_hash IS NOT DISTINCT FROM coalesce($2, password_hash)
""")


async def set_password(tx: Tx, user_id: str, password_hash: str, instead_of: str | None = None) -> None:
    """Replaces the password's hash: any, or only the one that is named."""
    await tx.execute(_SET_PASSWORD, user_id, instead_of, password_hash)


_USE_TOKEN = sql("""
    UPDATE registration_tokens SET completed = completed + 1
    WHERE token = $1 AND (expires IS NULL OR expires > $2) AND (uses_allowed IS NULL OR completed < uses_allowed)
    RETURNING true
""")


async def use_registration_token(tx: Tx, token: str, now: int) -> bool:
    """Counts one registration; False when the token is unknown, used up or expired."""
    return await tx.fetchval(_USE_TOKEN, token, now) is True


_TOKEN_VALID = sql("""
    SELECT true FROM registration_tokens
    WHERE token = $1 AND (expires IS NULL OR expires > $2) AND (uses_allowed IS NULL OR completed < uses_allowed)
""")


async def is_registration_token_valid(tx: Tx, token: str, now: int) -> bool:
    """Could somebody register with the token now?"""
    return await tx.fetchval(_TOKEN_VALID, token, now) is True


# For the journal, since other processes must forget what they know of the account: (user_id, locked, suspended).
SET_STANDING = each("""
    UPDATE users SET locked = $3, suspended = $4 WHERE user_id = $2 AND $1::bigint IS NOT NULL
""")

# For the journal: (user_id, erase). The user ID stays taken for ever.
DEACTIVATE = each("""
    WITH pusher AS (
        DELETE FROM pushers WHERE user_id = $2
    ), threepid AS (
        DELETE FROM threepids WHERE user_id = $2
    )
    UPDATE users SET deactivated = true, leaving = true, password_hash = NULL, erased = erased OR $3
    WHERE user_id = $2 AND $1::bigint IS NOT NULL
""")

# For the journal: (user_id). What the user has kept here for itself is gone; events stay, and are shown redacted.
ERASE = each("""
    WITH profile AS (
        DELETE FROM profiles WHERE user_id = $2
    ), rule AS (
        DELETE FROM push_rules WHERE user_id = $2
    ), ruleset AS (
        DELETE FROM push_rulesets WHERE user_id = $2
    ), filter AS (
        DELETE FROM filters WHERE user_id = $2
    ), backup AS (
        DELETE FROM key_backups WHERE user_id = $2
    ), backup_session AS (
        DELETE FROM key_backup_sessions WHERE user_id = $2
    )
    DELETE FROM account_data WHERE user_id = $2 AND $1::bigint IS NOT NULL
""")

_LEAVING = sql("SELECT user_id FROM users WHERE leaving")


async def get_leaving(tx: Tx) -> list[str]:
    """Deactivated users that may still be in rooms."""
    return [row["user_id"] for row in await tx.fetch(_LEAVING)]


_HAS_LEFT = sql("UPDATE users SET leaving = false WHERE user_id = $1")


async def has_left(tx: Tx, user_id: str) -> None:
    """Notes that the deactivated user is in no room any more."""
    await tx.execute(_HAS_LEFT, user_id)
