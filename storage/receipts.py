"""Receipts: up to where somebody has read, in a room or in one thread of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from storage.database import Tx
from storage.statement import rows, sql

READ, READ_PRIVATE, FULLY_READ = "m.read", "m.read.private", "m.fully_read"
UNTHREADED = ""
"""The thread of a receipt for the whole room."""

# Values: the event's position, time, room ID, user ID, receipt type, thread or UNTHREADED, event ID. A receipt never
# goes backwards, within a batch neither.
SET_RECEIPT = rows(
    """
    INSERT INTO receipts AS r (position, event_position, ts, room_id, user_id, receipt_type, thread_id, event_id)
    SELECT DISTINCT ON (room_id, user_id, receipt_type, thread_id) *
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
        AS n (position, event_position, ts, room_id, user_id, receipt_type, thread_id, event_id)
    ORDER BY room_id, user_id, receipt_type, thread_id, event_position DESC
    ON CONFLICT (room_id, user_id, receipt_type, thread_id) DO UPDATE
    SET position = excluded.position, event_position = excluded.event_position, ts = excluded.ts,
        event_id = excluded.event_id
    WHERE excluded.event_position > r.event_position
"""
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A receipt that somebody wants to set."""

    receipt_type: str
    event_id: str
    thread_id: str = UNTHREADED


@dataclass(frozen=True, slots=True)
class Place:
    """Where a wanted receipt would be: the position of its event (None: no such event in the room), the root of the
    event's thread (None: in the main timeline), and the position of the receipt that stands (None: there is none)."""

    position: int | None
    root: str | None
    before: int | None


_PLACES = sql(
    """
    SELECT m.membership, e.position, t.root, CASE w.receipt_type
        WHEN 'm.fully_read' THEN (
            SELECT f.position FROM account_data AS a
            JOIN events AS f ON f.event_id = convert_from(a.content, 'UTF8')::json ->> 'event_id'
            WHERE a.user_id = $2 AND a.room_id = $1 AND a.type = 'm.fully_read'
        ) ELSE r.event_position END AS before
    FROM unnest($3::text[], $4::text[], $5::text[]) WITH ORDINALITY AS w (receipt_type, event_id, thread_id, number)
    LEFT JOIN memberships AS m ON m.room_id = $1 AND m.user_id = $2
    LEFT JOIN events AS e ON e.event_id = w.event_id AND e.room_id = $1 AND e.standing <= 1
    LEFT JOIN thread_events AS t ON t.event_id = e.event_id
    LEFT JOIN receipts AS r ON r.room_id = $1 AND r.user_id = $2 AND r.receipt_type = w.receipt_type
        AND r.thread_id = w.thread_id
    ORDER BY w.number
"""
)


async def places_of(
    tx: Tx, room_id: str, user_id: str, wanted: Sequence[Wanted]
) -> tuple[str | None, list[Place]]:
    """The user's membership in the room (None: never any), and where each of the receipts would be."""
    found = await tx.fetch(
        _PLACES,
        room_id,
        user_id,
        [one.receipt_type for one in wanted],
        [one.event_id for one in wanted],
        [one.thread_id for one in wanted],
    )
    return found[0]["membership"], [Place(row["position"], row["root"], row["before"]) for row in found]
