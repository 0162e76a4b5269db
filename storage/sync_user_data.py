"""What /sync reads of a user's own data, of receipts, and of who shares rooms: by position, for many rooms at once."""

from __future__ import annotations

from collections.abc import Collection

import asyncpg

from storage.database import Tx
from storage.statement import sql

_ACCOUNT_DATA = sql(
    """
    SELECT room_id, type, content FROM account_data
    WHERE user_id = $1 AND position <= $3 AND (position > $2 OR room_id = ANY($4::text[]))
        AND (content <> '{}' OR (position > $2 AND $2 > 0))
"""
)


async def account_data_changes(
    tx: Tx, user_id: str, after: int, upto: int, whole_rooms: Collection[str]
) -> list[asyncpg.Record]:
    """The user's account data changed at positions in (after, upto], and all of `whole_rooms`.

    What was deleted is told, as empty, to those who may know it from before.
    """
    return await tx.fetch(_ACCOUNT_DATA, user_id, after, upto, list(whole_rooms))


_HEARING = sql(
    """
    SELECT EXISTS (
        SELECT FROM account_data
        WHERE user_id = $1 AND room_id = '' AND type = 'm.ignored_user_list' AND position > $2
    ) OR EXISTS (SELECT FROM push_rules WHERE user_id = $1 AND position > $2)
"""
)


async def hears_otherwise(tx: Tx, user_id: str, after: int) -> bool:
    """Has it changed since a position whom the user ignores, or what the user's push rules are?"""
    return await tx.fetchval(_HEARING, user_id, after) is True


_RECEIPTS = sql(
    """
    SELECT r.room_id, r.user_id, r.receipt_type, r.thread_id, r.event_id, r.ts
    FROM unnest($2::text[], $3::bigint[]) AS w (room_id, after)
    JOIN receipts AS r ON r.room_id = w.room_id AND r.position > w.after AND r.position <= $4
    WHERE r.receipt_type = 'm.read' OR (r.receipt_type = 'm.read.private' AND r.user_id = $1)
"""
)


async def receipt_changes(
    tx: Tx, user_id: str, rooms: Collection[tuple[str, int]], upto: int
) -> list[asyncpg.Record]:
    """For each (room, after) the receipts changed at positions in (after, upto] that the user may see."""
    if not rooms:
        return []
    return await tx.fetch(
        _RECEIPTS, user_id, [room_id for room_id, _ in rooms], [after for _, after in rooms], upto
    )


_SHARERS = sql(
    """
    SELECT DISTINCT theirs.user_id
    FROM memberships AS mine JOIN memberships AS theirs ON theirs.room_id = mine.room_id
    WHERE mine.user_id = $1 AND mine.membership = 'join' AND mine.is_local
        AND theirs.membership = 'join' AND theirs.user_id = ANY($2::text[])
"""
)


async def sharing_rooms(tx: Tx, user_id: str, users: Collection[str]) -> set[str]:
    """Those of the users who share a room with this one."""
    return {row["user_id"] for row in await tx.fetch(_SHARERS, user_id, list(users))} if users else set()


_NEWCOMERS = sql(
    """
    SELECT DISTINCT theirs.user_id
    FROM memberships AS mine JOIN memberships AS theirs ON theirs.room_id = mine.room_id
    WHERE mine.user_id = $1 AND mine.membership = 'join' AND mine.is_local
        AND theirs.membership = 'join' AND theirs.user_id = ANY($3::text[])
        AND (mine.since > $2 OR theirs.since > $2)
"""
)


async def newly_sharing_rooms(tx: Tx, user_id: str, after: int, users: Collection[str]) -> set[str]:
    """Those of the users who came into a room of this one after a position, or into whose room this one came."""
    return (
        {row["user_id"] for row in await tx.fetch(_NEWCOMERS, user_id, after, list(users))}
        if users
        else set()
    )
