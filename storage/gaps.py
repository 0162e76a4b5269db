"""Gaps: where events of a room are missing before those that are here, and where what is fetched for them goes.

An event that came with a gap before it has room below its position (`events.gap` says from where on), or, at the beginning of
what we have of a room, everything below. What is fetched fills that from above.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from protocol.ids import EventID
from storage.database import Tx
from storage.statement import sql


@dataclass(frozen=True, slots=True)
class OpenGap:
    """Events of a room are missing: their places are at positions after `floor` and up to `mouth`, where one comes upon the gap
    from later ones. What is fetched goes to its upper end, so that the mouth moves down.
    """

    floor: int
    mouth: int


# What several events name belongs before all of them. One that is kept without being shown has no place for what is before it.
_MISSING = """
    SELECT b.room_id, b.event_id, coalesce(min(e.gap), -9223372036854775808) AS floor, max(e.depth) AS depth
    FROM backward_extremities AS b JOIN events AS e ON e.event_id = b.child
    WHERE b.room_id = ANY($1::text[])
    GROUP BY b.room_id, b.event_id
"""
_OPEN_GAPS = sql(
    f"""
    SELECT g.floor, coalesce(CASE WHEN g.floor < 0 THEN (
        SELECT e.position FROM events AS e WHERE e.room_id = $1[1] AND e.standing <= 1 ORDER BY e.position LIMIT 1
    ) ELSE (
        SELECT e.position FROM events AS e WHERE e.position > g.floor ORDER BY e.position LIMIT 1
    ) END, 1) - 1 AS mouth
    FROM (SELECT DISTINCT m.floor FROM ({_MISSING}) AS m) AS g
    ORDER BY g.floor DESC
"""  # noqa: S608 - nothing but constants
)


async def open_gaps(tx: Tx, room_id: str) -> list[OpenGap]:
    """Where events of the room are missing, the latest place first; the room's beginning has the floor OLDEST."""
    return [OpenGap(**row) for row in await tx.fetch(_OPEN_GAPS, [room_id])]


_NEXT = sql("SELECT min(position) FROM events WHERE room_id = $1 AND standing <= 1 AND position > $2")


async def gap_beside(tx: Tx, room_id: str, position: int, *, later: bool) -> OpenGap | None:
    """The gap just before the event at this position, or (`later`) just after it; None if there is none."""
    gaps = await open_gaps(tx, room_id)
    beside = {position}
    if later and gaps:
        beside.add(await tx.fetchval(_NEXT, room_id, position))
    return next((gap for gap in gaps if gap.mouth + 1 in beside), None)


_OPEN_FLOORS = sql(f"SELECT DISTINCT m.room_id, m.floor FROM ({_MISSING}) AS m")  # noqa: S608


async def open_floors(tx: Tx, room_ids: Sequence[str]) -> dict[str, list[int]]:
    """The floors of the gaps of those of these rooms that have any."""
    found: dict[str, list[int]] = {}
    for row in await tx.fetch(_OPEN_FLOORS, room_ids) if room_ids else ():
        found.setdefault(row["room_id"], []).append(row["floor"])
    return found


_FIRST_DEPTH = sql(
    """
    SELECT depth FROM events WHERE room_id = $1 AND standing <= 1 AND position > 0 ORDER BY position LIMIT 1
"""
)


async def first_depth(tx: Tx, room_id: str) -> int:
    """The depth of the event with which the room began for us: its first, or the join that brought us in."""
    depth: int | None = await tx.fetchval(_FIRST_DEPTH, room_id)
    return depth or 0


_MISSING_IN_GAP = sql(
    f"""
    SELECT m.event_id FROM ({_MISSING}) AS m WHERE m.floor = $2
    ORDER BY m.depth DESC, m.event_id LIMIT $3
"""  # noqa: S608 - nothing but constants
)


async def missing_in_gap(tx: Tx, room_id: str, floor: int, limit: int) -> list[EventID]:
    """Events that those of ours follow on and that are missing in this gap, those with the latest followers first."""
    return [row["event_id"] for row in await tx.fetch(_MISSING_IN_GAP, [room_id], floor, limit)]


_FLOORS_OF = sql(f"SELECT m.event_id, m.floor FROM ({_MISSING}) AS m WHERE m.event_id = ANY($2::text[])")  # noqa: S608


async def floors_of(tx: Tx, room_id: str, event_ids: Collection[str]) -> dict[EventID, int]:
    """In which gap each of these belongs that is missing."""
    found = await tx.fetch(_FLOORS_OF, [room_id], list(event_ids))
    return {row["event_id"]: row["floor"] for row in found}


_ROOM_IN_GAP = sql(
    """
    SELECT (SELECT e.position FROM events AS e WHERE e.position > $2 ORDER BY e.position LIMIT 1) AS lowest, coalesce((
        SELECT e.tally FROM events AS e WHERE e.room_id = $1 AND e.standing <= 1 AND e.position <= $2
        ORDER BY e.position DESC LIMIT 1
    ), 0) AS tally
"""
)


async def room_in_gap(tx: Tx, room_id: str, floor: int) -> tuple[int, int]:
    """The lowest position of a gap that is taken, and the room's tally all through the gap."""
    row = await tx.fetchrow(_ROOM_IN_GAP, room_id, floor)
    assert row is not None
    return row["lowest"], row["tally"]


_TAKE = sql(
    """
    INSERT INTO backfills AS b (room_id, lease) VALUES ($1, $3)
    ON CONFLICT (room_id) DO UPDATE SET lease = excluded.lease WHERE b.lease <= $2
    RETURNING true
"""
)


async def take_backfill(tx: Tx, room_id: str, now: int, until: int) -> bool:
    """Is it ours now to fetch history of the room, until then?"""
    return bool(await tx.fetchval(_TAKE, room_id, now, until))


_IS_TAKEN = sql("SELECT EXISTS (SELECT FROM backfills WHERE room_id = $1 AND lease > $2)")


async def is_backfilled(tx: Tx, room_id: str, now: int) -> bool:
    """Is somebody fetching history of the room?"""
    taken: bool = await tx.fetchval(_IS_TAKEN, room_id, now)
    return taken


_GIVE_BACK = sql("DELETE FROM backfills WHERE room_id = $1 AND lease = $2")


async def end_backfill(tx: Tx, room_id: str, until: int) -> None:
    """We are done, if it still was ours."""
    await tx.execute(_GIVE_BACK, room_id, until)
