"""Room aliases of this server, one by one; what making and replacing rooms does to them is in `room_aliases`."""

from __future__ import annotations

from dataclasses import dataclass

from storage.database import Tx
from storage.statement import sql


@dataclass(frozen=True, slots=True)
class Alias:
    """An alias, the room it points to, and who made it."""

    alias: str
    room_id: str
    creator: str


_ADD = sql(
    """
    INSERT INTO aliases (alias, room_id, creator, created) VALUES ($1, $2, $3, $4)
    ON CONFLICT DO NOTHING RETURNING true
"""
)


async def add_alias(tx: Tx, alias: Alias, created: int) -> bool:
    """Makes the alias; False when it is taken."""
    return await tx.fetchval(_ADD, alias.alias, alias.room_id, alias.creator, created) is True


_GET = sql("SELECT alias, room_id, creator FROM aliases WHERE alias = $1")


async def get_alias(tx: Tx, alias: str) -> Alias | None:
    """The alias; None if there is none."""
    row = await tx.fetchrow(_GET, alias)
    return Alias(**row) if row is not None else None


_DELETE = sql("DELETE FROM aliases WHERE alias = $1 AND room_id = $2 RETURNING true")


async def delete_alias(tx: Tx, alias: Alias) -> bool:
    """Removes the alias; False when it does not point to this room any more."""
    return await tx.fetchval(_DELETE, alias.alias, alias.room_id) is True


_OF_ROOM = sql("SELECT alias FROM aliases WHERE room_id = $1 ORDER BY created, alias")


async def aliases_of_room(tx: Tx, room_id: str) -> list[str]:
    """All aliases that point to the room, the oldest first."""
    return [row["alias"] for row in await tx.fetch(_OF_ROOM, room_id)]


_OTHER_SERVERS = sql(
    """
    SELECT substr(user_id, strpos(user_id, ':') + 1) AS server
    FROM memberships WHERE room_id = $1 AND membership = 'join' AND NOT is_local
    UNION
    SELECT unnest(servers) FROM partial_rooms WHERE room_id = $1  -- whose members we do not know yet
    LIMIT $2
"""
)


async def other_servers_in(tx: Tx, room_id: str, limit: int) -> list[str]:
    """Some other servers whose users are in the room."""
    return [row["server"] for row in await tx.fetch(_OTHER_SERVERS, room_id, limit)]
