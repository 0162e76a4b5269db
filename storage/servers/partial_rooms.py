"""Rooms that we have joined and whose members are still to come (§Partial-state joins, `omit_members`)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from protocol.events import StateKey
from protocol.ids import EventID, RoomID, ServerName, UserID
from storage.database import Tx
from storage.events import Standing
from storage.statement import each, sql


@dataclass(frozen=True, slots=True)
class PartialRoom:
    """Such a room: the join by which we entered, the server that let us in, and all that it said are in the room."""

    room_id: RoomID
    join_event: EventID
    server: ServerName
    servers: tuple[ServerName, ...]


# Values: room ID, the join's event ID, the server that let us in, an array of those in the room. Of a room that we come back to
# the members are known as they were: of servers that are not among those any more they are set aside, so that these are not
# told of what is said now.
MARK_PARTIAL = each(
    """
    WITH marked AS (
        INSERT INTO partial_rooms (room_id, join_event, server, servers)
        SELECT $2::text, $3::text, $4::text, $5::text[] WHERE $1::bigint IS NOT NULL
        ON CONFLICT (room_id) DO UPDATE
        SET join_event = excluded.join_event, server = excluded.server, servers = excluded.servers, lease = 0
    )
    UPDATE room_servers
    SET joined = CASE WHEN server = ANY($5) THEN joined + aside ELSE 0 END,
        aside = CASE WHEN server = ANY($5) THEN 0 ELSE joined + aside END,
        until = CASE WHEN joined > 0 AND server <> ALL($5) THEN $1 - 1
            WHEN joined + aside > 0 AND server = ANY($5) THEN NULL ELSE until END
    WHERE room_id = $2 AND since < $1 AND (joined <> 0 OR aside <> 0)
"""
)

# Values: room ID, the position of our join. The servers that we were told of were in the room when we joined: what they have
# not been sent since then is still for them. The others are known from now on: by `since` it is seen that they are to be told of
# our users' devices (storage/servers/outgoing.py).
UNMARK_PARTIAL = each(
    """
    WITH gone AS (
        DELETE FROM partial_rooms WHERE room_id = $2 RETURNING servers
    ), whole AS (
        UPDATE rooms SET whole_since = $1::bigint WHERE room_id = $2
    )
    UPDATE room_servers AS s
    SET joined = s.joined + s.aside, aside = 0,
        since = CASE WHEN s.joined + s.aside = 0 THEN s.since
            WHEN s.server = ANY(gone.servers) THEN least(s.since, $3) ELSE $1 END,
        until = CASE WHEN s.aside <> 0 AND s.joined + s.aside > 0 THEN NULL ELSE s.until END
    FROM gone
    WHERE s.room_id = $2 AND (s.joined > 0 AND s.since > $3 OR s.aside <> 0)
"""
)

# Of a room that is entered with all of its members, whatever was known of it before. Values: room ID.
FORGET_MARK = each(
    """
    WITH gone AS (
        DELETE FROM partial_rooms WHERE room_id = $2 AND $1::bigint IS NOT NULL
    )
    UPDATE room_servers
    SET joined = joined + aside, aside = 0, until = CASE WHEN joined + aside > 0 THEN NULL ELSE until END
    WHERE room_id = $2 AND aside <> 0
"""
)

# Values: room ID, the position of the join, and of what was left out of the state before it arrays of types, state keys and
# event IDs. It goes into the oldest layer of each state since: whatever is newer there stays as it is.
FILL_STATES = each(
    """
    WITH since AS (
        SELECT DISTINCT s.snapshot, s.layers[1] AS layer
        FROM events AS e JOIN state_snapshots AS s ON s.snapshot = e.snapshot
        WHERE e.room_id = $2 AND e.position >= $3 AND $1::bigint IS NOT NULL
    ), sized AS (
        UPDATE state_snapshots AS s SET sizes[1] = s.sizes[1] + cardinality($4::text[])
        FROM since WHERE s.snapshot = since.snapshot
    )
    INSERT INTO state_layers (layer, type, state_key, event_id)
    SELECT base.layer, n.type, n.state_key, n.event_id
    FROM (SELECT DISTINCT layer FROM since) AS base
    CROSS JOIN unnest($4::text[], $5::text[], $6::text[]) AS n (type, state_key, event_id)
    ON CONFLICT DO NOTHING
"""
)

_MEMBERS = sql("SELECT count(*) FROM current_state WHERE room_id = $1 AND type = 'm.room.member'")


async def number_of_members(tx: Tx, room_id: str) -> int:
    """How many membership events the room's state has here, of whatever membership."""
    return int(await tx.fetchval(_MEMBERS, room_id))


_IS_PARTIAL = sql("SELECT EXISTS (SELECT FROM partial_rooms WHERE room_id = $1)")


async def is_partial(tx: Tx, room_id: str) -> bool:
    """Are we in the room without knowing all of its members?"""
    partial: bool = await tx.fetchval(_IS_PARTIAL, room_id)
    return partial


_JOIN = sql("SELECT join_event FROM partial_rooms WHERE room_id = $1")


async def join_of_partial(tx: Tx, room_id: str) -> EventID | None:
    """The join by which we entered the room; None for a room whose members we know."""
    join: EventID | None = await tx.fetchval(_JOIN, room_id)
    return join


@dataclass(frozen=True, slots=True)
class ToldEvent:
    """What is asked of an event of which a server says that it is in a room's state; `key` None: it is no state event."""

    event_id: EventID
    room_id: RoomID
    key: StateKey | None
    standing: Standing


_TOLD = sql(
    "SELECT event_id, room_id, type, state_key, standing FROM events WHERE event_id = ANY($1::text[])"
)


async def told_events(tx: Tx, event_ids: Collection[str]) -> list[ToldEvent]:
    """Those of the events that are here."""
    return [
        ToldEvent(
            row["event_id"],
            row["room_id"],
            (row["type"], row["state_key"]) if row["state_key"] is not None else None,
            Standing(row["standing"]),
        )
        for row in await tx.fetch(_TOLD, list(event_ids))
    ]


_NEVER_PLACED = sql("SELECT event_id FROM events WHERE event_id = ANY($1::text[]) AND standing = 2")


async def never_placed(tx: Tx, event_ids: Collection[str | None]) -> set[str]:
    """Those of the events that are part of a state without ever having come themselves."""
    if not event_ids:
        return set()
    return {row["event_id"] for row in await tx.fetch(_NEVER_PLACED, [e for e in event_ids if e is not None])}


_LOCAL = sql("SELECT user_id FROM memberships WHERE room_id = $1 AND membership = 'join' AND is_local")


async def local_members(tx: Tx, room_id: str) -> list[UserID]:
    """Our users who are in the room."""
    return [row["user_id"] for row in await tx.fetch(_LOCAL, room_id)]


_TAKE = sql(
    """
    UPDATE partial_rooms SET lease = $2 WHERE room_id = (
        SELECT room_id FROM partial_rooms WHERE lease <= $1 ORDER BY lease LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    RETURNING room_id, join_event, server, servers
"""
)


async def take_partial(tx: Tx, now: int, until: int) -> PartialRoom | None:
    """A room that nobody is completing, for the caller alone until a time (ms); None if there is none."""
    row = await tx.fetchrow(_TAKE, now, until)
    return _partial(row) if row is not None else None


_AGAIN = sql(
    """
    UPDATE partial_rooms
    SET attempts = attempts + 1, lease = $2 + least($3::bigint * (1 << least(attempts, 20)), 3600000)
    WHERE room_id = $1
"""
)


async def try_again_later(tx: Tx, room_id: str, now: int, wait: int) -> None:
    """Nobody is to complete the room for some time (ms): longer each time, up to an hour."""
    await tx.execute(_AGAIN, room_id, now, wait)


# Where all of ours have left again. Values: room ID.
FORGET_PARTIAL = each("""
    DELETE FROM partial_rooms WHERE room_id = $2 AND $1::bigint IS NOT NULL
        AND NOT EXISTS (SELECT FROM memberships WHERE room_id = $2 AND membership = 'join' AND is_local)
""")

_NEXT = sql("SELECT min(lease) FROM partial_rooms")


async def next_attempt(tx: Tx) -> int | None:
    """When (ms) the first of the rooms may be completed; None where there is none."""
    at: int | None = await tx.fetchval(_NEXT)
    return at


def _partial(row: Any) -> PartialRoom:
    return PartialRoom(row["room_id"], row["join_event"], row["server"], tuple(row["servers"]))
