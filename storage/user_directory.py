"""The user directory: whom one can find by name, and who may find them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from storage.database import Tx
from storage.statement import sql

BATCH = 1000

Mark = tuple[int, str, str]
"""Position, room ID and user ID of the last membership that was taken in."""

_FOLLOWED = sql("SELECT position FROM followers WHERE name = 'user_directory' FOR UPDATE")
_BEGIN = sql("INSERT INTO followers (name, position) VALUES ('user_directory', -1) ON CONFLICT DO NOTHING")
_IS_BEHIND = sql(
    """
    SELECT EXISTS (
        SELECT FROM memberships WHERE membership = 'join' AND position > coalesce(
            (SELECT position FROM followers WHERE name = 'user_directory'), -1)
    )
"""
)


async def is_behind(tx: Tx) -> bool:
    """Are there memberships that the directory does not know of?"""
    behind: bool = await tx.fetchval(_IS_BEHIND)
    return behind


async def begin_to_follow(tx: Tx) -> int:
    """Up to which position the directory is true; others who would bring it up to date wait until this transaction ends."""
    await tx.execute(_BEGIN)
    position: int = await tx.fetchval(_FOLLOWED)
    return position


_JOINED = sql(
    """
    SELECT m.position, m.room_id, m.user_id, m.is_local, e.json, p.fields
    FROM memberships AS m JOIN events AS e ON e.event_id = m.event_id
        LEFT JOIN profiles AS p ON p.user_id = m.user_id AND m.is_local
    WHERE m.membership = 'join' AND (m.position, m.room_id, m.user_id) > ($1, $2, $3)
    ORDER BY m.position, m.room_id, m.user_id
    LIMIT $4
"""
)


async def joined_after(tx: Tx, mark: Mark) -> list[asyncpg.Record]:
    """The next memberships: where, who, the member event, and the profile of users of ours."""
    return await tx.fetch(_JOINED, *mark, BATCH)


@dataclass(frozen=True, slots=True)
class Entry:
    """A user as the directory has them; `folded` is what is searched."""

    user_id: str
    position: int
    display_name: str | None
    avatar_url: str | None
    folded: str


_ENTER = sql(
    """
    INSERT INTO user_directory AS d (user_id, position, display_name, avatar_url, folded)
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[])
    ON CONFLICT (user_id) DO UPDATE
    SET position = excluded.position, display_name = excluded.display_name, avatar_url = excluded.avatar_url,
        folded = excluded.folded
"""
)
_FOLLOW = sql("UPDATE followers SET position = $1 WHERE name = 'user_directory'")


async def enter(tx: Tx, entries: Sequence[Entry], position: int) -> None:
    """Takes users in, each once, and notes that the directory is true up to a position."""
    columns = [
        [entry.user_id for entry in entries],
        [entry.position for entry in entries],
        [entry.display_name for entry in entries],
        [entry.avatar_url for entry in entries],
        [entry.folded for entry in entries],
    ]
    await tx.execute(_ENTER, *columns)
    await tx.execute(_FOLLOW, position)


# A room that anybody may join, or read, shows its members to everybody. Events are canonical JSON, without spaces. Users of
# ours and others are in two indexes.
_SEARCH = sql(
    """
    SELECT d.user_id, d.display_name, d.avatar_url FROM user_directory AS d
    WHERE d.folded LIKE ALL($2::text[]) AND EXISTS (
        SELECT FROM (
            SELECT room_id FROM memberships WHERE user_id = d.user_id AND membership = 'join' AND is_local
            UNION ALL
            SELECT room_id FROM memberships WHERE user_id = d.user_id AND membership = 'join' AND NOT is_local
        ) AS theirs
        WHERE (d.user_id <> $1 AND EXISTS (
            SELECT FROM memberships AS mine
            WHERE mine.room_id = theirs.room_id AND mine.user_id = $1 AND mine.membership = 'join'
        )) OR EXISTS (
            SELECT FROM current_state AS c JOIN events AS e ON e.event_id = c.event_id
            WHERE c.room_id = theirs.room_id AND c.state_key = '' AND (
                (c.type = 'm.room.join_rules' AND position('"join_rule":"public"'::bytea in e.json) > 0)
                OR (c.type = 'm.room.history_visibility'
                    AND position('"history_visibility":"world_readable"'::bytea in e.json) > 0)
            )
        )
    )
    ORDER BY d.folded LIKE ALL($3::text[]) DESC, d.display_name IS NULL, length(d.folded), d.user_id
    LIMIT $4
"""
)


async def search(
    tx: Tx, user_id: str, inside: Sequence[str], at_start: Sequence[str], limit: int
) -> list[asyncpg.Record]:
    """Whom the user may see and who match all patterns; first those who match the second ones too, then those with names."""
    return await tx.fetch(_SEARCH, user_id, list(inside), list(at_start), limit)


_MUTUAL = sql(
    """
    SELECT mine.room_id FROM memberships AS mine JOIN memberships AS theirs ON theirs.room_id = mine.room_id
    WHERE mine.user_id = $1 AND mine.membership = 'join' AND mine.is_local
        AND theirs.user_id = $2 AND theirs.membership = 'join'
    ORDER BY mine.room_id
"""
)


async def mutual_rooms(tx: Tx, user_id: str, other: str) -> list[str]:
    """The rooms that a user of ours and another user are both in, in the order of their IDs."""
    return [row["room_id"] for row in await tx.fetch(_MUTUAL, user_id, other)]
