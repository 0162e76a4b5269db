"""Reading the state of many rooms at once, now and as it was at a position.

The state at position P is the state now, with every change after P undone (`state_deltas` says what was there before):
that costs what has changed since, however large the room.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import asyncpg

from storage.database import Tx
from storage.statement import sql

_COLUMNS = """
    SELECT c.room_id, c.type, c.state_key, e.event_id, e.sender, e.origin_server_ts, e.replaces_state, e.json
"""

_WHOLE = sql(
    _COLUMNS
    + """
    FROM current_state AS c JOIN events AS e ON e.event_id = c.event_id
    WHERE c.room_id = ANY($1::text[])
"""
)
_WITHOUT_MEMBERS = sql(
    _COLUMNS
    + """
    FROM current_state AS c JOIN events AS e ON e.event_id = c.event_id
    WHERE c.room_id = ANY($1::text[]) AND c.type <> 'm.room.member'
"""
)


async def state_of_rooms(tx: Tx, room_ids: Collection[str]) -> list[asyncpg.Record]:
    """The whole state now of each of these rooms."""
    return await tx.fetch(_WHOLE, list(room_ids)) if room_ids else []


async def state_without_members(tx: Tx, room_ids: Collection[str]) -> list[asyncpg.Record]:
    """The state now of each of these rooms, but for the members."""
    return await tx.fetch(_WITHOUT_MEMBERS, list(room_ids)) if room_ids else []


_MEMBERS = sql(
    _COLUMNS
    + """
    FROM unnest($1::text[], $2::text[]) AS k (room_id, user_id)
    JOIN current_state AS c ON c.room_id = k.room_id AND c.type = 'm.room.member' AND c.state_key = k.user_id
    JOIN events AS e ON e.event_id = c.event_id
"""
)


async def members(tx: Tx, who: Collection[tuple[str, str]]) -> list[asyncpg.Record]:
    """The member events now of these (room, user)."""
    if not who:
        return []
    return await tx.fetch(_MEMBERS, [room_id for room_id, _ in who], [user_id for _, user_id in who])


_ONE_KEY = sql(
    _COLUMNS
    + """
    FROM current_state AS c JOIN events AS e ON e.event_id = c.event_id
    WHERE c.room_id = $1 AND c.type = $2 AND c.state_key = $3
"""
)


async def state_of_key(tx: Tx, room_id: str, event_type: str, state_key: str) -> asyncpg.Record | None:
    """What the room's state has now under this key."""
    return await tx.fetchrow(_ONE_KEY, room_id, event_type, state_key)


_OF_TYPE = sql(
    _COLUMNS
    + """
    FROM current_state AS c JOIN events AS e ON e.event_id = c.event_id
    WHERE c.room_id = $1 AND c.type = $2
"""
)


async def state_of_type(tx: Tx, room_id: str, event_type: str) -> list[asyncpg.Record]:
    """What the room's state has now under the keys of this type."""
    return await tx.fetch(_OF_TYPE, room_id, event_type)


_FIRST_OF_TYPE = sql(
    """
    SELECT e.room_id, e.type, e.state_key, e.event_id, e.sender, e.origin_server_ts, e.replaces_state, e.json
    FROM state_deltas AS d JOIN events AS e ON e.event_id = d.event_id
    WHERE d.room_id = $1 AND d.type = $2
        AND d.position = (SELECT min(position) FROM state_deltas WHERE room_id = $1 AND type = $2)
"""
)


async def first_state_of_type(tx: Tx, room_id: str, event_type: str) -> list[asyncpg.Record]:
    """What the room's state had under the keys of this type when, as far as we know, it first had any."""
    return await tx.fetch(_FIRST_OF_TYPE, room_id, event_type)


_DELTAS = sql(
    """
    SELECT d.room_id, d.position, d.type, d.state_key, d.event_id, d.previous,
        d.type = 'm.room.member' AND (
            SELECT e.position FROM events AS e WHERE e.position = d.position LIMIT 1
        ) IS NULL AS filled_in
    FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS w (room_id, after, upto)
    JOIN state_deltas AS d ON d.room_id = w.room_id AND d.position > w.after AND d.position <= w.upto
    ORDER BY d.position
"""
)


async def deltas(tx: Tx, ranges: Collection[tuple[str, int, int]]) -> dict[str, list[asyncpg.Record]]:
    """For each (room, after, upto) the changes of its state at positions in (after, upto], in order. `filled_in`: no event made
    the change; it is a member who was there when we joined, and of whom we learnt later."""
    if not ranges:
        return {}
    found: dict[str, list[asyncpg.Record]] = {}
    for row in await tx.fetch(_DELTAS, *(list(column) for column in zip(*ranges, strict=True))):
        found.setdefault(row["room_id"], []).append(row)
    return found


_OWN_DELTAS = sql(
    """
    SELECT d.room_id, d.position, e.json AS json, p.json AS previous
    FROM unnest($1::text[], $3::bigint[]) AS w (room_id, after)
    JOIN state_deltas AS d ON d.room_id = w.room_id AND d.position > w.after
        AND d.type = 'm.room.member' AND d.state_key = $2
    LEFT JOIN events AS e ON e.event_id = d.event_id
    LEFT JOIN events AS p ON p.event_id = d.previous
    ORDER BY d.position
"""
)


async def member_history(
    tx: Tx, user_id: str, rooms: Collection[tuple[str, int]]
) -> dict[str, list[asyncpg.Record]]:
    """For each (room, after) how the user's membership changed after that position, in order: the events' JSON."""
    if not rooms:
        return {}
    found: dict[str, list[asyncpg.Record]] = {}
    arguments = [room_id for room_id, _ in rooms], user_id, [after for _, after in rooms]
    for row in await tx.fetch(_OWN_DELTAS, *arguments):
        found.setdefault(row["room_id"], []).append(row)
    return found


_EVENTS = sql(
    """
    SELECT e.room_id, e.type, e.state_key, e.event_id, e.sender, e.origin_server_ts, e.replaces_state, e.json
    FROM events AS e WHERE e.event_id = ANY($1::text[])
"""
)


async def state_events(tx: Tx, event_ids: Collection[str]) -> list[asyncpg.Record]:
    """These state events, with the same columns as the state of rooms."""
    return await tx.fetch(_EVENTS, list(event_ids)) if event_ids else []


_CHAIN_LENGTH = (
    20  # memberships in a row that are no join: beyond that the user is taken for one who never joined
)

_CHAIN = sql(
    """
    WITH RECURSIVE chain AS (
        SELECT e.position, e.json, e.replaces_state
        FROM memberships AS m JOIN events AS e ON e.event_id = m.event_id
        WHERE m.room_id = $1 AND m.user_id = $2
        UNION ALL
        SELECT e.position, e.json, e.replaces_state
        FROM chain JOIN events AS e ON e.event_id = chain.replaces_state
    )
    SELECT position, json FROM chain LIMIT $3
"""
)


async def member_chain(tx: Tx, room_id: str, user_id: str) -> list[asyncpg.Record]:
    """The user's last member events in the room, the newest first, each the one that the one before it replaced."""
    return await tx.fetch(_CHAIN, room_id, user_id, _CHAIN_LENGTH)


_HEROES = sql(
    """
    SELECT w.room_id, m.user_id
    FROM unnest($1::text[]) AS w (room_id)
    CROSS JOIN LATERAL (
        SELECT user_id, position FROM (
            (SELECT user_id, position FROM memberships
             WHERE room_id = w.room_id AND membership = 'join' ORDER BY position LIMIT $2)
            UNION ALL
            (SELECT user_id, position FROM memberships
             WHERE room_id = w.room_id AND membership = 'invite' ORDER BY position LIMIT $2)
        ) AS both_kinds ORDER BY position LIMIT $2
    ) AS m
    ORDER BY m.position
"""
)
_FORMER_HEROES = sql(
    """
    SELECT w.room_id, m.user_id
    FROM unnest($1::text[]) AS w (room_id)
    CROSS JOIN LATERAL (
        SELECT user_id, position FROM memberships
        WHERE room_id = w.room_id AND membership IN ('leave', 'ban') ORDER BY position LIMIT $2
    ) AS m
    ORDER BY m.position
"""
)
_COUNTS = sql("SELECT room_id, joined, invited FROM rooms WHERE room_id = ANY($1::text[])")


async def first_members(tx: Tx, room_ids: Sequence[str], limit: int) -> dict[str, list[str]]:
    """The first users, by stream order, who are joined or invited."""
    return _by_room(await tx.fetch(_HEROES, room_ids, limit))


async def first_former_members(tx: Tx, room_ids: Sequence[str], limit: int) -> dict[str, list[str]]:
    """The first users, by stream order, who have left or are banned."""
    return _by_room(await tx.fetch(_FORMER_HEROES, room_ids, limit))


async def member_counts(tx: Tx, room_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """How many users are joined and invited."""
    return {row["room_id"]: (row["joined"], row["invited"]) for row in await tx.fetch(_COUNTS, room_ids)}


def _by_room(found: Collection[asyncpg.Record]) -> dict[str, list[str]]:
    users: dict[str, list[str]] = {}
    for row in found:
        users.setdefault(row["room_id"], []).append(row["user_id"])
    return users
