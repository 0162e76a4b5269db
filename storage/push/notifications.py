"""The events that a user was notified of, read ones too, over all rooms that the user is in."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from storage.database import Tx
from storage.statement import sql


@dataclass(frozen=True, slots=True)
class Wanted:
    """Notifications of a user, those before a position, at most so many, without those from ignored users."""

    user_id: str
    before: int
    limit: int
    ignored: Collection[str]


# What an event is for the user is its `counts` and `highlights_all`, and what differs from that: for the user (d), else for
# all of the ruleset that the user had then (g).
_ALL = sql(
    """
    SELECT n.position FROM memberships AS m CROSS JOIN LATERAL (
        SELECT e.position FROM events AS e
        LEFT JOIN unread_exceptions AS d ON d.user_id = $1 AND d.room_id = e.room_id AND d.position = e.position
        LEFT JOIN push_rulesets AS o ON o.user_id = $1 AND o.since < e.position AND o.upto >= e.position
        LEFT JOIN unread_exceptions AS g ON g.user_id = o.ruleset AND g.room_id = e.room_id AND g.position = e.position
        WHERE e.room_id = m.room_id AND e.standing = 0 AND e.position > m.since AND e.position < $2
            AND e.counts::int + coalesce(d.notify, g.notify, 0) > 0
            AND e.redacted_by IS NULL AND e.sender <> $1 AND e.sender <> ALL($4::text[])
        ORDER BY e.position DESC LIMIT $3
    ) AS n
    WHERE m.user_id = $1 AND m.membership = 'join' AND m.is_local AND m.room_id <> ALL($5::text[])
    ORDER BY n.position DESC LIMIT $3
"""
)


async def notifications(tx: Tx, wanted: Wanted, but_in: Collection[str]) -> list[int]:
    """The positions of all, the newest first, in all rooms but these."""
    return [row["position"] for row in await tx.fetch(_ALL, *_values(wanted), list(but_in))]


_HIGHLIGHTS = sql(
    """
    SELECT e.position FROM memberships AS m JOIN (
        SELECT u.position FROM unread_exceptions AS u WHERE u.user_id = $1 AND u.highlight > 0 AND u.position < $2
        UNION
        SELECT u.position FROM memberships AS i JOIN push_rulesets AS s ON s.user_id = i.user_id
        JOIN unread_exceptions AS u ON u.user_id = s.ruleset AND u.room_id = i.room_id
            AND u.position > greatest(i.since, s.since) AND u.position <= s.upto
        WHERE i.user_id = $1 AND i.membership = 'join' AND i.is_local AND u.highlight > 0 AND u.position < $2
        UNION
        SELECT h.position FROM memberships AS i JOIN events AS h ON h.room_id = i.room_id
        WHERE i.user_id = $1 AND i.membership = 'join' AND i.is_local AND h.highlights_all AND h.position < $2
    ) AS found ON true
    JOIN events AS e ON e.position = found.position AND e.room_id = m.room_id
    LEFT JOIN unread_exceptions AS d ON d.user_id = $1 AND d.room_id = e.room_id AND d.position = e.position
    LEFT JOIN push_rulesets AS o ON o.user_id = $1 AND o.since < e.position AND o.upto >= e.position
    LEFT JOIN unread_exceptions AS g ON g.user_id = o.ruleset AND g.room_id = e.room_id AND g.position = e.position
    WHERE m.user_id = $1 AND m.membership = 'join' AND m.is_local
        AND ($5::text[] IS NULL OR m.room_id = ANY($5)) AND m.room_id <> ALL($6::text[])
        AND e.highlights_all::int + coalesce(d.highlight, g.highlight, 0) > 0 AND e.standing = 0 AND e.position > m.since
        AND e.redacted_by IS NULL AND e.sender <> $1 AND e.sender <> ALL($4::text[])
    ORDER BY e.position DESC LIMIT $3
"""
)


async def highlights(
    tx: Tx, wanted: Wanted, only_in: Collection[str] | None, but_in: Collection[str]
) -> list[int]:
    """The positions of those that highlight, the newest first, only in these rooms (None: in any), but not in those."""
    rooms = None if only_in is None else list(only_in)
    return [row["position"] for row in await tx.fetch(_HIGHLIGHTS, *_values(wanted), rooms, list(but_in))]


_SHOWN = sql(
    """
    SELECT e.event_id, e.room_id, e.position, e.type, e.sender, e.origin_server_ts, r.room_version, r.joined,
        e.highlights_all::int + coalesce(d.highlight, g.highlight, 0) > 0 AS highlight,
        EXISTS (
            SELECT FROM receipts AS c
            WHERE c.room_id = e.room_id AND c.user_id = $1 AND c.event_position >= e.position
                AND c.receipt_type IN ('m.read', 'm.read.private') AND c.thread_id IN ('', coalesce(t.root, 'main'))
        ) OR EXISTS (
            SELECT FROM last_sent AS s
            WHERE s.user_id = $1 AND s.room_id = e.room_id AND s.root = coalesce(t.root, '')
                AND s.position >= e.position
        ) AS read
    FROM events AS e
    JOIN rooms AS r ON r.room_id = e.room_id
    LEFT JOIN unread_exceptions AS d ON d.user_id = $1 AND d.room_id = e.room_id AND d.position = e.position
    LEFT JOIN push_rulesets AS o ON o.user_id = $1 AND o.since < e.position AND o.upto >= e.position
    LEFT JOIN unread_exceptions AS g ON g.user_id = o.ruleset AND g.room_id = e.room_id AND g.position = e.position
    LEFT JOIN thread_events AS t ON t.event_id = e.event_id
    WHERE e.position = ANY($2::bigint[])
    ORDER BY e.position DESC
"""
)


async def notified_events(tx: Tx, user_id: str, positions: Collection[int]) -> list[Any]:
    """The events at these positions, the newest first: event_id, room_id, position, type, sender, origin_server_ts, the room's
    version and how many are joined to it, and whether the event highlights for the user and the user has read it.
    """
    return await tx.fetch(_SHOWN, user_id, list(positions))


def _values(wanted: Wanted) -> tuple[str, int, int, list[str]]:
    return wanted.user_id, wanted.before, wanted.limit, list(wanted.ignored)
