"""Users' push rules as stored: only of those who have changed something."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from protocol.ids import RoomID, UserID
from storage.database import Tx
from storage.statement import each, sql

# Values: user ID, the position of the row that this one is made from (0: there was none), special, rules. It does
# nothing when there is another row by now.
SET_PUSH_RULES = each(
    """
    INSERT INTO push_rules AS p (position, user_id, special, rules) VALUES ($1, $2, $4, $5)
    ON CONFLICT (user_id) DO UPDATE
    SET position = excluded.position, special = excluded.special, rules = excluded.rules
    WHERE p.position = $3::bigint
"""
)


@dataclass(frozen=True, slots=True)
class StoredRules:
    """A user's rules as JSON, and the position at which they became so."""

    user_id: UserID
    position: int
    rules: bytes


_MANY = sql("SELECT user_id, position, rules FROM push_rules WHERE user_id = ANY($1::text[])")


async def push_rules_of(tx: Tx, user_ids: Collection[str]) -> dict[UserID, StoredRules]:
    """The rules of those of the users who have changed any."""
    return {row["user_id"]: StoredRules(**row) for row in await tx.fetch(_MANY, list(user_ids))}


_SPECIAL = sql("SELECT user_id FROM push_rules WHERE special")


async def special_users(tx: Tx) -> set[UserID]:
    """The users in some room of whom the rules must be evaluated for each event."""
    return {row["user_id"] for row in await tx.fetch(_SPECIAL)}


_SPECIAL_IN_ROOM = sql(
    """
    SELECT m.user_id FROM memberships AS m JOIN push_rules AS p ON p.user_id = m.user_id
    WHERE m.room_id = $1 AND m.membership = 'join' AND m.is_local AND p.special
"""
)


async def special_users_in(tx: Tx, room_id: str) -> set[UserID]:
    """Those of them who are joined to the room."""
    return {row["user_id"] for row in await tx.fetch(_SPECIAL_IN_ROOM, room_id)}


_ROOMS = sql(
    """
    SELECT p.user_id, ARRAY(
        SELECT m.room_id FROM memberships AS m
        WHERE m.user_id = p.user_id AND m.membership = 'join' AND m.is_local
    ) AS rooms
    FROM push_rules AS p WHERE p.user_id = ANY($1::text[]) AND p.special
"""
)


async def rooms_of_special(tx: Tx, user_ids: Collection[str]) -> dict[UserID, set[RoomID]]:
    """Those of the users who are special, with the rooms that they are joined to."""
    rows: list[Any] = await tx.fetch(_ROOMS, list(user_ids))
    return {row["user_id"]: set(row["rooms"]) for row in rows}
