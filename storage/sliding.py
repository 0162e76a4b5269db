"""What sliding sync reads: a user's rooms with what lists are filtered by, state by patterns, and stamps."""

from __future__ import annotations

from collections.abc import Collection

import asyncpg

from storage.database import Tx
from storage.statement import sql

_ENTRIES = sql(
    """
    SELECT m.room_id, m.membership, m.position, m.since, m.event_id, m.sender, m.stripped, m.forgotten,
        r.position AS room_position,
        m.membership = 'join' AND EXISTS (SELECT FROM partial_rooms AS p WHERE p.room_id = m.room_id) AS is_partial
    FROM memberships AS m LEFT JOIN rooms AS r ON r.room_id = m.room_id
    WHERE m.user_id = $1 AND m.is_local AND ($2::text[] IS NULL OR m.room_id = ANY($2))
"""
)


async def room_entries(tx: Tx, user_id: str, room_ids: Collection[str] | None) -> list[asyncpg.Record]:
    """The user's membership in these rooms (None: in all), with the position of each room's last event, and whether its
    members are still to come.
    """
    return await tx.fetch(_ENTRIES, user_id, None if room_ids is None else list(room_ids))


_FACTS = sql(
    """
    SELECT c.room_id, c.type, CASE WHEN c.type = 'm.room.encryption' THEN NULL ELSE e.json END AS json
    FROM unnest($1::text[]) AS w (room_id)
    CROSS JOIN (VALUES ('m.room.create'), ('m.room.encryption'), ('m.room.name')) AS t (type)
    JOIN current_state AS c ON c.room_id = w.room_id AND c.type = t.type AND c.state_key = ''
    JOIN events AS e ON e.event_id = c.event_id
"""
)


async def room_facts(tx: Tx, room_ids: Collection[str]) -> list[asyncpg.Record]:
    """What filters of lists look at: the create and name events' JSON, and whether there is one of encryption."""
    return await tx.fetch(_FACTS, list(room_ids)) if room_ids else []


_OWN = sql(
    """
    SELECT room_id, type, content FROM account_data
    WHERE user_id = $1 AND ((room_id = '' AND type = 'm.direct') OR (room_id <> '' AND type = 'm.tag'))
"""
)


async def direct_and_tags(tx: Tx, user_id: str) -> list[asyncpg.Record]:
    """The user's m.direct, and the m.tag of each room that has one."""
    return await tx.fetch(_OWN, user_id)


_COLUMNS = """
    SELECT c.room_id, c.type, c.state_key, e.event_id, e.sender, e.origin_server_ts, e.replaces_state, e.json
"""
_KEYS = sql(
    _COLUMNS
    + """
    FROM unnest($1::text[], $2::text[], $3::text[]) AS w (room_id, type, state_key)
    JOIN current_state AS c ON c.room_id = w.room_id AND c.type = w.type AND c.state_key = w.state_key
    JOIN events AS e ON e.event_id = c.event_id
"""
)
_TYPES = sql(
    _COLUMNS
    + """
    FROM unnest($1::text[], $2::text[]) AS w (room_id, type)
    JOIN current_state AS c ON c.room_id = w.room_id AND c.type = w.type
    JOIN events AS e ON e.event_id = c.event_id
"""
)


async def state_of_keys(tx: Tx, keys: Collection[tuple[str, str, str]]) -> list[asyncpg.Record]:
    """What stands now under these (room, type, state key)."""
    return await tx.fetch(_KEYS, *(list(column) for column in zip(*keys, strict=True))) if keys else []


async def state_of_types(tx: Tx, types: Collection[tuple[str, str]]) -> list[asyncpg.Record]:
    """What stands now under the keys of these (room, type)."""
    return await tx.fetch(_TYPES, *(list(column) for column in zip(*types, strict=True))) if types else []


_STAMPS = sql(
    """
    SELECT w.room_id, e.position
    FROM unnest($1::text[], $2::bigint[]) AS w (room_id, upto)
    CROSS JOIN LATERAL (
        SELECT position FROM events
        WHERE room_id = w.room_id AND standing = 0 AND position <= w.upto
            AND type = ANY($3::text[]) AND sender <> ALL($4::text[])
        ORDER BY position DESC LIMIT 1
    ) AS e
"""
)


async def last_of_types(
    tx: Tx, rooms: Collection[tuple[str, int]], types: Collection[str], ignored: Collection[str]
) -> dict[str, int]:
    """For each (room, upto) the position of its last event of these types that is not by one of the ignored."""
    if not rooms:
        return {}
    arrays = [list(column) for column in zip(*rooms, strict=True)]
    found = await tx.fetch(_STAMPS, *arrays, list(types), list(ignored))
    return {row["room_id"]: row["position"] for row in found}


_RECEIPTS = sql(
    """
    SELECT room_id, user_id, receipt_type, thread_id, event_id, ts FROM receipts
    WHERE room_id = ANY($2::text[]) AND position <= $4
        AND (user_id = $1 OR (receipt_type = 'm.read' AND event_id = ANY($3::text[])))
        AND receipt_type IN ('m.read', 'm.read.private')
"""
)


async def receipts_at(
    tx: Tx, user_id: str, room_ids: Collection[str], event_ids: Collection[str], upto: int
) -> list[asyncpg.Record]:
    """The user's receipts in the rooms, and those of others at these events."""
    if not room_ids:
        return []
    return await tx.fetch(_RECEIPTS, user_id, list(room_ids), list(event_ids), upto)
