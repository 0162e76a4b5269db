"""Asking the index: which documents have the words, the newest first.

Two ways lead there. To *walk* is to look at the newest documents of each room one by one: it finds common words at once, and
costs the same whatever the words. To *look up* is to ask the index of words, which finds rare words at once, and costs what is
found. Who searches walks first: what a walk finds says which of the two is the right one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from storage.database import Tx
from storage.search.lexemes import for_room
from storage.search.patience import fetch_patiently
from storage.statement import sql


@dataclass(frozen=True, slots=True)
class Ask:
    """A query's template, for these rooms (by number); documents from `since` on and before (`at`, `position`)."""

    query: str
    rooms: Sequence[int]
    since: int
    before: tuple[int, int]

    def arrays(self) -> tuple[Sequence[int], list[str]]:
        """The rooms, and the query for each."""
        return self.rooms, [for_room(self.query, room) for room in self.rooms]


Place = tuple[int, int]
"""A document's time and position: the order of what is found."""


@dataclass(frozen=True, slots=True)
class Leg:
    """A part of a walk: at most so many documents of a room, the newest of those before a place, that are not before `since`."""

    room: int
    before: Place
    since: int
    steps: int


@dataclass(frozen=True, slots=True)
class Walked:
    """How many documents there were on a leg, the time of the first, the place of the last, and where those that have the words
    are, the newest first.
    """

    looked: int
    newest: int
    last: Place
    hits: list[Place]


_WALK = sql(
    """
    WITH legs AS MATERIALIZED (
        SELECT l.number, l.query::tsquery AS query, l.at, l.position, l.since, l.steps, l.leg
        FROM unnest($1::integer[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::integer[]) WITH ORDINALITY
            AS l (number, query, at, position, since, steps, leg)
    )
    SELECT w.* FROM legs AS l CROSS JOIN LATERAL (
        SELECT count(*)::integer AS looked, coalesce(max(d.at), 0) AS newest, coalesce(min(d.at), 0) AS last_at,
            coalesce((array_agg(d.position))[count(*)::integer], 0) AS last_position,
            coalesce(array_agg(d.at) FILTER (WHERE d.hit), '{}') AS ats,
            coalesce(array_agg(d.position) FILTER (WHERE d.hit), '{}') AS positions
        FROM (
            SELECT d.at, d.position, d.words @@ l.query AS hit FROM search_documents AS d
            WHERE d.room = l.number AND (d.at, d.position) < (l.at, l.position) AND d.at >= l.since
            ORDER BY d.at DESC, d.position DESC LIMIT l.steps
        ) AS d
    ) AS w
    ORDER BY l.leg
"""
)


async def walk(tx: Tx, ask: Ask, legs: Sequence[Leg]) -> list[Walked]:
    """Looks at documents one by one, for each leg; of `ask` only the query counts. Raises TooLong."""
    found = await fetch_patiently(
        tx,
        _WALK,
        [leg.room for leg in legs],
        [for_room(ask.query, leg.room) for leg in legs],
        [leg.before[0] for leg in legs],
        [leg.before[1] for leg in legs],
        [leg.since for leg in legs],
        [leg.steps for leg in legs],
    )
    return [
        Walked(
            row["looked"],
            row["newest"],
            (row["last_at"], row["last_position"]),
            list(zip(row["ats"], row["positions"], strict=True)),
        )
        for row in found
    ]


_ASKED = """
    WITH asked AS MATERIALIZED (
        SELECT a.number, a.query::tsquery AS query FROM unnest($1::integer[], $2::text[]) AS a (number, query)
    )
"""
# `at + 0`: lest the index by time is read for each room.
_LOOK_UP = sql(
    _ASKED  # noqa: S608 - nothing but constants
    + """
    SELECT d.at, d.position FROM asked AS a CROSS JOIN LATERAL (
        SELECT d.at, d.position FROM search_documents AS d
        WHERE d.words @@ a.query AND (d.at + 0, d.position) < ($4, $5) AND d.at + 0 >= $3
    ) AS d
    ORDER BY d.at DESC, d.position DESC
    LIMIT $6
"""
)


async def look_up(tx: Tx, ask: Ask, limit: int) -> list[Place]:
    """Asks the index of words; raises TooLong."""
    found = await fetch_patiently(tx, _LOOK_UP, *ask.arrays(), ask.since, *ask.before, limit)
    return [(row["at"], row["position"]) for row in found]


_OUTLINES = sql(
    _ASKED  # noqa: S608 - nothing but constants
    + """
    , found AS MATERIALIZED (
        SELECT position, at, edit, room, words FROM search_documents WHERE position = ANY($3::bigint[])
    )
    SELECT d.at, d.position, ts_rank(d.words, a.query) AS rank, e.event_id, e.room_id, e.type, e.state_key, e.sender,
        e.origin_server_ts, e.snapshot, e.replaces_state,
        x.position AS edit, x.event_id AS edit_id, x.snapshot AS edit_snapshot
    FROM found AS d
    JOIN asked AS a ON a.number = d.room AND d.words @@ a.query
    JOIN events AS e ON e.position = d.position
    LEFT JOIN events AS x ON x.position = d.edit
    WHERE e.standing <= 1 AND e.redacted_by IS NULL AND x.redacted_by IS NULL
        AND ($4::text[] IS NULL AND $5::text[] IS NULL OR EXISTS (
            SELECT FROM relations AS r WHERE r.parent = e.event_id AND r.room_id = e.room_id
                AND ($4 IS NULL OR r.rel_type = ANY($4)) AND ($5 IS NULL OR r.sender = ANY($5))
        ))
    ORDER BY d.at DESC, d.position DESC
"""
)


async def outlines(
    tx: Tx,
    ask: Ask,
    places: Collection[Place],
    rel_types: Sequence[str] | None,
    senders: Sequence[str] | None,
) -> list[asyncpg.Record]:
    """What must be known of what was found to say whether it is shown, with its rank, the newest first; where so wanted, only
    what others of these types or by these senders relate to.
    """
    positions = [position for _, position in places]
    return await tx.fetch(_OUTLINES, *ask.arrays(), positions, rel_types, senders)


_INDEXED = sql(
    """
    SELECT r.room_id, r.position, s.number FROM rooms AS r LEFT JOIN search_rooms AS s ON s.room_id = r.room_id
    WHERE r.room_id = ANY($1::text[])
"""
)
_FOLLOWED = sql("SELECT position FROM followers WHERE name = 'search'")


@dataclass(frozen=True, slots=True)
class Indexed:
    """The rooms' numbers, where the newest event of them is, and up to which position the index is true."""

    numbers: Mapping[str, int]
    newest: int
    followed: int


async def indexed(tx: Tx, room_ids: Collection[str]) -> Indexed:
    """What the index knows of the rooms."""
    found = await tx.fetch(_INDEXED, list(room_ids))
    return Indexed(
        {row["room_id"]: row["number"] for row in found if row["number"] is not None},
        max((row["position"] for row in found), default=0),
        await tx.fetchval(_FOLLOWED) or 0,
    )


_PREDECESSORS = sql(
    """
    SELECT e.json FROM current_state AS c JOIN events AS e ON e.event_id = c.event_id
    WHERE c.room_id = ANY($1::text[]) AND c.type = 'm.room.create' AND c.state_key = ''
"""
)


async def create_events(tx: Tx, room_ids: Collection[str]) -> list[bytes]:
    """The create events of the rooms."""
    return [row["json"] for row in await tx.fetch(_PREDECESSORS, list(room_ids))]


_AROUND = sql(
    """
    SELECT h.position AS hit, c.event_id, c.position FROM unnest($1::text[], $2::bigint[]) AS h (room_id, position)
    CROSS JOIN LATERAL (
        (SELECT e.event_id, e.position FROM events AS e
        WHERE e.room_id = h.room_id AND e.standing <= 1 AND e.position < h.position
        ORDER BY e.position DESC LIMIT $3)
        UNION ALL
        (SELECT e.event_id, e.position FROM events AS e
        WHERE e.room_id = h.room_id AND e.standing <= 1 AND e.position > h.position
        ORDER BY e.position LIMIT $4)
    ) AS c
    ORDER BY h.position, c.position
"""
)


async def around(
    tx: Tx, hits: Sequence[tuple[str, int]], before: int, after: int
) -> dict[int, list[tuple[str, int]]]:
    """For each hit (room, position) the events (ID, position) beside it, in order; by the hit's position."""
    found: dict[int, list[tuple[str, int]]] = {}
    rooms, positions = [room for room, _ in hits], [position for _, position in hits]
    for row in await tx.fetch(_AROUND, rooms, positions, before, after):
        found.setdefault(row["hit"], []).append((row["event_id"], row["position"]))
    return found
