"""Walking a room's graph from events to those before them, for backfill and for filling gaps.

A stretch of the room's order is read at once, since an event's parents usually stand just before it; what is not in it
is read generation by generation. So a walk of a hundred events takes two queries, seldom more, and never one an event.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection
from dataclasses import dataclass

from protocol.ids import EventID, RoomID
from storage.database import Tx
from storage.events import Standing, StoredEvent, events_by_id
from storage.servers.serving import events_before

MAX_GENERATIONS = 50
"""Queries of one walk: where the graph is that scattered, the asker gets less than it wants, and asks again."""
MAX_PASSED = 2000
"""Events of one walk that are looked at."""


@dataclass(frozen=True, slots=True)
class Walk:
    """How far to go: not past the events in `stop`, not below `min_depth`, at most `limit` events."""

    limit: int
    stop: frozenset[str] = frozenset()
    min_depth: int = 0
    including_starts: bool = True


async def ancestors(tx: Tx, room_id: RoomID, starts: Collection[EventID], walk: Walk) -> list[StoredEvent]:
    """The starting events and those before them, the deepest first, as far as we have them and they are of this room.

    Rejected events and outliers are passed over; what stands behind rejected ones is found all the same.
    """
    known = {i: e for i, e in (await events_by_id(tx, set(starts))).items() if e.event.room_id == room_id}
    top = max((stored.position for stored in known.values() if _has_place(stored)), default=None)
    if top is not None:
        known |= {e.event.event_id: e for e in await events_before(tx, room_id, top, 2 * walk.limit + 10)}
    found: list[StoredEvent] = []
    waiting = [(-known[i].event.depth, i) for i in set(starts) if i in known]
    heapq.heapify(waiting)
    seen = {event_id for _, event_id in waiting}
    generations = 0
    while waiting and len(found) < walk.limit and len(seen) < MAX_PASSED:
        _, event_id = heapq.heappop(waiting)
        stored = known[event_id]
        if _is_served(stored, walk) and (walk.including_starts or event_id not in starts):
            found.append(stored)
        parents = _parents(stored, walk) - seen
        absent = parents - known.keys()
        if absent and generations < MAX_GENERATIONS:
            generations += 1
            # What others wait for is asked for in the same query.
            absent |= {p for _, i in waiting for p in _parents(known[i], walk)} - known.keys()
            known |= {i: e for i, e in (await events_by_id(tx, absent)).items() if e.event.room_id == room_id}
        for parent in parents & known.keys():
            seen.add(parent)
            heapq.heappush(waiting, (-known[parent].event.depth, parent))
    return found


def _parents(stored: StoredEvent, walk: Walk) -> set[EventID]:
    if stored.event.depth <= walk.min_depth:
        return set()
    return {parent for parent in stored.event.prev_events if parent not in walk.stop}


def _is_served(stored: StoredEvent, walk: Walk) -> bool:
    return _has_place(stored) and stored.event.depth >= walk.min_depth


def _has_place(stored: StoredEvent) -> bool:
    return stored.standing not in (Standing.OUTLIER, Standing.REJECTED)
