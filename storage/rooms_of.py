"""The rooms of a user, as /sync and its listeners need them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import asyncpg

from storage.database import Tx
from storage.statement import sql


@dataclass(frozen=True, slots=True)
class JoinedRooms:
    """The rooms that a user is in, those among them whose members are still to come, and the journal's position at which that
    is so.
    """

    rooms: list[str]
    partial: list[str]
    position: int


_JOINED_NOW = sql(
    """
    SELECT position, ARRAY(
        SELECT room_id FROM memberships WHERE user_id = $1 AND membership = 'join' AND is_local
    ) AS rooms, ARRAY(
        SELECT m.room_id FROM partial_rooms AS p JOIN memberships AS m ON m.room_id = p.room_id
        WHERE m.user_id = $1 AND m.membership = 'join' AND m.is_local
    ) AS partial
    FROM journal
"""
)


async def joined_rooms_now(tx: Tx, user_id: str) -> JoinedRooms:
    """The rooms that the user is in now."""
    row = await tx.fetchrow(_JOINED_NOW, user_id)
    assert row is not None  # the journal always has its one row
    return JoinedRooms(row["rooms"], row["partial"], row["position"])


_COUNT = sql(
    """
    SELECT count(*) FROM (
        SELECT FROM memberships WHERE user_id = $1 AND membership = 'join' AND is_local LIMIT $2
    ) AS rooms
"""
)


async def count_of_rooms(tx: Tx, user_id: str, limit: int) -> int:
    """In how many rooms the user is; no further than the limit is counted."""
    return int(await tx.fetchval(_COUNT, user_id, limit))


_OF_USERS = sql(
    "SELECT DISTINCT room_id FROM memberships WHERE user_id = ANY($1) AND membership = 'join' AND is_local"
)


async def rooms_of_users(tx: Tx, users: Collection[str]) -> list[str]:
    """The rooms that any of these local users is in."""
    return [row["room_id"] for row in await tx.fetch(_OF_USERS, list(users))]


_NEWS = sql(
    """
    SELECT m.room_id, m.membership, m.position, m.since, m.event_id, m.sender, m.stripped, m.forgotten,
        r.whole_since
    FROM memberships AS m LEFT JOIN rooms AS r ON r.room_id = m.room_id
    WHERE m.user_id = $1 AND m.is_local
        AND (m.position > $2 OR (m.membership = 'join' AND r.position > $2))
        AND (m.membership IN ('join', 'invite', 'knock') OR $3)
"""
)


async def rooms_with_news(tx: Tx, user_id: str, since: int, left_too: bool) -> list[asyncpg.Record]:
    """The user's memberships that changed after a position, and the joined rooms with newer events."""
    return await tx.fetch(_NEWS, user_id, since, left_too)
