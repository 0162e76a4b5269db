"""Backups of room keys: versions, and the sessions in them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import asyncpg

from storage.database import Tx
from storage.statement import sql


@dataclass(frozen=True, slots=True)
class Backup:
    """A version of a user's backup; `etag` counts its changes, `count` its sessions."""

    version: int
    algorithm: str
    auth_data: bytes
    etag: int
    count: int


@dataclass(frozen=True, slots=True)
class Session:
    """A session's key as it was backed up, encrypted by the client; `session_data` is a JSON object."""

    room_id: str
    session_id: str
    is_verified: bool
    first_message_index: int
    forwarded_count: int
    session_data: bytes


_LOCK_USER = sql("SELECT true FROM users WHERE user_id = $1 FOR NO KEY UPDATE")
_INSERT = sql("""
    INSERT INTO key_backups (user_id, version, algorithm, auth_data)
    SELECT $1, coalesce(max(version), 0) + 1, $2, $3 FROM key_backups WHERE user_id = $1
    RETURNING version
""")


async def insert_backup(tx: Tx, user_id: str, algorithm: str, auth_data: bytes) -> int:
    """The number of a new version, which is the current one from now on; wants a transaction."""
    await tx.execute(_LOCK_USER, user_id)
    version: int = await tx.fetchval(_INSERT, user_id, algorithm, auth_data)
    return version


_BACKUP = sql("""
    SELECT b.version, b.algorithm, b.auth_data, b.etag, (
        SELECT count(*) FROM key_backup_sessions AS s WHERE s.user_id = b.user_id AND s.version = b.version
    ) AS count
    FROM key_backups AS b
    WHERE b.user_id = $1 AND NOT b.deleted AND ($2::bigint IS NULL OR b.version = $2)
    ORDER BY b.version DESC LIMIT 1
""")


async def get_backup(tx: Tx, user_id: str, version: int | None = None) -> Backup | None:
    """The version of the user's backup, or the current one; None when there is none, or it was deleted."""
    row = await tx.fetchrow(_BACKUP, user_id, version)
    return None if row is None else Backup(**row)


_LOCK = sql("SELECT true FROM key_backups WHERE user_id = $1 AND version = $2 AND NOT deleted FOR UPDATE")


async def lock_backup(tx: Tx, user_id: str, version: int) -> bool:
    """Keeps other writers away until the transaction ends; False when there is no such version."""
    return await tx.fetchval(_LOCK, user_id, version) is True


_SET_AUTH_DATA = sql(
    "UPDATE key_backups SET auth_data = $3 WHERE user_id = $1 AND version = $2 AND NOT deleted"
)


async def set_auth_data(tx: Tx, user_id: str, version: int, auth_data: bytes) -> None:
    """Replaces what the client keeps with the version."""
    await tx.execute(_SET_AUTH_DATA, user_id, version, auth_data)


# The version stays as a mark: its number is not given again, and to delete it again is no error.
_DELETE = sql("""
    WITH session AS (
        DELETE FROM key_backup_sessions WHERE user_id = $1 AND version = $2
    )
    UPDATE key_backups SET deleted = true, auth_data = '{}' WHERE user_id = $1 AND version = $2
""")


async def delete_backup(tx: Tx, user_id: str, version: int) -> bool:
    """Deletes the version with all its keys; False when there never was one. Wants the lock."""
    return await tx.execute(_DELETE, user_id, version) == "UPDATE 1"


# A verified key is better than one that is not; then one that decrypts from earlier on (`first_message_index`), then one
# that went through fewer hands (§Server-side key backups). False sorts before true.
_MERGE = sql("""
    INSERT INTO key_backup_sessions AS old (
        user_id, version, room_id, session_id, is_verified, first_message_index, forwarded_count, session_data
    )
    SELECT $1, $2, n.*
    FROM unnest($3::text[], $4::text[], $5::boolean[], $6::bigint[], $7::bigint[], $8::bytea[])
        AS n (room_id, session_id, is_verified, first_message_index, forwarded_count, session_data)
    ON CONFLICT (user_id, version, room_id, session_id) DO UPDATE
    SET is_verified = excluded.is_verified, first_message_index = excluded.first_message_index,
        forwarded_count = excluded.forwarded_count, session_data = excluded.session_data
    WHERE (NOT excluded.is_verified, excluded.first_message_index, excluded.forwarded_count)
        < (NOT old.is_verified, old.first_message_index, old.forwarded_count)
""")
_TOUCH = sql("UPDATE key_backups SET etag = etag + 1 WHERE user_id = $1 AND version = $2")


async def merge_sessions(tx: Tx, user_id: str, version: int, sessions: Collection[Session]) -> None:
    """Keeps the better of each session and the one that is there; wants the lock."""
    columns = (
        [s.room_id for s in sessions],
        [s.session_id for s in sessions],
        [s.is_verified for s in sessions],
        [s.first_message_index for s in sessions],
        [s.forwarded_count for s in sessions],
        [s.session_data for s in sessions],
    )
    if await tx.execute(_MERGE, user_id, version, *columns) != "INSERT 0 0":
        await tx.execute(_TOUCH, user_id, version)


_SESSIONS = sql("""
    SELECT room_id, session_id, is_verified, first_message_index, forwarded_count, session_data
    FROM key_backup_sessions
    WHERE user_id = $1 AND version = $2
        AND ($3::text IS NULL OR room_id = $3) AND ($4::text IS NULL OR session_id = $4)
""")


async def sessions_of(
    tx: Tx, user_id: str, version: int, room_id: str | None, session_id: str | None
) -> list[asyncpg.Record]:
    """The sessions in the version: all, those of a room, or one of them. Each has the members of Session."""
    return await tx.fetch(_SESSIONS, user_id, version, room_id, session_id)


_DELETE_SESSIONS = sql("""
    DELETE FROM key_backup_sessions
    WHERE user_id = $1 AND version = $2
        AND ($3::text IS NULL OR room_id = $3) AND ($4::text IS NULL OR session_id = $4)
""")


async def delete_sessions(
    tx: Tx, user_id: str, version: int, room_id: str | None, session_id: str | None
) -> None:
    """Deletes the sessions in the version: all, those of a room, or one of them; wants the lock."""
    if await tx.execute(_DELETE_SESSIONS, user_id, version, room_id, session_id) != "DELETE 0":
        await tx.execute(_TOUCH, user_id, version)
