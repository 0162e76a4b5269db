"""What counts as unread: written with each event, and summed up for a user and many rooms at once.

A room's ordinary events are counted by the running sum `tally` of the room; rows are written only for what differs.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from storage.database import Tx
from storage.statement import each, rows, sql

# Values: notify, highlight (what differs from the event's `counts` and `highlights_all`), room ID, user ID or ruleset ('#...').
# Of users only who is joined to the room gets a row. That of a ruleset counts for those of its users who have none.
APPEND_EXCEPTION = rows(
    """
    INSERT INTO unread_exceptions (position, notify, highlight, room_id, user_id)
    SELECT n.position, n.notify, n.highlight, n.room_id, n.user_id
    FROM unnest($1::bigint[], $2::smallint[], $3::smallint[], $4::text[], $5::text[])
        AS n (position, notify, highlight, room_id, user_id)
    WHERE left(n.user_id, 1) = '#' OR EXISTS (
        SELECT FROM memberships AS m
        WHERE m.room_id = n.room_id AND m.user_id = n.user_id AND m.membership = 'join' AND m.is_local
    )
"""
)

# A redacted event is nothing to be read any more. Values: event ID.
FORGET_EXCEPTIONS = each(
    """
    DELETE FROM unread_exceptions
    WHERE position = (SELECT e.position FROM events AS e WHERE e.event_id = $2) AND $1::bigint IS NOT NULL
"""
)

# Values: room ID, user ID, the thread's root ('' for the main timeline).
SET_LAST_SENT = rows(
    """
    INSERT INTO last_sent (position, room_id, user_id, root)
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[])
    ON CONFLICT (user_id, room_id, root) DO UPDATE SET position = excluded.position
""",
    key=(0, 1, 2),
)

# For an event that is about another one: it is in the thread of that one. Values: room ID, user ID, the other event.
FOLLOW_LAST_SENT = each(
    """
    INSERT INTO last_sent (position, room_id, user_id, root)
    VALUES ($1, $2, $3, coalesce((
        SELECT t.root FROM thread_events AS t WHERE t.event_id = $4 AND t.room_id = $2
    ), ''))
    ON CONFLICT (user_id, room_id, root) DO UPDATE SET position = excluded.position
"""
)


# The user $1 has read the rooms $2 up to `unthreaded`, and further in some threads (`points`). $3 are those whom the
# user ignores. The main timeline ('' for a root) has the room's tally, less what is in threads or was redacted.
_UNREAD = sql(
    """
    WITH mine AS MATERIALIZED (
        SELECT r.room_id, r.tally, greatest(m.since, (
            SELECT max(c.event_position) FROM receipts AS c
            WHERE c.room_id = m.room_id AND c.user_id = $1 AND c.thread_id = ''
                AND c.receipt_type IN ('m.read', 'm.read.private')
        )) AS unthreaded
        FROM memberships AS m JOIN rooms AS r ON r.room_id = m.room_id
        WHERE m.user_id = $1 AND m.room_id = ANY($2::text[]) AND m.membership = 'join'
    ), points AS MATERIALIZED (
        SELECT room_id, root, max(position) AS position FROM (
            SELECT c.room_id, CASE c.thread_id WHEN 'main' THEN '' ELSE c.thread_id END AS root, c.event_position AS position
            FROM mine JOIN receipts AS c ON c.room_id = mine.room_id AND c.event_position > mine.unthreaded
            WHERE c.user_id = $1 AND c.thread_id <> '' AND c.receipt_type IN ('m.read', 'm.read.private')
            UNION ALL
            SELECT s.room_id, s.root, s.position
            FROM mine JOIN last_sent AS s ON s.room_id = mine.room_id AND s.position > mine.unthreaded
            WHERE s.user_id = $1
        ) AS read GROUP BY room_id, root
    ), main AS MATERIALIZED (
        SELECT mine.room_id, mine.tally, coalesce(p.position, mine.unthreaded) AS point
        FROM mine LEFT JOIN points AS p ON p.room_id = mine.room_id AND p.root = ''
    ), rulesets AS MATERIALIZED (
        SELECT s.ruleset, s.since, s.upto FROM push_rulesets AS s
        WHERE s.user_id = $1 AND s.upto > (SELECT min(mine.unthreaded) FROM mine)
    ), exceptional AS (
        SELECT x.room_id, x.position, x.notify, x.highlight, true AS is_own
        FROM mine JOIN unread_exceptions AS x ON x.room_id = mine.room_id AND x.position > mine.unthreaded
        WHERE x.user_id = $1
        UNION ALL
        SELECT x.room_id, x.position, x.notify, x.highlight, false
        FROM rulesets AS s CROSS JOIN mine JOIN unread_exceptions AS x ON x.user_id = s.ruleset
            AND x.room_id = mine.room_id AND x.position > greatest(mine.unthreaded, s.since) AND x.position <= s.upto
    ), different AS MATERIALIZED (
        (SELECT DISTINCT ON (x.room_id, x.position)
            x.room_id, x.position, x.notify::bigint, x.highlight::bigint
        FROM exceptional AS x
        WHERE cardinality($3::text[]) = 0 OR NOT EXISTS (
            SELECT FROM events AS e WHERE e.position = x.position AND e.sender = ANY($3)
        )
        ORDER BY x.room_id, x.position, x.is_own DESC)
        UNION ALL
        SELECT e.room_id, e.position, 0, 1
        FROM mine JOIN events AS e ON e.room_id = mine.room_id AND e.position > mine.unthreaded
        WHERE e.highlights_all AND e.redacted_by IS NULL AND e.sender <> ALL($3)
    ), threaded AS (
        SELECT t.room_id, t.root, t.position, 1::bigint AS notify, 0::bigint AS highlight
        FROM mine JOIN thread_events AS t ON t.room_id = mine.room_id AND t.position > mine.unthreaded
        WHERE t.counts AND t.sender <> ALL($3)
        UNION ALL
        SELECT d.room_id, t.root, d.position, d.notify, d.highlight
        FROM different AS d JOIN thread_events AS t ON t.room_id = d.room_id AND t.position = d.position
    )
    SELECT main.room_id, '' AS root, (SELECT j.position FROM journal AS j) AS position,
        (SELECT s.ruleset FROM rulesets AS s WHERE s.upto = 9223372036854775807) AS ruleset,
        main.tally - coalesce((
            SELECT e.tally FROM events AS e
            WHERE e.room_id = main.room_id AND e.standing <= 1 AND e.position <= main.point
            ORDER BY e.position DESC LIMIT 1
        ), 0) - (
            SELECT count(*) FROM thread_events AS t
            WHERE t.room_id = main.room_id AND t.position > main.point AND t.counts AND t.sender <> ALL($3)
        ) - (
            SELECT count(*) FROM events AS e
            WHERE e.room_id = main.room_id AND e.position > main.point AND e.redacted_by IS NOT NULL AND e.counts
                AND e.sender <> ALL($3)
        ) - CASE WHEN cardinality($3) = 0 THEN 0 ELSE (
            SELECT count(*) FROM events AS e
            WHERE e.room_id = main.room_id AND e.position > main.point AND e.standing <= 1 AND e.counts
                AND e.sender = ANY($3)
        ) END + coalesce(d.notify, 0) AS notify,
        coalesce(d.highlight, 0) AS highlight
    FROM main LEFT JOIN LATERAL (
        SELECT sum(d.notify)::bigint AS notify, sum(d.highlight)::bigint AS highlight FROM different AS d
        WHERE d.room_id = main.room_id AND d.position > main.point AND NOT EXISTS (
            SELECT FROM thread_events AS t WHERE t.room_id = d.room_id AND t.position = d.position
        )
    ) AS d ON true
    UNION ALL
    SELECT t.room_id, t.root, 0, NULL, sum(t.notify)::bigint, sum(t.highlight)::bigint
    FROM threaded AS t LEFT JOIN points AS p ON p.room_id = t.room_id AND p.root = t.root
    WHERE t.position > coalesce(p.position, 0)
    GROUP BY t.room_id, t.root
"""
)


async def unread_rows(tx: Tx, user_id: str, room_ids: Collection[str], ignored: Collection[str]) -> list[Any]:
    """For each of the rooms that the user is joined to one row of the main timeline (root ''; `position` is the
    journal's at which all this is so, `ruleset` the user's then), and one for each unread thread: room_id, root, notify,
    highlight.
    """
    return await tx.fetch(_UNREAD, user_id, list(room_ids), list(ignored))


_DETAILS = sql(
    """
    SELECT e.position, e.highlights_all, (
        SELECT t.root FROM thread_events AS t WHERE t.room_id = e.room_id AND t.position = e.position
    ) AS root, ARRAY(
        SELECT ARRAY[x.user_id, x.notify::text, x.highlight::text] FROM unread_exceptions AS x
        WHERE x.position = e.position
    ) AS exceptions
    FROM events AS e WHERE e.room_id = $1 AND e.standing <= 1 AND e.position > $2
    ORDER BY e.position DESC LIMIT $3
"""
)


async def unread_details(tx: Tx, room_id: str, after: int, limit: int) -> list[Any]:
    """For the last events of a room after a position: highlights_all, the thread's root or None, and exceptions as
    triples of strings (user or ruleset, notify, highlight).
    """
    return await tx.fetch(_DETAILS, room_id, after, limit)
