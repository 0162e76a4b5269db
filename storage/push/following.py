"""Who follows the journal for the pushers, how far that one has got, and what it looks up on the way."""

from __future__ import annotations

from collections.abc import Collection

import asyncpg

from storage.database import Tx
from storage.statement import sql

_BEGIN = sql("""
    INSERT INTO followers (name, position) SELECT 'push', j.position FROM journal AS j ON CONFLICT DO NOTHING
""")


async def begin(tx: Tx) -> None:
    """Where nobody has followed yet, it begins with what happens from now on."""
    await tx.execute(_BEGIN)


_CLAIM = sql("""
    UPDATE followers SET holder = $1, held_until = now() + interval '20 seconds'
    WHERE name = 'push' AND (holder IS NULL OR holder = $1 OR held_until < now())
    RETURNING position
""")


async def claim(tx: Tx, process: str) -> int | None:
    """Up to which position everything has been told or queued; from now on it is ours to go on. None: it is another's."""
    position: int | None = await tx.fetchval(_CLAIM, process)
    return position


_RENEW = sql("""
    UPDATE followers SET position = greatest(position, $2), held_until = now() + interval '20 seconds'
    WHERE name = 'push' AND holder = $1 RETURNING true
""")


async def renew(tx: Tx, process: str, position: int) -> bool:
    """It goes on being ours, and need not look at anything up to this position again; False: another process has it."""
    return await tx.fetchval(_RENEW, process, position) is True


_RELEASE = sql("""
    UPDATE followers SET position = greatest(position, $2), holder = NULL, held_until = NULL
    WHERE name = 'push' AND holder = $1
""")


async def release(tx: Tx, process: str, position: int) -> None:
    """It is free for other processes."""
    await tx.execute(_RELEASE, process, position)


_ROOMS_SINCE = sql("""
    SELECT room_id, min(position) - 1 AS after FROM events
    WHERE position > $1 AND position <= $2 AND standing = 0 GROUP BY room_id
""")


async def rooms_since(tx: Tx, after: int, upto: int) -> dict[str, int]:
    """The rooms with events at positions in (after, upto], each with a position before the first of them."""
    return {row["room_id"]: row["after"] for row in await tx.fetch(_ROOMS_SINCE, after, upto)}


_RECEIVERS = sql("""
    SELECT m.user_id FROM memberships AS m
    WHERE m.room_id = $1 AND m.membership = 'join' AND m.is_local
        AND EXISTS (SELECT FROM pushers AS p WHERE p.user_id = m.user_id)
""")


async def receivers_in(tx: Tx, room_id: str) -> set[str]:
    """The users joined to the room who have pushers."""
    return {row["user_id"] for row in await tx.fetch(_RECEIVERS, room_id)}


_EVENTS = sql("""
    SELECT e.position, e.event_id, e.type, e.state_key, e.sender, e.counts, e.highlights_all,
        e.redacted_by IS NOT NULL AS redacted,
        ARRAY(
            SELECT ARRAY[x.user_id, x.notify::text, x.highlight::text] FROM unread_exceptions AS x
            WHERE x.position = e.position
        ) AS exceptions
    FROM events AS e
    WHERE e.room_id = $1 AND e.standing <= 1 AND e.standing = 0 AND e.position > $2 AND e.position <= $3
    ORDER BY e.position
""")


async def events_in(tx: Tx, room_id: str, after: int, upto: int) -> list[asyncpg.Record]:
    """The room's events at positions in (after, upto], with what they are for whom, but without what they say."""
    return await tx.fetch(_EVENTS, room_id, after, upto)


_INVITES = sql("""
    SELECT m.user_id, m.room_id, m.position, m.event_id, m.sender FROM memberships AS m
    WHERE m.user_id = ANY($1::text[]) AND m.membership = 'invite' AND m.is_local
        AND m.position > $2 AND m.position <= $3
    ORDER BY m.position
""")


async def invites_of(tx: Tx, user_ids: Collection[str], after: int, upto: int) -> list[asyncpg.Record]:
    """The invites of these users that came at positions in (after, upto] and still stand."""
    return await tx.fetch(_INVITES, list(user_ids), after, upto)


_STRIPPED = sql("SELECT stripped, membership, event_id FROM memberships WHERE user_id = $1 AND room_id = $2")


async def invite_of(tx: Tx, user_id: str, room_id: str) -> asyncpg.Record | None:
    """The user's membership in the room: stripped (state, a JSON array), membership, event_id."""
    return await tx.fetchrow(_STRIPPED, user_id, room_id)


_ROOM = sql("SELECT room_version, joined FROM rooms WHERE room_id = $1")


async def room_of(tx: Tx, room_id: str) -> asyncpg.Record | None:
    """room_version, and how many are joined; None where we do not have the room."""
    return await tx.fetchrow(_ROOM, room_id)


_MISSED_CALLS = sql("""
    SELECT count(*) FROM memberships AS m JOIN events AS e ON e.room_id = m.room_id
    WHERE m.user_id = $1 AND m.room_id = ANY($2::text[]) AND m.membership = 'join'
        AND e.standing <= 1 AND e.type = 'm.call.invite' AND e.sender <> $1 AND e.redacted_by IS NULL
        AND e.position > greatest(m.since, (
            SELECT max(c.event_position) FROM receipts AS c
            WHERE c.room_id = m.room_id AND c.user_id = $1 AND c.receipt_type IN ('m.read', 'm.read.private')
                AND c.thread_id IN ('', 'main')
        ), (
            SELECT s.position FROM last_sent AS s WHERE s.user_id = $1 AND s.room_id = m.room_id AND s.root = ''
        ))
        AND NOT EXISTS (
            SELECT FROM events AS a
            WHERE a.room_id = e.room_id AND a.standing <= 1 AND a.position > e.position AND a.sender = $1
                AND a.type IN ('m.call.answer', 'm.call.reject', 'm.call.hangup')
        )
""")


async def missed_calls(tx: Tx, user_id: str, room_ids: Collection[str]) -> int:
    """How many calls in these rooms the user has neither answered nor seen."""
    return int(await tx.fetchval(_MISSED_CALLS, user_id, list(room_ids)))
