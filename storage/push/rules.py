"""Users' push rules as stored: only of those who have changed something."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from protocol.ids import RoomID, UserID
from storage.database import Tx
from storage.statement import each, sql

# Values: user ID, the position of the row that this one is made from (0: there was none), special, rules, the ruleset (or
# NULL). It does nothing when there is another row by now. What came before stays judged by the ruleset of then.
SET_PUSH_RULES = each(
    """
    WITH written AS (
        INSERT INTO push_rules AS p (position, user_id, special, rules) VALUES ($1, $2, $4, $5)
        ON CONFLICT (user_id) DO UPDATE
        SET position = excluded.position, special = excluded.special, rules = excluded.rules
        WHERE p.position = $3::bigint
        RETURNING true
    ), ended AS (
        UPDATE push_rulesets SET upto = $1
        WHERE user_id = $2 AND upto = 9223372036854775807 AND ruleset IS DISTINCT FROM $6::text
            AND EXISTS (SELECT FROM written)
    )
    INSERT INTO push_rulesets (user_id, since, ruleset)
    SELECT $2, $1, $6 FROM written WHERE $6::text IS NOT NULL AND NOT EXISTS (
        SELECT FROM push_rulesets AS s
        WHERE s.user_id = $2 AND s.upto = 9223372036854775807 AND s.ruleset = $6
    )
"""
)


@dataclass(frozen=True, slots=True)
class StoredRules:
    """A user's rules as JSON, the position at which they became so, and the ruleset by which events are judged for all who
    have the like (None: for this user alone).
    """

    user_id: UserID
    position: int
    rules: bytes
    ruleset: str | None


_MANY = sql("""
    SELECT p.user_id, p.position, p.rules, s.ruleset
    FROM push_rules AS p
    LEFT JOIN push_rulesets AS s ON s.user_id = p.user_id AND s.upto = 9223372036854775807
    WHERE p.user_id = ANY($1::text[])
""")


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
