"""Events as stored: the federation format and what we know about each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import orjson

from protocol.events import Event
from protocol.ids import EventID, RoomID
from protocol.json import parse_exact
from protocol.room_versions import RoomVersion, version_named
from storage.database import Tx
from storage.statement import each, rows, sql


class Standing(IntEnum):
    """What place an event has in its room."""

    TIMELINE = 0  # arrived live; /sync shows it
    HISTORY = 1  # backfilled; /messages shows it
    OUTLIER = 2  # known without its place: auth events, invites
    SOFT_FAILED = 3  # in the graph, not shown, not a forward extremity
    REJECTED = 4  # kept only because other events may name it
    HELD_BACK = 5  # a redaction in the graph like any event, but not shown: what it redacts is not here, or not its to redact


@dataclass(frozen=True, slots=True, eq=False)
class StoredEvent:
    """An event with its place in the room, as our database knows it."""

    event: Event
    position: int
    snapshot: int | None
    tally: int
    standing: Standing
    counts: bool
    highlights_all: bool
    replaces_state: EventID | None
    redacted_by: EventID | None
    device_id: str | None
    txn_id: str | None


# What `stored_event` reads.
SELECT_EVENT = """
    SELECT e.event_id, e.room_id, e.json, e.position, e.snapshot, e.tally, e.standing, e.counts, e.highlights_all,
    e.replaces_state, e.redacted_by, e.device_id, e.txn_id,
        r.room_version
    FROM events AS e LEFT JOIN rooms AS r ON r.room_id = e.room_id
"""

APPEND_EVENT = rows(
    """
    INSERT INTO events (position, depth, origin_server_ts, snapshot, tally, standing, counts, highlights_all,
        event_id, room_id, type, state_key, sender, replaces_state, redacted_by, rejection, device_id, txn_id,
        txn_digest, json)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::smallint[],
        $7::boolean[], $8::boolean[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[],
        $15::text[], $16::text[], $17::text[], $18::text[], $19::bytea[], $20::bytea[])
"""
)

# The same for events of other servers, which may be here already without a place in the room: then they get it now. The first
# value is the position of an event that is not placed at the journal's own (history), or None. The last two say where there is
# room for what is missing before it: behind a position, or in so many positions below its own; both None where nothing is.
PLACE_EVENT = rows(
    """
    INSERT INTO events AS e (position, depth, origin_server_ts, snapshot, tally, standing, counts, highlights_all,
        event_id, room_id, type, state_key, sender, replaces_state, redacted_by, rejection, json, gap)
    SELECT coalesce(n.own_position, n.position), n.depth, n.origin_server_ts, n.snapshot, n.tally, n.standing, n.counts,
        n.highlights_all, n.event_id, n.room_id, n.type, n.state_key, n.sender, n.replaces_state, n.redacted_by,
        n.rejection, n.json, coalesce(n.gap, n.position - n.reserved - 1)
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::smallint[],
        $8::boolean[], $9::boolean[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[],
        $16::text[], $17::text[], $18::bytea[], $19::bigint[], $20::bigint[])
        AS n (position, own_position, depth, origin_server_ts, snapshot, tally, standing, counts, highlights_all, event_id,
            room_id, type, state_key, sender, replaces_state, redacted_by, rejection, json, gap, reserved)
    ON CONFLICT (event_id) DO UPDATE
    SET position = excluded.position, snapshot = excluded.snapshot, tally = excluded.tally, standing = excluded.standing,
        counts = excluded.counts, highlights_all = excluded.highlights_all, replaces_state = excluded.replaces_state,
        redacted_by = excluded.redacted_by, rejection = excluded.rejection, json = excluded.json,
        gap = excluded.gap
    WHERE (e.standing = 2 AND excluded.standing <> 2) OR (e.snapshot IS NULL AND excluded.snapshot IS NOT NULL)
        OR (e.standing = 3 AND excluded.standing = 0)
""",
    key=(8,),
)

# An event that was placed is what came of a transaction of ours. Values: event ID, the transaction's digest.
NAME_TXN = each("UPDATE events SET txn_digest = $3 WHERE event_id = $2 AND $1::bigint IS NOT NULL")

# A redaction that was held back is shown from now on, at this position. Values: event ID, the room's tally.
SHOW_HELD_BACK = each(
    "UPDATE events SET standing = 0, position = $1, tally = $3 WHERE event_id = $2 AND standing = 5"
)

# Values: event ID, the redacted form, the redaction's ID, and whether to keep what it said for a while.
REDACT_EVENT = each("""
    WITH kept AS (
        INSERT INTO redacted_originals (event_id, json)
        SELECT e.event_id, e.json FROM events AS e WHERE e.event_id = $2 AND e.redacted_by IS NULL AND $5::boolean
        ON CONFLICT DO NOTHING
    )
    UPDATE events SET json = $3, redacted_by = $4 WHERE event_id = $2 AND $1::bigint IS NOT NULL
""")


def event_of(event_id: str, room_id: str, json: bytes, version: RoomVersion) -> Event:
    """The event that we stored before, not checked again."""
    # «Floats and large integers»: only the older versions have them, and their hashes cover every digit.
    read = orjson.loads if version.strict_canonical_json else parse_exact
    return Event.from_trusted(read(json), EventID(event_id), version, RoomID(room_id))


def stored_event(row: Any) -> StoredEvent:
    """The event in a row of SELECT_EVENT."""
    # An event of a room that we are not in (an invite) has no room to name its version; its format is the
    # newest one's unless it says its own ID.
    version = version_named(row["room_version"] or "11")
    return StoredEvent(
        event_of(row["event_id"], row["room_id"], row["json"], version),
        row["position"],
        row["snapshot"],
        row["tally"],
        Standing(row["standing"]),
        row["counts"],
        row["highlights_all"],
        row["replaces_state"],
        row["redacted_by"],
        row["device_id"],
        row["txn_id"],
    )


_BY_ID = sql(SELECT_EVENT + "WHERE e.event_id = ANY($1::text[])")


async def events_by_id(tx: Tx, event_ids: Collection[str]) -> dict[EventID, StoredEvent]:
    """Those of the events that we have, of whatever standing; the caller minds the missing ones."""
    found = (stored_event(row) for row in await tx.fetch(_BY_ID, list(event_ids)))
    return {stored.event.event_id: stored for stored in found}


async def event_by_id(tx: Tx, event_id: str) -> StoredEvent | None:
    """The event; None if we do not have it."""
    return (await events_by_id(tx, (event_id,))).get(EventID(event_id))


_BY_TXN = sql("SELECT event_id FROM events WHERE txn_digest = $1")


async def event_of_txn(tx: Tx, digest: bytes) -> EventID | None:
    """What came of this transaction when it was sent before; None if it never was."""
    event_id: EventID | None = await tx.fetchval(_BY_TXN, digest)
    return event_id
