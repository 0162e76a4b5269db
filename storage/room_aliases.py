"""What rooms need of aliases and the directory when they are made, named or replaced."""

from __future__ import annotations

from collections.abc import Collection

from storage.database import Tx
from storage.statement import rows, sql

# Values: alias, room ID, creator, time. An alias that is taken already makes the whole group of changes fail.
CLAIM_ALIAS = rows(
    """
    INSERT INTO aliases (alias, room_id, creator, created)
    SELECT n.alias, n.room_id, n.creator, n.created
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[])
        AS n (position, alias, room_id, creator, created)
"""
)

# Values: room ID.
PUBLISH_ROOM = rows(
    """
    INSERT INTO published_rooms (room_id)
    SELECT n.room_id FROM unnest($1::bigint[], $2::text[]) AS n (position, room_id)
    ON CONFLICT DO NOTHING
"""
)

# Values: the room that has the aliases, the room that gets them.
MOVE_ALIASES = rows(
    """
    UPDATE aliases AS a SET room_id = n.new
    FROM unnest($1::bigint[], $2::text[], $3::text[]) AS n (position, old, new)
    WHERE a.room_id = n.old
"""
)

# Values: the room that stands in the directory, if it does, and the room that takes its place there.
MOVE_PUBLICATION = rows(
    """
    UPDATE published_rooms AS p SET room_id = n.new
    FROM unnest($1::bigint[], $2::text[], $3::text[]) AS n (position, old, new)
    WHERE p.room_id = n.old
"""
)

_ROOMS = sql("SELECT alias, room_id FROM aliases WHERE alias = ANY($1::text[])")


async def rooms_of_aliases(tx: Tx, aliases: Collection[str]) -> dict[str, str]:
    """The rooms that those of the aliases which exist here point to."""
    return {row["alias"]: row["room_id"] for row in await tx.fetch(_ROOMS, list(aliases))}
