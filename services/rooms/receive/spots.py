"""Which place in the room's order each event of history gets: in the gap before the earliest event that it leads to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from protocol.events import Event
from protocol.ids import EventID, RoomID
from services.rooms.receive.order import oldest_first
from storage.database import Tx
from storage.gaps import floors_of, room_in_gap
from storage.servers.inbound import history_positions
from storage.timeline import NEWEST


@dataclass(frozen=True, slots=True)
class Spot:
    """A position; the floor of the gap that it is in, where what is before the event goes too; the room's tally there."""

    position: int
    floor: int
    tally: int


async def spots_in_gaps(
    tx: Tx, room_id: RoomID, led_by: Sequence[Event], events: Sequence[Event]
) -> dict[EventID, Spot]:
    """A spot for each of the events, which are among those that one was led back by; none for those beyond the room there is.

    A gap is filled from above, so that whoever has read as far as its mouth reads on and misses nothing.
    """
    floors = await _floors(tx, room_id, led_by)
    groups: dict[int, list[EventID]] = {}
    for event in reversed(list(oldest_first(events))):
        if floors[event.event_id] < NEWEST:
            groups.setdefault(floors[event.event_id], []).append(event.event_id)
    spots: dict[EventID, Spot] = {}
    for floor, newest_first in groups.items():
        free, tally = await _free(tx, room_id, floor, len(newest_first))
        for event_id, position in zip(newest_first, free, strict=False):
            spots[event_id] = Spot(position, floor, tally)
    return spots


async def _floors(tx: Tx, room_id: RoomID, events: Sequence[Event]) -> dict[EventID, int]:
    """In which gap each of the events belongs: where several that follow on it are, in the earliest."""
    ids = [event.event_id for event in events]
    floors = dict.fromkeys(ids, NEWEST) | await floors_of(tx, room_id, ids)
    for event in reversed(list(oldest_first(events))):
        floor = floors.get(event.event_id, NEWEST)
        floors |= {prev: min(floors.get(prev, NEWEST), floor) for prev in event.prev_events}
    return floors


async def _free(tx: Tx, room_id: RoomID, floor: int, count: int) -> tuple[Iterator[int], int]:
    """Positions that nobody has, the highest first, and the tally there."""
    if floor < 0:
        return iter(await history_positions(tx, count)), 0
    lowest, tally = await room_in_gap(tx, room_id, floor)
    return iter(range(lowest - 1, max(floor, lowest - 1 - count), -1)), tally
