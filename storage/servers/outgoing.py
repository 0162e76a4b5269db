"""What has happened here that other servers are to be told: read from the tables themselves, for there is no queue."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import asyncpg

from storage.database import Tx
from storage.servers.room_servers import PRESENT_SERVERS
from storage.statement import sql


@dataclass(frozen=True, slots=True)
class OutgoingEvent:
    """An event in the federation format, for others to be told of."""

    position: int
    room_id: str
    sender: str
    json: bytes


# Of our own users, or of others who entered the room through us. $1 is a colon and our name.
_OURS = """
    (right(e.sender, length($1)) = $1 OR EXISTS (SELECT FROM relayed_events AS r WHERE r.event_id = e.event_id))
"""

# Who joins where we do not know all members is let in by another server (membership/join.py), which tells the rest.
_IS_TOLD_BY_ANOTHER = """
    e.type = 'm.room.member' AND e.state_key = e.sender
        AND EXISTS (SELECT FROM partial_rooms AS part WHERE part.room_id = e.room_id)
        AND EXISTS (
            SELECT FROM memberships AS m WHERE m.room_id = e.room_id AND m.user_id = e.sender
                AND m.is_local AND m.membership = 'join' AND m.since = e.position
        )
"""
_TO_TELL = f"{_OURS} AND NOT ({_IS_TOLD_BY_ANOTHER})\n"

_EVENT = "SELECT e.position, e.room_id, e.sender, e.json FROM events AS e"
_IN_ROOMS = sql(
    _EVENT
    + """
    WHERE e.position > $2 AND e.position <= $3 AND e.standing = 0 AND e.room_id = ANY($4::text[]) AND
"""
    + _TO_TELL
    + "ORDER BY e.position"
)


async def events_to_tell(
    tx: Tx, ours: str, after: int, upto: int, rooms: Collection[str]
) -> list[OutgoingEvent]:
    """The events of these rooms at positions in (after, upto] that others are to be told of, in order."""
    found = await tx.fetch(_IN_ROOMS, f":{ours}", after, upto, list(rooms))
    return [OutgoingEvent(**row) for row in found]


# As RoomServer.hears says; what a server has sent us is not sent back to it.
_ROOMS_OF_SERVER = """
        SELECT room_id, joined, since, until, targeted FROM room_servers WHERE server = $2
        UNION ALL
        SELECT p.room_id, 1, e.position, NULL, NULL
        FROM partial_rooms AS p JOIN events AS e ON e.event_id = p.join_event WHERE $2 = ANY(p.servers)
"""
_FOR_SERVER = (
    "SELECT e.* FROM ("  # noqa: S608 - nothing but constants
    + _ROOMS_OF_SERVER
    + """
    ) AS s
    JOIN rooms AS head ON head.room_id = s.room_id AND head.position > $3
    CROSS JOIN LATERAL (
"""
    + _EVENT
    + """
        WHERE e.room_id = s.room_id AND e.standing = 0 AND e.position > $3 AND e.position <= $4
            AND (e.position > s.since AND (s.joined > 0 OR e.position <= s.until) OR e.position = s.targeted)
            AND right(e.sender, length($2) + 1) <> ':' || $2 AND
"""
    + _TO_TELL
)
_NEXT = sql(_FOR_SERVER + "ORDER BY e.position LIMIT $5) AS e ORDER BY e.position LIMIT $5")
_LAST_OF_ROOMS = sql(_FOR_SERVER + "ORDER BY e.position DESC LIMIT 1) AS e ORDER BY e.position LIMIT $5")
_COUNT = sql(
    "SELECT count(*) FROM ("  # noqa: S608 - nothing but constants
    + _FOR_SERVER
    + "ORDER BY e.position LIMIT $5) AS e ORDER BY e.position LIMIT $5) AS e"
)


async def next_for_server(
    tx: Tx, ours: str, server: str, after: int, upto: int, limit: int
) -> list[OutgoingEvent]:
    """The first events for the server at positions in (after, upto]."""
    found = await tx.fetch(_NEXT, f":{ours}", server, after, upto, limit)
    return [OutgoingEvent(**row) for row in found]


async def last_of_rooms_for_server(
    tx: Tx, ours: str, server: str, after: int, upto: int, limit: int
) -> list[OutgoingEvent]:
    """Of each room the last event for the server at positions in (after, upto]; the first of these."""
    found = await tx.fetch(_LAST_OF_ROOMS, f":{ours}", server, after, upto, limit)
    return [OutgoingEvent(**row) for row in found]


async def count_for_server(tx: Tx, ours: str, server: str, after: int, upto: int, limit: int) -> int:
    """How many events there are for the server at positions in (after, upto]; counts up to the limit."""
    number: int = await tx.fetchval(_COUNT, f":{ours}", server, after, upto, limit)
    return number


@dataclass(frozen=True, slots=True)
class DeviceChange:
    """A change of a device (or, '', of cross-signing keys) of a user of ours; `introduces`: the last one there was, told to who
    is told of the user's devices for the first time.
    """

    position: int
    previous: int | None
    user_id: str
    device_id: str
    deleted: bool
    introduces: bool = False


_CHANGE = """
    SELECT c.position, c.previous, c.user_id, c.device_id, NOT EXISTS (
        SELECT FROM devices AS d WHERE d.user_id = c.user_id AND d.device_id = c.device_id
    ) AS deleted
    FROM device_changes AS c
"""
_CHANGES = sql(_CHANGE + "WHERE c.position > $1 AND c.position <= $2 ORDER BY c.position")
_CHANGES_FOR_SERVER = sql(
    _CHANGE
    + "WHERE c.position > $2 AND c.position <= $3 AND EXISTS (SELECT FROM memberships AS m JOIN "
    + PRESENT_SERVERS
    + """AS s ON s.room_id = m.room_id
        WHERE m.user_id = c.user_id AND m.is_local AND m.membership = 'join' AND s.server = $1
    )
    ORDER BY c.position LIMIT $4
"""
)


async def device_changes(tx: Tx, after: int, upto: int) -> list[DeviceChange]:
    """The changes at positions in (after, upto], in order."""
    return [DeviceChange(**row) for row in await tx.fetch(_CHANGES, after, upto)]


async def device_changes_for_server(
    tx: Tx, server: str, after: int, upto: int, limit: int
) -> list[DeviceChange]:
    """The first changes for the server at positions in (after, upto]: of users with whom it shares a room."""
    return [DeviceChange(**row) for row in await tx.fetch(_CHANGES_FOR_SERVER, server, after, upto, limit)]


@dataclass(frozen=True, slots=True)
class Introduction:
    """A user of ours has joined a room with a server that was in none with the user before, or such a server was found in a room
    of the user's when all members were known: at this position it is told of the user's last change, or of any device where
    there never was one (its number is 0 then; but not where the server is only said to be in a room whose members we do not
    know: it can have no old copy of what never changed)."""

    position: int
    server: str
    change: DeviceChange


# By now the user and the server have shared no other room.
_UNKNOWN = (
    "NOT EXISTS (SELECT FROM memberships AS other JOIN "
    + PRESENT_SERVERS
    + """AS there ON there.room_id = other.room_id AND there.server = s.server
            WHERE other.user_id = m.user_id AND other.is_local AND other.membership = 'join'
                AND other.room_id <> m.room_id AND other.since < %(at)s AND there.since < %(at)s
        )
"""
)
# Where the user has joined, and which servers are there. The join is still going on, and the server is still there.
_NEW = (
    "SELECT DISTINCT m.since AS at, m.user_id, s.server FROM %s AS s "  # noqa: S608 - nothing but constants
    """
    ON s.room_id = m.room_id
    WHERE m.is_local AND m.membership = 'join' AND s.server <> substr(m.user_id, strpos(m.user_id, ':') + 1)
        AND s.since <= m.since AND """ + _UNKNOWN.replace("%(at)s", "m.since") + "AND %s\n"
)
# The same for servers of which we learnt only when a room's members came: they were not said to be there.
_FOUND = (
    "SELECT s.since AS at, m.user_id, s.server "  # noqa: S608 - nothing but constants
    """
    FROM room_servers AS s JOIN rooms AS r ON r.room_id = s.room_id AND r.whole_since = s.since
    JOIN memberships AS m ON m.room_id = s.room_id AND m.since < s.since
    WHERE m.is_local AND m.membership = 'join' AND s.joined > 0 AND """
    + _UNKNOWN.replace("%(at)s", "s.since")
    + "AND %s\n"
)
_INTRODUCED = """
    SELECT new.at, new.server, new.user_id, coalesce(last.position, 0) AS position, last.previous,
        coalesce(last.device_id, one.device_id) AS device_id,
        last.device_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM devices AS d WHERE d.user_id = new.user_id AND d.device_id = last.device_id
        ) AS deleted
    FROM (%s) AS new
    LEFT JOIN LATERAL (
        SELECT position, previous, device_id FROM device_changes AS c
        WHERE c.user_id = new.user_id AND c.device_id <> '' ORDER BY position DESC LIMIT 1
    ) AS last ON true
    LEFT JOIN LATERAL (
        SELECT device_id FROM devices AS d WHERE d.user_id = new.user_id ORDER BY device_id LIMIT 1
    ) AS one ON last.position IS NULL
    WHERE last.device_id IS NOT NULL OR one.device_id IS NOT NULL AND EXISTS (
        SELECT FROM room_servers AS r WHERE r.server = new.server AND r.joined > 0
    )
    ORDER BY new.at, new.user_id, new.server
"""
_JOINED = "events AS e JOIN memberships AS m ON m.room_id = e.room_id AND m.user_id = e.state_key AND m.since = e.position JOIN "
_INTRODUCTIONS = sql(
    _INTRODUCED
    % (
        _NEW
        % (_JOINED + PRESENT_SERVERS, "e.position > $1 AND e.position <= $2 AND e.type = 'm.room.member'")
    )
)
_INTRODUCTIONS_OF_FOUND = sql(
    _INTRODUCED % (_FOUND % "s.room_id = ANY($3::text[]) AND s.since > $1 AND s.since <= $2")
)
_INTRODUCTIONS_FOR_SERVER = sql(
    _INTRODUCED
    % (
        _NEW
        % (
            "memberships AS m JOIN " + PRESENT_SERVERS,
            "s.server = $1 AND m.position > $2 AND m.since > $2 AND m.since <= $3",
        )
        + "UNION "
        + _FOUND % "s.server = $1 AND s.since > $2 AND s.since <= $3"
    )
    + "LIMIT $4"
)


async def introductions(tx: Tx, after: int, upto: int) -> list[Introduction]:
    """Those by joins at positions in (after, upto], in order."""
    return [_introduction(row) for row in await tx.fetch(_INTRODUCTIONS, after, upto)]


async def introductions_of_found(tx: Tx, after: int, upto: int, rooms: Collection[str]) -> list[Introduction]:
    """Those to servers that were found in one of these rooms at positions in (after, upto], when all its members were known."""
    found = await tx.fetch(_INTRODUCTIONS_OF_FOUND, after, upto, list(rooms))
    return [_introduction(row) for row in found]


async def introductions_for_server(
    tx: Tx, server: str, after: int, upto: int, limit: int
) -> list[Introduction]:
    """The first for the server at positions in (after, upto]."""
    return [
        _introduction(row) for row in await tx.fetch(_INTRODUCTIONS_FOR_SERVER, server, after, upto, limit)
    ]


def _introduction(row: asyncpg.Record) -> Introduction:
    names = ("position", "previous", "user_id", "device_id", "deleted")
    return Introduction(
        row["at"], row["server"], DeviceChange(**{name: row[name] for name in names}, introduces=True)
    )


_RECEIPTS = sql("""
    SELECT room_id, user_id, event_id, thread_id, ts FROM receipts
    WHERE room_id = ANY($2::text[]) AND position > $3 AND position <= $4 AND receipt_type = 'm.read'
        AND right(user_id, length($1)) = $1
    ORDER BY position
""")


async def receipts_to_tell(
    tx: Tx, ours: str, rooms: Collection[str], after: int, upto: int
) -> list[asyncpg.Record]:
    """The public receipts of our users in these rooms, set at positions in (after, upto]."""
    return await tx.fetch(_RECEIPTS, f":{ours}", list(rooms), after, upto)
