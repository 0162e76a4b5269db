"""Which other servers have users in a room: who is told of its events.

The rows are kept by the statement that writes memberships (storage/membership.py).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from storage.database import Tx
from storage.statement import sql


@dataclass(frozen=True, slots=True)
class RoomServer:
    """A server with users in a room: since when, until when (None: still), and where it was aimed at last."""

    server: str
    joined: bool
    since: int
    until: int | None
    targeted: int | None

    def hears(self, position: int) -> bool:
        """Is the server to be sent the room's event at this position?

        It is when it had users in the room before the event, so that it hears of the leave or ban of the last one as
        well; and of one that takes an invite back.
        """
        if position == self.targeted:
            return True
        return position > self.since and (self.joined or (self.until is not None and position <= self.until))


# While we do not know all members of a room, we know at least which servers are in it. Our join they have from the server that
# let us in: they are told of what comes after it.
_OF_ROOMS = sql("""
    SELECT room_id, server, joined > 0 AS joined, since, until, targeted
    FROM room_servers WHERE room_id = ANY($1::text[])
    UNION ALL
    SELECT p.room_id, s.server, true, e.position, NULL, NULL
    FROM partial_rooms AS p JOIN events AS e ON e.event_id = p.join_event CROSS JOIN unnest(p.servers) AS s (server)
    WHERE p.room_id = ANY($1::text[]) AND s.server <> $2
""")


async def servers_of_rooms(tx: Tx, rooms: Collection[str], ours: str) -> dict[str, dict[str, RoomServer]]:
    """The other servers of these rooms, by name; of rooms that have none an empty dictionary."""
    found: dict[str, dict[str, RoomServer]] = {room_id: {} for room_id in rooms}
    for row in await tx.fetch(_OF_ROOMS, list(rooms), ours):
        values = (row["joined"], row["since"], row["until"], row["targeted"])
        found[row["room_id"]][row["server"]] = RoomServer(row["server"], *values)
    return found


_ANY = sql("SELECT EXISTS (SELECT FROM room_servers) OR EXISTS (SELECT FROM partial_rooms)")


async def any_room_servers(tx: Tx) -> bool:
    """Is, or was, any server but ours in a room?"""
    found: bool = await tx.fetchval(_ANY)
    return found


PRESENT_SERVERS = """(
        SELECT room_id, server, since FROM room_servers WHERE joined > 0
        UNION ALL
        SELECT p.room_id, s.server, 0 FROM partial_rooms AS p CROSS JOIN unnest(p.servers) AS s (server)
    )
"""
"""The servers that are in rooms, as (room, server, since when); a room that we do not know all members of may name ourselves."""

_OF_USERS = sql(
    "SELECT DISTINCT m.user_id, s.server FROM memberships AS m JOIN "  # noqa: S608 - nothing but constants
    + PRESENT_SERVERS
    + """AS s ON s.room_id = m.room_id AND s.server <> substr(m.user_id, strpos(m.user_id, ':') + 1)
    WHERE m.user_id = ANY($1::text[]) AND m.is_local AND m.membership = 'join'
"""
)


async def servers_of_users(tx: Tx, users: Collection[str]) -> dict[str, list[str]]:
    """The servers that share a room with each of these users of ours."""
    found: dict[str, list[str]] = {}
    for row in await tx.fetch(_OF_USERS, list(users)):
        found.setdefault(row["user_id"], []).append(row["server"])
    return found
