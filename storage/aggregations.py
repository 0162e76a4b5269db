"""What has been said of events by other events, counted: edits, threads, references."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import asyncpg

from storage.database import Tx
from storage.statement import sql

# For each parent (ID, room, sender, type, and the range of positions in which the reader sees everything): how many
# children of a kind there are in that range, whether the reader ($7) sent one of them, and the newest of them (of
# edits those that may be the newest valid one, in the order of §Event replacements). Those of ignored users ($8)
# do not count. `relations` has neither redacted events nor such as are not shown.
_AGGREGATES = sql(
    """
    SELECT p.event_id AS parent, c.* FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
        AS p (event_id, room_id, sender, type, since, upto)
    CROSS JOIN LATERAL (
        SELECT r.rel_type, count(*) AS count, bool_or(r.sender = $7) AS participated,
            (array_agg(r.child ORDER BY r.position DESC))[1:CASE r.rel_type WHEN 'm.thread' THEN 1 ELSE 1000 END] AS newest
        FROM relations AS r
        WHERE r.parent = p.event_id AND r.room_id = p.room_id AND r.rel_type IN ('m.thread', 'm.reference')
            AND r.position BETWEEN p.since AND p.upto AND r.sender <> ALL($8::text[])
        GROUP BY r.rel_type
        UNION ALL
        SELECT 'm.replace', 0, false, array_agg(e.event_id ORDER BY e.origin_server_ts DESC, e.event_id DESC)
        FROM (
            SELECT e.event_id, e.origin_server_ts FROM relations AS r JOIN events AS e ON e.event_id = r.child
            WHERE r.parent = p.event_id AND r.room_id = p.room_id AND r.rel_type = 'm.replace'
                AND r.sender = p.sender AND r.type = p.type AND e.state_key IS NULL
                AND r.position BETWEEN p.since AND p.upto AND r.sender <> ALL($8)
            ORDER BY e.origin_server_ts DESC, e.event_id DESC
            LIMIT 3
        ) AS e
        HAVING count(*) > 0
    ) AS c
"""
)

Parent = tuple[str, str, str, str, int, int]
"""Event ID, room ID, sender, type, and the first and last position at which the reader sees all children."""


async def aggregates(
    tx: Tx, parents: Sequence[Parent], user_id: str, ignored: Collection[str]
) -> list[asyncpg.Record]:
    """A row for each parent and kind of relation: `parent, rel_type, count, participated, newest`."""
    columns = [list(column) for column in zip(*parents, strict=True)]
    return await tx.fetch(_AGGREGATES, *columns, user_id, list(ignored))


_OTHER_CHILDREN = sql(
    """
    SELECT p.event_id AS parent, c.* FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
        AS p (event_id, room_id, sender, type, since, upto)
    CROSS JOIN LATERAL (
        SELECT r.rel_type, r.child, r.sender, r.type, e.position, e.state_key, e.origin_server_ts, e.snapshot,
            e.replaces_state
        FROM relations AS r JOIN events AS e ON e.event_id = r.child
        WHERE r.parent = p.event_id AND r.room_id = p.room_id AND r.rel_type IN ('m.thread', 'm.reference', 'm.replace')
            AND (r.rel_type <> 'm.replace' OR (r.sender = p.sender AND r.type = p.type AND e.state_key IS NULL))
            AND NOT r.position BETWEEN p.since AND p.upto AND r.sender <> ALL($7::text[])
        ORDER BY r.position DESC
        LIMIT $8
    ) AS c
"""
)


async def other_children(
    tx: Tx, parents: Sequence[Parent], ignored: Collection[str], limit: int
) -> list[asyncpg.Record]:
    """The newest children of each parent outside the range of its reader, for whom it must be found out one by one
    whether they may be seen.
    """
    columns = [list(column) for column in zip(*parents, strict=True)]
    return await tx.fetch(_OTHER_CHILDREN, *columns, list(ignored), limit)
