"""Who shares rooms with whom."""

from __future__ import annotations

from storage.database import Tx
from storage.statement import sql

_SHARE = sql(
    """
    SELECT EXISTS (
        SELECT FROM memberships AS mine
        JOIN memberships AS theirs ON theirs.room_id = mine.room_id
        WHERE mine.user_id = $1 AND mine.is_local AND mine.membership = 'join'
            AND theirs.user_id = $2 AND theirs.membership = 'join'
    )
"""
)


async def share_a_room(tx: Tx, user_id: str, other: str) -> bool:
    """Are the two, the first of whom is ours, in a room together?"""
    shares: bool = await tx.fetchval(_SHARE, user_id, other)
    return shares
