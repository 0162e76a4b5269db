"""Who proves whom: people of upstream providers and our users, and logins that are on their way there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from storage.database import Tx
from storage.statement import sql


@dataclass(frozen=True, slots=True)
class StoredAttempt:
    """What was kept when a browser was sent away: for which browser (a digest) and provider, and what else (JSON)."""

    browser: bytes
    provider: str
    content: bytes


_USER = sql("SELECT user_id FROM upstream_links WHERE provider = $1 AND subject = $2")


async def linked_user(tx: Tx, provider: str, subject: str) -> str | None:
    """The user that the provider's person is."""
    user_id: str | None = await tx.fetchval(_USER, provider, subject)
    return user_id


_LINKS = sql(
    "SELECT provider, subject FROM upstream_links WHERE user_id = ANY($1::text[]) ORDER BY created, provider"
)


async def links_of(tx: Tx, user_ids: Sequence[str]) -> list[tuple[str, str]]:
    """Who the user is for which provider (provider, subject)."""
    return [(row["provider"], row["subject"]) for row in await tx.fetch(_LINKS, user_ids)]


_LINK = sql("""
    INSERT INTO upstream_links (provider, subject, user_id, created) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING true
""")


async def insert_link(tx: Tx, provider: str, subject: str, user_id: str, created: int) -> bool:
    """The person is the user from now on; False when they are somebody already."""
    return await tx.fetchval(_LINK, provider, subject, user_id, created) is True


_INSERT = sql("""
    INSERT INTO upstream_attempts (state_id, browser, provider, content, expires) VALUES ($1, $2, $3, $4, $5)
""")


async def insert_attempt(tx: Tx, state_id: bytes, attempt: StoredAttempt, expires: int) -> None:
    """Keeps it until the browser comes back."""
    await tx.execute(_INSERT, state_id, attempt.browser, attempt.provider, attempt.content, expires)


_TAKE = sql("DELETE FROM upstream_attempts WHERE state_id = $1 RETURNING browser, provider, content, expires")


async def take_attempt(tx: Tx, state_id: bytes, now: int) -> StoredAttempt | None:
    """It, once; None for one that was taken, never was, or is too old."""
    row = await tx.fetchrow(_TAKE, state_id)
    if row is None or row["expires"] <= now:
        return None
    return StoredAttempt(row["browser"], row["provider"], row["content"])


_FORGET = sql("DELETE FROM upstream_attempts WHERE expires <= $1")


async def delete_expired_attempts(tx: Tx, now: int) -> None:
    """Forgets those who have not come back."""
    await tx.execute(_FORGET, now)
