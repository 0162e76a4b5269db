"""Profiles of our users: all fields of one as one JSON object."""

from __future__ import annotations

from dataclasses import dataclass

from storage.database import Tx
from storage.statement import sql

_PROFILE = sql(
    """
    SELECT coalesce(p.fields, '{}') AS fields
    FROM users AS u LEFT JOIN profiles AS p ON p.user_id = u.user_id
    WHERE u.user_id = $1 AND NOT u.deactivated
"""
)


async def profile_of(tx: Tx, user_id: str) -> bytes | None:
    """The user's profile, a JSON object; None when there is no such user (any more)."""
    fields: bytes | None = await tx.fetchval(_PROFILE, user_id)
    return fields


_MAKE = sql("INSERT INTO profiles (user_id, fields) VALUES ($1, '{}') ON CONFLICT DO NOTHING")
_LOCK = sql("SELECT fields FROM profiles WHERE user_id = $1 FOR UPDATE")


async def lock_profile(tx: Tx, user_id: str) -> bytes:
    """The profile, a JSON object, for one who is going to replace it: others wait until the transaction ends."""
    await tx.execute(_MAKE, user_id)
    fields: bytes = await tx.fetchval(_LOCK, user_id)
    return fields


_REPLACE = sql("UPDATE profiles SET fields = $2 WHERE user_id = $1")


async def replace_profile(tx: Tx, user_id: str, fields: bytes) -> None:
    """Writes the whole profile, which was locked before."""
    await tx.execute(_REPLACE, user_id, fields)


@dataclass(frozen=True, slots=True)
class Appearance:
    """How a user appears in a room: the JSON of the member event that stands."""

    room_id: str
    event: bytes


_APPEARANCES = sql(
    """
    SELECT m.room_id, e.json AS event
    FROM memberships AS m JOIN events AS e ON e.event_id = m.event_id
    WHERE m.user_id = $1 AND m.membership = 'join' AND m.is_local
    ORDER BY m.position DESC
"""
)


async def appearances_of(tx: Tx, user_id: str) -> list[Appearance]:
    """Each room that our user has joined, with the member event; the newest first."""
    return [Appearance(**row) for row in await tx.fetch(_APPEARANCES, user_id)]
