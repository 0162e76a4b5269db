"""Who is in which room, or invited, or knocking: now, and since when."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from protocol.ids import EventID, RoomID, UserID
from storage.database import Tx
from storage.statement import rows, sql


@dataclass(frozen=True, slots=True)
class Membership:
    """A user's membership in a room now; `since` is where this unbroken membership began."""

    room_id: RoomID
    user_id: UserID
    membership: str
    event_id: EventID
    sender: UserID
    position: int
    since: int
    forgotten: bool
    stripped: bytes | None


# Values: is the user ours, room ID, user ID, membership, event ID, sender, stripped state or None, whether the
# membership was the same before. A batch may hold several changes of one membership: the newest is written, and
# where it does not go on from what is stored, the newest break among them says since when it is so.
# The servers of those who are not ours are counted along (storage/servers/room_servers.py): since when a server has
# users in the room, or until when it had. Each of them is a destination from then on.
SET_MEMBERSHIP = rows(
    """
    WITH change AS (
        SELECT DISTINCT ON (room_id, user_id) n.*,
            max(position) FILTER (WHERE NOT goes_on) OVER (PARTITION BY room_id, user_id) AS broken
        FROM unnest($1::bigint[], $2::boolean[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                $8::bytea[], $9::boolean[])
            AS n (position, is_local, room_id, user_id, membership, event_id, sender, stripped, goes_on)
        ORDER BY room_id, user_id, position DESC
    ), elsewhere AS (
        SELECT n.room_id, substr(n.user_id, strpos(n.user_id, ':') + 1) AS server, max(n.position) AS position,
            sum((n.membership = 'join')::int - coalesce(old.membership = 'join', false)::int) AS joined,
            max(n.position) FILTER (WHERE n.membership IN ('leave', 'ban')) AS targeted
        FROM change AS n LEFT JOIN memberships AS old ON old.room_id = n.room_id AND old.user_id = n.user_id
        WHERE NOT n.is_local AND strpos(n.user_id, ':') > 0
        GROUP BY 1, 2
        ORDER BY 1, 2
    ), counted AS (
        INSERT INTO room_servers AS s (room_id, server, joined, since, targeted)
        SELECT room_id, server, joined, position, targeted FROM elsewhere WHERE joined <> 0 OR targeted IS NOT NULL
        ON CONFLICT (server, room_id) DO UPDATE
        SET joined = s.joined + excluded.joined,
            since = CASE WHEN s.joined = 0 AND excluded.joined > 0 THEN excluded.since ELSE s.since END,
            until = CASE WHEN s.joined > 0 AND s.joined + excluded.joined = 0 THEN excluded.since
                WHEN s.joined + excluded.joined > 0 THEN NULL ELSE s.until END,
            targeted = greatest(s.targeted, excluded.targeted)
    ), known AS (
        INSERT INTO destinations (server, position)
        SELECT server, min(position) - 1 FROM elsewhere WHERE joined <> 0 OR targeted IS NOT NULL
        GROUP BY server ORDER BY server
        ON CONFLICT DO NOTHING
    )
    INSERT INTO memberships AS m (position, since, is_local, room_id, user_id, membership, event_id, sender, stripped)
    SELECT n.position, coalesce(n.broken, old.since, n.position), n.is_local, n.room_id, n.user_id, n.membership,
        n.event_id, n.sender, n.stripped
    FROM change AS n LEFT JOIN memberships AS old ON old.room_id = n.room_id AND old.user_id = n.user_id
    ON CONFLICT (room_id, user_id) DO UPDATE
    SET position = excluded.position, since = excluded.since, membership = excluded.membership,
        event_id = excluded.event_id, sender = excluded.sender, stripped = excluded.stripped,
        forgotten = m.forgotten AND excluded.membership IN ('leave', 'ban')
"""
)

_SELECT = """
    SELECT room_id, user_id, membership, event_id, sender, position, since, forgotten, stripped FROM memberships
"""

_ONE = sql(_SELECT + "WHERE room_id = $1 AND user_id = $2")


async def membership_of(tx: Tx, room_id: str, user_id: str) -> Membership | None:
    """The user's membership in the room; None if there never was one."""
    row = await tx.fetchrow(_ONE, room_id, user_id)
    return _membership(row) if row is not None else None


_OF_USER = sql(
    _SELECT
    + """
    WHERE user_id = $1 AND membership = ANY($2::text[]) AND is_local AND NOT forgotten
"""
)


async def memberships_of_user(tx: Tx, user_id: str, memberships: Collection[str]) -> list[Membership]:
    """The rooms in which a user of ours has one of these memberships, without the forgotten ones."""
    return [_membership(row) for row in await tx.fetch(_OF_USER, user_id, list(memberships))]


_JOINED_AMONG = sql(
    """
    SELECT user_id FROM memberships
    WHERE room_id = $1 AND user_id = ANY($2::text[]) AND membership = 'join' AND is_local
    ORDER BY since
"""
)


async def joined_among(tx: Tx, room_id: str, user_ids: Collection[str]) -> list[UserID]:
    """Those of the users who are ours and joined to the room, the longest first."""
    return [row["user_id"] for row in await tx.fetch(_JOINED_AMONG, room_id, list(user_ids))]


_LONGEST_JOINED = sql(
    """
    SELECT user_id FROM memberships
    WHERE room_id = $1 AND NOT user_id = ANY($2::text[]) AND membership = 'join' AND is_local
    ORDER BY position LIMIT 1
"""
)


async def longest_joined(tx: Tx, room_id: str, besides: Collection[str]) -> list[UserID]:
    """A user of ours who has been in the room for long, other than those named; empty if there is none."""
    return [row["user_id"] for row in await tx.fetch(_LONGEST_JOINED, room_id, list(besides))]


_JOINED_GUESTS = sql(
    """
    SELECT m.user_id FROM memberships AS m JOIN users AS u ON u.user_id = m.user_id
    WHERE m.room_id = $1 AND m.membership = 'join' AND m.is_local AND u.is_guest
"""
)


async def joined_guests(tx: Tx, room_id: str) -> list[UserID]:
    """Our guests who are joined to the room."""
    return [row["user_id"] for row in await tx.fetch(_JOINED_GUESTS, room_id)]


_FORGET = sql(
    """
    UPDATE memberships SET forgotten = true
    WHERE room_id = $1 AND user_id = $2 AND membership IN ('leave', 'ban')
"""
)


async def forget(tx: Tx, room_id: str, user_id: str) -> None:
    """The room is not shown to the user any more, until there is news of the user's own in it."""
    await tx.execute(_FORGET, room_id, user_id)


def _membership(row: Any) -> Membership:
    return Membership(**row)
