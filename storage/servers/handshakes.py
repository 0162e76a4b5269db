"""Rooms that we enter, or let others enter: whether we are in a room, where others can be asked, what is to be passed on."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from protocol.ids import RoomID, ServerName, UserID
from protocol.room_versions import RoomVersion, version_named
from storage.database import Tx
from storage.statement import each, sql


@dataclass(frozen=True, slots=True)
class Residence:
    """What we are to a room: do we have it at all (its version), and is a user of ours joined now?"""

    room_version: RoomVersion | None
    is_resident: bool


_RESIDENCE = sql(
    """
    SELECT (SELECT room_version FROM rooms WHERE room_id = $1) AS room_version,
        EXISTS (SELECT FROM memberships WHERE room_id = $1 AND membership = 'join' AND is_local) AS resident
"""
)


async def residence(tx: Tx, room_id: str) -> Residence:
    """What we are to the room."""
    row = await tx.fetchrow(_RESIDENCE, room_id)
    assert row is not None
    version = version_named(row["room_version"]) if row["room_version"] is not None else None
    return Residence(version, version is not None and row["resident"])


@dataclass(frozen=True, slots=True)
class RemoteRoom:
    """A room that we know by an invite or a knock."""

    room_id: RoomID
    room_version: RoomVersion
    server: ServerName


# Values: room ID, room version, server.
SET_REMOTE_ROOM = each(
    """
    INSERT INTO remote_rooms (room_id, room_version, server)
    SELECT $2::text, $3::text, $4::text WHERE $1::bigint IS NOT NULL
    ON CONFLICT (room_id) DO UPDATE SET room_version = excluded.room_version, server = excluded.server
"""
)

_REMOTE_ROOM = sql("SELECT room_id, room_version, server FROM remote_rooms WHERE room_id = $1")


async def remote_room(tx: Tx, room_id: str) -> RemoteRoom | None:
    """What we know of a room by an invite or a knock; None where there was neither."""
    row = await tx.fetchrow(_REMOTE_ROOM, room_id)
    if row is None:
        return None
    return RemoteRoom(row["room_id"], version_named(row["room_version"]), row["server"])


@dataclass(frozen=True, slots=True)
class Allowed:
    """A room whose members may join another one: are we in it, so that we know its members, and is the user?"""

    room_id: RoomID
    is_known: bool
    is_joined: bool


_ALLOWED = sql(
    """
    SELECT r.room_id,
        EXISTS (SELECT FROM memberships WHERE room_id = r.room_id AND membership = 'join' AND is_local)
            AND NOT EXISTS (SELECT FROM partial_rooms WHERE room_id = r.room_id) AS known,
        EXISTS (SELECT FROM memberships WHERE room_id = r.room_id AND user_id = $2 AND membership = 'join') AS joined
    FROM unnest($1::text[]) AS r (room_id)
"""
)


async def allowed_by(tx: Tx, room_ids: Collection[str], user_id: str) -> list[Allowed]:
    """For each of the rooms, what we know of the user in it."""
    found = await tx.fetch(_ALLOWED, list(room_ids), user_id)
    return [Allowed(row["room_id"], row["known"], row["joined"] and row["known"]) for row in found]


_RELAY = sql("INSERT INTO relayed_events (event_id) VALUES ($1) ON CONFLICT DO NOTHING")


async def relay(tx: Tx, event_id: str) -> None:
    """The event, of a user of another server, enters the room through us: we send it to the others in it."""
    await tx.execute(_RELAY, event_id)


_SERVERS = sql(
    """
    SELECT DISTINCT substr(user_id, strpos(user_id, ':') + 1) AS server
    FROM memberships WHERE room_id = $1 AND membership = 'join' AND user_id <> $2
"""
)


async def servers_in_room(tx: Tx, room_id: str, besides: str) -> list[ServerName]:
    """The servers with users in the room, not counting the one user that is named."""
    return [ServerName(row["server"]) for row in await tx.fetch(_SERVERS, room_id, besides)]


_SINCE_THEN = sql(
    """
    SELECT m.user_id, e.json
    FROM memberships AS m JOIN auth_chains AS c ON c.auth_events @> ARRAY[m.event_id]
    JOIN events AS e ON e.event_id = c.event_id
    WHERE m.room_id = $1 AND m.is_local AND m.membership = 'join' AND e.room_id = $1 AND e.type = 'm.room.member'
        AND e.state_key = m.user_id AND e.sender = m.user_id AND e.standing = 0
"""
)


async def members_since_then(tx: Tx, room_id: str) -> list[tuple[UserID, bytes]]:
    """Of users of ours who are in the room their own member events, here in the timeline, that follow on the one by which they
    are; each with its JSON."""
    return [(row["user_id"], row["json"]) for row in await tx.fetch(_SINCE_THEN, room_id)]
