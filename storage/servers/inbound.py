"""What other servers send us, until it is in its room: transactions answered, PDUs taken over, and gaps in the graph."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from protocol.ids import EventID, RoomID, ServerName
from storage.database import Tx
from storage.events import SELECT_EVENT, StoredEvent, stored_event
from storage.statement import each, rows, sql

_KNOWN = sql(
    SELECT_EVENT  # noqa: S608
    + """
    WHERE e.event_id = ANY($1::text[] || ARRAY(
        SELECT redaction FROM redactions WHERE target = $2 AND NOT applied ORDER BY redaction LIMIT 20
    ))
"""
)


async def known_events(tx: Tx, event_ids: Collection[str], arriving: str) -> dict[EventID, StoredEvent]:
    """Those of the events that we have, and redactions of the arriving one that could not be carried out so far."""
    found = (stored_event(row) for row in await tx.fetch(_KNOWN, list(event_ids), arriving))
    return {stored.event.event_id: stored for stored in found}


# Values: event ID of a redaction.
REDACTION_APPLIED = each(
    "UPDATE redactions SET applied = true WHERE redaction = $2 AND $1::bigint IS NOT NULL"
)

# Values: room ID, the missing event, the event of ours that names it.
APPEND_BACKWARD_EXTREMITY = rows(
    """
    INSERT INTO backward_extremities (room_id, event_id, child)
    SELECT n.room_id, n.event_id, n.child
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[]) AS n (position, room_id, event_id, child)
    ON CONFLICT DO NOTHING
"""
)

# Values: room ID, IDs of events that are here now (or that nobody wants any more) as text of an array.
CLOSE_BACKWARD_EXTREMITIES = each(
    """
    DELETE FROM backward_extremities
    WHERE room_id = $2 AND event_id = ANY($3::text[]) AND $1::bigint IS NOT NULL
"""
)

_IS_BEHIND = sql("SELECT EXISTS (SELECT FROM backward_extremities WHERE room_id = $1 AND event_id = $2)")


async def is_behind(tx: Tx, room_id: str, event_id: str) -> bool:
    """Does an event of ours follow on this one, which was missing?"""
    behind: bool = await tx.fetchval(_IS_BEHIND, room_id, event_id)
    return behind


_HISTORY_POSITIONS = sql("SELECT nextval('history') AS position FROM generate_series(1, $1::int)")


async def history_positions(tx: Tx, count: int) -> list[int]:
    """Positions below all that were given before, descending."""
    return sorted((row["position"] for row in await tx.fetch(_HISTORY_POSITIONS, count)), reverse=True)


@dataclass(frozen=True, slots=True)
class OpenRoom:
    """A room that we are in, as far as it matters to a server that sends something for it."""

    room_id: RoomID
    room_version: str
    acl: bytes | None
    """The JSON of the m.room.server_acl event."""


_OPEN_ROOMS = sql(
    """
    SELECT r.room_id, r.room_version, e.json AS acl
    FROM rooms AS r
    LEFT JOIN current_state AS c ON c.room_id = r.room_id AND c.type = 'm.room.server_acl' AND c.state_key = ''
    LEFT JOIN events AS e ON e.event_id = c.event_id
    WHERE r.room_id = ANY($1::text[]) AND EXISTS (
        SELECT FROM memberships AS m WHERE m.room_id = r.room_id AND m.membership = 'join' AND m.is_local
    )
"""
)


async def open_rooms(tx: Tx, room_ids: Collection[str]) -> dict[str, OpenRoom]:
    """Those of the rooms in which users of ours are."""
    found = await tx.fetch(_OPEN_ROOMS, list(room_ids))
    return {row["room_id"]: OpenRoom(**row) for row in found}


@dataclass(frozen=True, slots=True)
class InboundPdu:
    """A PDU that we have taken over: checked, but not yet in its room."""

    room_id: RoomID
    event_id: EventID
    origin: ServerName
    json: bytes


_KEEP = sql(
    """
    INSERT INTO inbound_pdus (room_id, event_id, origin, received, json)
    SELECT p.room_id, p.event_id, $3, $4, p.json
    FROM unnest($1::text[], $2::text[], $5::bytea[]) WITH ORDINALITY AS p (room_id, event_id, json, place)
    ORDER BY p.place
    ON CONFLICT DO NOTHING
"""
)


async def keep_pdus(tx: Tx, origin: str, received: int, pdus: Sequence[InboundPdu]) -> None:
    """The PDUs, of one origin, will be worked off, whatever happens to this process."""
    rooms, ids = [pdu.room_id for pdu in pdus], [pdu.event_id for pdu in pdus]
    await tx.execute(_KEEP, rooms, ids, origin, received, [pdu.json for pdu in pdus])


_DROP_OLDEST = sql(
    """
    DELETE FROM inbound_pdus AS p USING (
        SELECT number, count(*) OVER newest AS place, sum(octet_length(json)) OVER newest AS size
        FROM inbound_pdus WHERE room_id = $1 WINDOW newest AS (ORDER BY number DESC)
    ) AS n
    WHERE p.number = n.number AND p.room_id = $1 AND (n.place > $2 OR n.size > $3)
    RETURNING p.event_id
"""
)


async def drop_oldest(tx: Tx, room_id: str, most: int, most_bytes: int) -> list[EventID]:
    """Of a room no more PDUs wait than so many, and not more than so many bytes; the oldest, which do not wait any more."""
    return [row["event_id"] for row in await tx.fetch(_DROP_OLDEST, room_id, most, most_bytes)]


# Each PDU counts for its bytes and some for its row. Those stay of which the least is newer, of the same server: whoever has sent
# most loses first.
_SHARE = sql(
    """
    WITH waiting AS (
        SELECT number, origin, octet_length(json) + $2::bigint AS size FROM inbound_pdus
    ), shared AS (
        SELECT number, size, sum(size) OVER (PARTITION BY origin ORDER BY number DESC) AS newer FROM waiting
    ), counted AS (
        SELECT number, sum(size) OVER (ORDER BY newer, number DESC) AS total FROM shared
    )
    DELETE FROM inbound_pdus AS p USING counted AS c
    WHERE p.number = c.number AND c.total > $1::bigint
    RETURNING p.room_id, p.origin
"""
)
_TOTAL = sql("SELECT coalesce(sum(octet_length(json) + $1::bigint), 0)::bigint FROM inbound_pdus")
PDU_ROW = 1024  # bytes that a PDU takes beside its own


async def waiting_bytes(tx: Tx) -> int:
    """How much the PDUs that wait are, in all rooms together."""
    return int(await tx.fetchval(_TOTAL, PDU_ROW))


async def drop_beyond(tx: Tx, most: int) -> list[tuple[RoomID, ServerName]]:
    """In all rooms together not more bytes of PDUs wait; room and origin of each that does not wait any more. Each server may
    have as much as the others; of one that has more its oldest go."""
    return [(row["room_id"], row["origin"]) for row in await tx.fetch(_SHARE, most, PDU_ROW)]


_FORGET = sql("DELETE FROM inbound_pdus WHERE room_id = $1 AND event_id = ANY($2::text[])")


async def forget_pdus(tx: Tx, room_id: str, event_ids: Sequence[str]) -> None:
    """These have been worked off."""
    await tx.execute(_FORGET, room_id, list(event_ids))


_KEPT = sql(
    """
    WITH RECURSIVE waiting AS (
        (SELECT room_id FROM inbound_pdus ORDER BY room_id LIMIT 1)
        UNION ALL
        SELECT n.room_id FROM waiting AS w CROSS JOIN LATERAL (
            SELECT room_id FROM inbound_pdus WHERE room_id > w.room_id ORDER BY room_id LIMIT 1
        ) AS n
    )
    SELECT p.room_id, p.event_id, p.origin, p.json, r.room_version
    FROM waiting AS w CROSS JOIN LATERAL (
        SELECT * FROM inbound_pdus WHERE room_id = w.room_id AND received <= $1 ORDER BY number LIMIT $2
    ) AS p
    LEFT JOIN rooms AS r ON r.room_id = p.room_id
    ORDER BY p.number
"""
)


async def kept_pdus(tx: Tx, received_until: int, limit: int) -> list[tuple[InboundPdu, str | None]]:
    """The oldest PDUs that wait, so many of each room, each with the version of its room."""
    return [
        (InboundPdu(row["room_id"], row["event_id"], row["origin"], row["json"]), row["room_version"])
        for row in await tx.fetch(_KEPT, received_until, limit)
    ]


_RESPONSE = sql("SELECT response FROM inbound_transactions WHERE origin = $1 AND txn_id = $2")


async def response_to(tx: Tx, origin: str, txn_id: str) -> bytes | None:
    """What was answered to this transaction; None for a new one."""
    response: bytes | None = await tx.fetchval(_RESPONSE, origin, txn_id)
    return response


_KEEP_RESPONSE = sql(
    """
    INSERT INTO inbound_transactions (origin, txn_id, received, response) VALUES ($1, $2, $3, $4)
    ON CONFLICT DO NOTHING
"""
)


async def keep_response(tx: Tx, origin: str, txn_id: str, received: int, response: bytes) -> None:
    """This is answered to the transaction, however often it comes."""
    await tx.execute(_KEEP_RESPONSE, origin, txn_id, received, response)


_FORGET_RESPONSES = sql("DELETE FROM inbound_transactions WHERE received < $1")


async def forget_responses(tx: Tx, before: int) -> None:
    """Transactions of so long ago do not come again."""
    await tx.execute(_FORGET_RESPONSES, before)


_JOINED = sql(
    """
    SELECT w.room_id, w.user_id, e.position
    FROM unnest($1::text[], $2::text[], $3::text[]) AS w (room_id, user_id, event_id)
    LEFT JOIN memberships AS m ON m.room_id = w.room_id AND m.user_id = w.user_id
    LEFT JOIN events AS e ON e.event_id = w.event_id AND e.room_id = w.room_id AND e.standing <= 1
    WHERE m.membership = 'join' AND NOT m.is_local
        OR m IS NULL AND EXISTS (  -- we do not know all members yet, but which servers they are of
            SELECT FROM partial_rooms AS p
            WHERE p.room_id = w.room_id AND substr(w.user_id, strpos(w.user_id, ':') + 1) = ANY(p.servers)
        )
"""
)


async def joined_elsewhere(
    tx: Tx, asked: Collection[tuple[str, str, str]]
) -> dict[tuple[str, str], int | None]:
    """Of (room, user of another server, event) those whose user is in the room: the event's position there, if it has one."""
    if not asked:
        return {}
    found = await tx.fetch(_JOINED, *(list(column) for column in zip(*asked, strict=True)))
    return {(row["room_id"], row["user_id"]): row["position"] for row in found}
