"""Reading the events of rooms in their order, for timelines."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import asyncpg

from storage.database import Tx
from storage.statement import sql

OLDEST = -(2**63)  # before every position, those of backfilled history included
NEWEST = 2**63 - 1

# With each event: the event that a state event replaced, and the redaction; `plain`: is this event all that changed the
# state at its position? Only what has a place in the room's order (standing) is shown.
_SHOWN = """
    SELECT e.position, e.event_id, e.room_id, e.type, e.state_key, e.sender, e.origin_server_ts, e.snapshot, e.tally,
        e.counts, e.replaces_state, e.redacted_by, e.device_id, e.txn_id, e.json, e.gap, e.standing,
        (SELECT p.json FROM events AS p WHERE p.event_id = e.replaces_state) AS replaced,
        (SELECT r.json FROM events AS r WHERE r.event_id = e.redacted_by) AS redaction,
        NOT EXISTS (
            SELECT FROM state_deltas AS d
            WHERE d.room_id = e.room_id AND d.position = e.position AND d.event_id IS DISTINCT FROM e.event_id
        ) AND (e.state_key IS NULL OR EXISTS (
            SELECT FROM state_deltas AS d WHERE d.room_id = e.room_id AND d.position = e.position
        )) AS plain
    FROM events AS e
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events a reader asks for, as far as SQL can tell: the others need not be fetched. None: any."""

    types: tuple[str, ...] | None = None
    not_types: tuple[str, ...] = ()
    senders: tuple[str, ...] | None = None
    not_senders: tuple[str, ...] = ()
    related_by_rel_types: tuple[str, ...] | None = None
    related_by_senders: tuple[str, ...] | None = None

    def arrays(self) -> tuple[Sequence[str] | None, ...]:
        """As the statements take them."""
        return (
            self.types,
            self.not_types,
            self.senders,
            self.not_senders,
            self.related_by_rel_types,
            self.related_by_senders,
        )


ANY = Wanted()

_WANTED = """
        ($4::text[] IS NULL OR e.type = ANY($4)) AND e.type <> ALL($5::text[])
        AND ($6::text[] IS NULL OR e.sender = ANY($6)) AND e.sender <> ALL($7::text[])
        AND (($8::text[] IS NULL AND $9::text[] IS NULL) OR EXISTS (
            SELECT FROM relations AS child
            WHERE child.parent = e.event_id AND child.room_id = e.room_id
                AND ($8 IS NULL OR child.rel_type = ANY($8)) AND ($9 IS NULL OR child.sender = ANY($9))
        ))
"""

_TAIL = sql(
    _SHOWN
    + """
    WHERE e.room_id = $1 AND e.standing <= 1 AND e.position > $2
    ORDER BY e.position DESC
    LIMIT $3
"""
)
_VERSION = sql("SELECT version FROM rooms WHERE room_id = $1")


async def tail(tx: Tx, room_id: str, after: int, limit: int) -> tuple[int, list[asyncpg.Record]]:
    """The room's version and its last events after a position, the newest first; wants a snapshot."""
    version: int = await tx.fetchval(_VERSION, room_id) or 0
    return version, await tx.fetch(_TAIL, room_id, after, limit)


_IN_EACH_ROOM = """
    SELECT e.* FROM unnest($1::text[], $2::bigint[], $3::bigint[], $11::boolean[]) AS w (room_id, after, upto, gaps)
    CROSS JOIN LATERAL (
"""
_NEWEST_OF_ROOMS = sql(
    _IN_EACH_ROOM
    + _SHOWN
    + """
        WHERE e.room_id = w.room_id AND e.standing <= 1 AND e.position > w.after AND e.position <= w.upto
            AND (w.gaps AND e.gap IS NOT NULL OR
"""
    + _WANTED
    + """)
        ORDER BY e.position DESC
        LIMIT $10
    ) AS e
"""
)


async def newest_of_rooms(
    tx: Tx, ranges: Collection[tuple[str, int, int, bool]], wanted: Wanted, limit: int
) -> dict[str, list[asyncpg.Record]]:
    """For each (room, after, upto, gaps) the last events at positions in (after, upto], the newest first; with `gaps` also those
    that are not wanted and before which others were missing.
    """
    if not ranges:
        return {}
    found: dict[str, list[asyncpg.Record]] = {}
    *arrays, gaps = (list(column) for column in zip(*ranges, strict=True))
    for row in await tx.fetch(_NEWEST_OF_ROOMS, *arrays, *wanted.arrays(), limit, gaps):
        found.setdefault(row["room_id"], []).append(row)
    return found


_BACKWARDS = sql(
    _SHOWN
    + "WHERE e.room_id = $1 AND e.standing <= 1 AND e.position > $2 AND e.position <= $3 AND"
    + _WANTED
    + "ORDER BY e.position DESC LIMIT $10"
)
_FORWARDS = sql(
    _SHOWN
    + "WHERE e.room_id = $1 AND e.standing <= 1 AND e.position > $2 AND e.position <= $3 AND"
    + _WANTED
    + "ORDER BY e.position LIMIT $10"
)


async def backwards(
    tx: Tx, room_id: str, after: int, upto: int, limit: int, wanted: Wanted = ANY
) -> list[asyncpg.Record]:
    """The last events at positions in (after, upto], the newest first."""
    return await tx.fetch(_BACKWARDS, room_id, after, upto, *wanted.arrays(), limit)


async def forwards(
    tx: Tx, room_id: str, after: int, upto: int, limit: int, wanted: Wanted = ANY
) -> list[asyncpg.Record]:
    """The first events at positions in (after, upto], the oldest first."""
    return await tx.fetch(_FORWARDS, room_id, after, upto, *wanted.arrays(), limit)


_BY_ID = sql(_SHOWN + "WHERE e.event_id = ANY($1::text[])")


async def shown_events(tx: Tx, event_ids: Sequence[str]) -> list[asyncpg.Record]:
    """These events, as far as we have them, of whatever standing."""
    return await tx.fetch(_BY_ID, event_ids)


_STANDING = sql("SELECT standing, position FROM events WHERE event_id = $1 AND room_id = $2")


async def place_of(tx: Tx, room_id: str, event_id: str) -> asyncpg.Record | None:
    """The standing and position of an event of the room; None if we do not have it."""
    return await tx.fetchrow(_STANDING, event_id, room_id)
