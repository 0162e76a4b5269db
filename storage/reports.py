"""What users have reported to the administrators: events, rooms and users."""

from __future__ import annotations

from storage.database import Tx
from storage.statement import sql

_EVENT = sql(
    """
    INSERT INTO reports (received, reporter, room_id, event_id, user_id, reason)
    SELECT $1, $2, e.room_id, e.event_id, e.sender, $4 FROM events AS e WHERE e.event_id = $3
"""
)


async def report_of_event(tx: Tx, received: int, reporter: str, event_id: str, reason: str | None) -> None:
    """Keeps the report of an event, with its room and sender."""
    await tx.execute(_EVENT, received, reporter, event_id, reason)


_ROOM = sql(
    """
    INSERT INTO reports (received, reporter, room_id, reason)
    SELECT $1, $2, r.room_id, $4 FROM rooms AS r WHERE r.room_id = $3
"""
)


async def report_of_room(tx: Tx, received: int, reporter: str, room_id: str, reason: str) -> None:
    """Keeps the report of a room, if there is that room."""
    await tx.execute(_ROOM, received, reporter, room_id, reason)


_USER = sql(
    """
    INSERT INTO reports (received, reporter, user_id, reason)
    SELECT $1, $2, $3, $4 WHERE EXISTS (SELECT FROM users WHERE user_id = $3)
        OR EXISTS (SELECT FROM memberships WHERE user_id = $3 AND membership = 'join' AND NOT is_local)
"""
)


async def report_of_user(tx: Tx, received: int, reporter: str, user_id: str, reason: str) -> None:
    """Keeps the report of a user, if it is one of ours, or is in a room here."""
    await tx.execute(_USER, received, reporter, user_id, reason)
