"""The room directory: which rooms are published, and what it shows of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from storage.database import Tx
from storage.statement import sql

SHOWN_TYPES = (
    "m.room.create",
    "m.room.name",
    "m.room.topic",
    "m.room.avatar",
    "m.room.canonical_alias",
    "m.room.join_rules",
    "m.room.guest_access",
    "m.room.history_visibility",
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A place between two rooms of the directory: behind this one, or before it (`backward`: read towards the start)."""

    joined: int
    room_id: str
    backward: bool = False


@dataclass(slots=True)
class PublishedRoom:
    """A room of the directory, with the JSON of its state events of SHOWN_TYPES."""

    room_id: str
    joined: int
    state: dict[str, bytes] = field(default_factory=dict)


_PUBLISH = sql(
    """
    INSERT INTO published_rooms (room_id, network) VALUES ($1, $2) ON CONFLICT DO NOTHING
"""
)
_UNPUBLISH = sql("DELETE FROM published_rooms WHERE room_id = $1 AND network = $2")


async def publish(tx: Tx, room_id: str, network: str = "") -> None:
    """The room stands in the directory of the network (of the server itself) from now on."""
    await tx.execute(_PUBLISH, room_id, network)


async def unpublish(tx: Tx, room_id: str, network: str = "") -> None:
    """The room stands there no more."""
    await tx.execute(_UNPUBLISH, room_id, network)


_IS_PUBLISHED = sql(
    """
    SELECT p.room_id IS NOT NULL
    FROM rooms AS r LEFT JOIN published_rooms AS p ON p.room_id = r.room_id AND p.network = ''
    WHERE r.room_id = $1
"""
)


async def is_published(tx: Tx, room_id: str) -> bool | None:
    """Does the room stand in the directory? None for a room that we do not have."""
    published: bool | None = await tx.fetchval(_IS_PUBLISHED, room_id)
    return published


_COUNT = sql("SELECT count(DISTINCT room_id) FROM published_rooms WHERE $1::text IS NULL OR network = $1")


async def count_published(tx: Tx, network: str | None) -> int:
    """How many rooms stand in the directory of the network, or in any (None)."""
    count: int = await tx.fetchval(_COUNT, network)
    return count


# $1 how many, $2 network (NULL: all), $3 and $4 where to begin (NULL: at the start), $5 text that must stand somewhere
# in one of the three events (NULL: any), $6 event types. The text is looked for in the raw JSON: what does not have it
# cannot match; whether the rest does is for the caller to say.
_PAGE = """
    WITH page AS (
        SELECT r.room_id, r.joined
        FROM (SELECT DISTINCT room_id FROM published_rooms WHERE $2::text IS NULL OR network = $2) AS p
        JOIN rooms AS r ON r.room_id = p.room_id
        WHERE r.joined > 0
            AND ($3::int IS NULL OR (-r.joined, r.room_id) {beyond} (-$3, $4::text))
            AND ($5::text IS NULL OR EXISTS (
                SELECT FROM current_state AS c JOIN events AS e ON e.event_id = c.event_id
                WHERE c.room_id = r.room_id AND c.state_key = ''
                    AND c.type IN ('m.room.name', 'm.room.topic', 'm.room.canonical_alias')
                    AND strpos(lower(convert_from(e.json, 'UTF8')), lower($5)) > 0
            ))
        ORDER BY -r.joined {order}, r.room_id {order} LIMIT $1
    )
    SELECT page.room_id, page.joined, c.type, e.json
    FROM page
    LEFT JOIN current_state AS c ON c.room_id = page.room_id AND c.state_key = '' AND c.type = ANY($6::text[])
    LEFT JOIN events AS e ON e.event_id = c.event_id
    ORDER BY -page.joined {order}, page.room_id {order}
"""
_FORWARD = sql(_PAGE.format(beyond=">", order="ASC"))
_BACKWARD = sql(_PAGE.format(beyond="<", order="DESC"))


async def published_page(
    tx: Tx, limit: int, mark: Mark | None, network: str | None, containing: str | None
) -> list[PublishedRoom]:
    """The next rooms from the mark on, the largest first (backward: the smallest first), in one query.

    `containing` leaves out rooms that cannot have this ASCII text in name, topic or alias.
    """
    joined, room_id = (mark.joined, mark.room_id) if mark is not None else (None, None)
    statement = _BACKWARD if mark is not None and mark.backward else _FORWARD
    rooms: dict[str, PublishedRoom] = {}
    for row in await tx.fetch(statement, limit, network, joined, room_id, containing, list(SHOWN_TYPES)):
        room = rooms.setdefault(row["room_id"], PublishedRoom(row["room_id"], row["joined"]))
        if row["json"] is not None:
            room.state[row["type"]] = row["json"]
    return list(rooms.values())
