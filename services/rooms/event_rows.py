"""The rows that every event is written as: itself, and what it relates to."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.events import Event
from protocol.ids import DeviceID, EventID
from services.push.tally import NO_TALLY, Tally
from services.rooms.head import Head
from services.rooms.relation import THREAD, relation_in
from storage.events import APPEND_EVENT, PLACE_EVENT, Standing
from storage.journal import Row
from storage.relations import APPEND_RELATION, APPEND_THREAD_EVENT, FOLLOW_THREAD
from storage.timeline import OLDEST


@dataclass(frozen=True, slots=True)
class Origin:
    """The device of ours that an event comes from, and the digest of a transaction that must not be sent twice."""

    device_id: DeviceID | None = None
    txn_id: str | None = None
    digest: bytes | None = None


NOWHERE = Origin()


def event_row(
    head: Head, event: Event, previous: Event | None, tally: Tally, origin: Origin, encoded: bytes
) -> Row:
    """The event itself, on a head that was advanced by it; `previous` is the state event whose place it takes."""
    replaces = previous.event_id if previous is not None else None
    return Row(
        APPEND_EVENT,
        (
            event.depth,
            event.origin_server_ts,
            head.snapshot.snapshot,
            head.tally,
            int(Standing.TIMELINE),
            tally.counts,
            tally.highlights_all,
            event.event_id,
            event.room_id,
            event.type,
            event.state_key,
            event.sender,
            replaces,
            None,
            None,
            origin.device_id,
            origin.txn_id,
            origin.digest,
            encoded,
        ),
    )


@dataclass(frozen=True, slots=True)
class Gap:
    """Where there is room for the events that are missing before one: behind position `floor`, or in so many positions below
    its own, which the journal leaves free."""

    reserved: int = 0
    floor: int | None = None


IN_THE_MIDDLE = Gap(reserved=2**17)
"""What is missing comes after what the room has. Positions are no more than 2**43 (storage/auth_chains.py)."""
AT_THE_BEGINNING = Gap(floor=OLDEST)


@dataclass(frozen=True, slots=True)
class Place:
    """What place an event of another server has: its standing, the state after it (None for outliers), the room's tally with
    it, the state event that it replaced, its own tally, its redaction, why it is not shown, the position of history, and
    whether events are missing before it.
    """

    standing: Standing
    snapshot: int | None = None
    sum_of_tally: int = 0
    replaced: Event | None = None
    tally: Tally = NO_TALLY
    redacted_by: EventID | None = None
    rejection: str | None = None
    position: int | None = None
    gap: Gap | None = None


def placed_row(event: Event, place: Place, encoded: bytes) -> Row:
    """An event of another server in its place; if it was here without one, it gets it now."""
    return Row(
        PLACE_EVENT,
        (
            place.position,
            event.depth,
            event.origin_server_ts,
            place.snapshot,
            place.sum_of_tally,
            int(place.standing),
            place.tally.counts,
            place.tally.highlights_all,
            event.event_id,
            event.room_id,
            event.type,
            event.state_key,
            event.sender,
            place.replaced.event_id if place.replaced is not None else None,
            place.redacted_by,
            place.rejection,
            encoded,
            place.gap.floor if place.gap is not None else None,
            place.gap.reserved if place.gap is not None else None,
        ),
    )


def relation_rows(event: Event, counts: bool, position: int | None = None) -> list[Row]:
    """What the event relates to, and the thread that it is in thereby; `position` is that of an event of history."""
    relation = relation_in(event.content)
    if relation is None:
        return []
    found = (event.event_id, relation.parent, event.room_id, relation.rel_type, event.type, event.sender)
    rows = [Row(APPEND_RELATION, (*found, relation.key, position))]
    statement = APPEND_THREAD_EVENT if relation.rel_type == THREAD else FOLLOW_THREAD
    in_thread = (counts, event.room_id, relation.parent, event.event_id, event.sender)
    return [*rows, Row(statement, in_thread)]
