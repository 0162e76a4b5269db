"""The room in which the server itself speaks to a user (§Server Notices): one for each user who was ever told something."""

from __future__ import annotations

from protocol.ids import RoomID
from storage.database import Tx
from storage.statement import sql

_LOCK = sql("SELECT pg_advisory_xact_lock(hashtext('server_notice_rooms'), hashtext($1))")
_ROOM = sql("SELECT room_id FROM server_notice_rooms WHERE user_id = $1")
_SET_ROOM = sql(
    """
    INSERT INTO server_notice_rooms (user_id, room_id) VALUES ($1, $2)
    ON CONFLICT (user_id) DO UPDATE SET room_id = excluded.room_id
"""
)


async def locked_notice_room(tx: Tx, user_id: str) -> RoomID | None:
    """The user's room, which nobody else makes until the transaction ends; None if there is none yet."""
    await tx.execute(_LOCK, user_id)
    room_id: RoomID | None = await tx.fetchval(_ROOM, user_id)
    return room_id


async def set_notice_room(tx: Tx, user_id: str, room_id: str) -> None:
    """Remembers the user's room."""
    await tx.execute(_SET_ROOM, user_id, room_id)
