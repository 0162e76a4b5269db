"""Reading a room for another server: what the server is to the room, and events as they are sent (PDUs)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import orjson

from protocol.ids import EventID
from storage.database import Tx
from storage.events import SELECT_EVENT, StoredEvent, stored_event
from storage.statement import sql


@dataclass(frozen=True, slots=True)
class ServedRoom:
    """A room as another server asks for it: is one of its users joined; the JSON of the room's access control list."""

    room_version: str
    has_server: bool
    acl: bytes | None


# While we do not know all members of a room, we know at least which servers are in it.
_ROOM = sql(
    """
    SELECT r.room_version,
        EXISTS (SELECT FROM room_servers AS s WHERE s.room_id = $1 AND s.server = $2 AND s.joined > 0)
            OR EXISTS (SELECT FROM partial_rooms AS p WHERE p.room_id = $1 AND $2 = ANY(p.servers)) AS has_server,
        (
            SELECT e.json FROM current_state AS c JOIN events AS e ON e.event_id = c.event_id
            WHERE c.room_id = r.room_id AND c.type = 'm.room.server_acl' AND c.state_key = ''
        ) AS acl
    FROM rooms AS r WHERE r.room_id = $1
"""
)


async def served_room(tx: Tx, room_id: str, server: str) -> ServedRoom | None:
    """The room, and what the server is to it; None for a room that we do not have."""
    row = await tx.fetchrow(_ROOM, room_id, server)
    return ServedRoom(**row) if row is not None else None


_EXTREMITIES = sql("SELECT forward_extremities FROM rooms WHERE room_id = $1")


async def forward_extremities(tx: Tx, room_id: str) -> list[EventID]:
    """The events that the room's next event would build on; none of a room that we do not have."""
    found = await tx.fetchval(_EXTREMITIES, room_id)
    return [EventID(event_id) for event_id in orjson.loads(found)] if found is not None else []


_USERS = sql(
    """
    SELECT user_id FROM memberships
    WHERE room_id = $1 AND substr(user_id, strpos(user_id, ':') + 1) = $2 AND NOT is_local
"""
)


async def users_of_server(tx: Tx, room_id: str, server: str) -> list[str]:
    """All users of the server who are, were or may be in the room."""
    return [row["user_id"] for row in await tx.fetch(_USERS, room_id, server)]


_MEMBERS_AT = sql(
    """
    SELECT s.snapshot, m.event_id
    FROM state_snapshots AS s CROSS JOIN unnest($2::text[]) AS u (user_id)
    CROSS JOIN LATERAL (
        SELECT l.event_id
        FROM unnest(s.layers) WITH ORDINALITY AS part (layer, place)
        JOIN state_layers AS l ON l.layer = part.layer AND l.type = 'm.room.member' AND l.state_key = u.user_id
        ORDER BY part.place DESC LIMIT 1
    ) AS m
    WHERE s.snapshot = ANY($1::bigint[]) AND m.event_id IS NOT NULL
"""
)


async def member_events_at(tx: Tx, snapshots: Collection[int], users: Sequence[str]) -> dict[int, list[str]]:
    """For each of the snapshots the IDs of these users' member events."""
    found: dict[int, list[str]] = {snapshot: [] for snapshot in snapshots}
    if users:
        for row in await tx.fetch(_MEMBERS_AT, list(snapshots), users):
            found[row["snapshot"]].append(row["event_id"])
    return found


_PDUS = sql("SELECT event_id, json FROM events WHERE event_id = ANY($1::text[])")


async def pdus(tx: Tx, event_ids: Collection[str]) -> dict[str, bytes]:
    """The federation format of those of the events that we have, as bytes of JSON."""
    return {row["event_id"]: row["json"] for row in await tx.fetch(_PDUS, list(event_ids))}


_WINDOW = sql(
    SELECT_EVENT
    + """
    WHERE e.room_id = $1 AND e.standing <= 1 AND e.position <= $2 ORDER BY e.position DESC LIMIT $3
"""
)


async def events_before(tx: Tx, room_id: str, position: int, limit: int) -> list[StoredEvent]:
    """The last events of the room's timeline and history up to a position, the newest first."""
    return [stored_event(row) for row in await tx.fetch(_WINDOW, room_id, position, limit)]


# The index on time prunes to the blocks of some stretch of time, whatever the room; so the stretch is given.
_EARLIEST = sql(
    SELECT_EVENT
    + """
    WHERE e.room_id = $1 AND e.standing <= 1 AND e.origin_server_ts >= $2 AND e.origin_server_ts <= $3
    ORDER BY e.origin_server_ts, e.position LIMIT $4
"""
)
_LATEST = sql(
    SELECT_EVENT
    + """
    WHERE e.room_id = $1 AND e.standing <= 1 AND e.origin_server_ts >= $2 AND e.origin_server_ts <= $3
    ORDER BY e.origin_server_ts DESC, e.position DESC LIMIT $4
"""
)


async def first_between(tx: Tx, room_id: str, earliest: int, latest: int, limit: int) -> list[StoredEvent]:
    """The first events of the room that claim a time in this stretch, ends included."""
    return [stored_event(row) for row in await tx.fetch(_EARLIEST, room_id, earliest, latest, limit)]


async def last_between(tx: Tx, room_id: str, earliest: int, latest: int, limit: int) -> list[StoredEvent]:
    """The last events of the room that claim a time in this stretch, the last first."""
    return [stored_event(row) for row in await tx.fetch(_LATEST, room_id, earliest, latest, limit)]


_ERASED = sql("SELECT user_id FROM users WHERE user_id = ANY($1::text[]) AND erased")


async def erased_among(tx: Tx, users: Collection[str]) -> frozenset[str]:
    """Those of the users who are ours and have asked to be forgotten."""
    return frozenset(row["user_id"] for row in await tx.fetch(_ERASED, list(users)))


_SHARES_ROOM = sql(
    """
    SELECT EXISTS (
        SELECT FROM memberships AS m JOIN room_servers AS s ON s.room_id = m.room_id
        WHERE m.user_id = $1 AND m.membership = 'join' AND m.is_local AND s.server = $2 AND s.joined > 0
    )
"""
)


async def shares_room(tx: Tx, user_id: str, server: str) -> bool:
    """Is a user of the server in a room with our user?"""
    shares: bool = await tx.fetchval(_SHARES_ROOM, user_id, server)
    return shares


_NAMED = sql(
    """
    SELECT DISTINCT named FROM auth_chains AS c CROSS JOIN LATERAL unnest(c.auth_events) AS named
    WHERE c.event_id = ANY($1::text[])
"""
)
# OFFSET 0: each row is looked up by its ID. The planner takes the recursion for a long one, and would read the whole table into a
# hash at every step of it.
_BELOW = sql(
    """
    WITH RECURSIVE below (event_id) AS (
        SELECT start FROM unnest($1::text[]) AS start
        UNION
        SELECT named FROM below
        CROSS JOIN LATERAL (SELECT auth_events FROM auth_chains AS c WHERE c.event_id = below.event_id OFFSET 0) AS c
        CROSS JOIN LATERAL unnest(c.auth_events) AS named
    )
    SELECT event_id FROM below
"""
)


async def auth_chain_below(tx: Tx, event_ids: Collection[str]) -> set[str]:
    """All that these state events rest on.

    What they name themselves is mostly among them, as in the state of a room: only what is not is walked down from.
    """
    starts = set(event_ids)
    named = {row["named"] for row in await tx.fetch(_NAMED, list(starts))}
    if deeper := named - starts:
        named.update(row["event_id"] for row in await tx.fetch(_BELOW, list(deeper)))
    return named


_HAS_JOINED = sql(
    """
    SELECT EXISTS (SELECT FROM room_servers AS s WHERE s.room_id = $1 AND s.server = $2 AND s.joined > 0)
        OR EXISTS (SELECT FROM partial_rooms AS p WHERE p.room_id = $1 AND $2 = ANY(p.servers))
        OR EXISTS (
            SELECT FROM memberships
            WHERE room_id = $1 AND membership = 'join' AND is_local
                AND substr(user_id, strpos(user_id, ':') + 1) = $2
        )
"""
)


async def has_joined_user(tx: Tx, room_id: str, server: str) -> bool:
    """Is a user of the server, which may be ours, joined to the room?"""
    has: bool = await tx.fetchval(_HAS_JOINED, room_id, server)
    return has
