"""Pushers: where a user's notifications are to be sent."""

from __future__ import annotations

from storage.database import Tx
from storage.statement import sql

_OF_USER = sql("SELECT json FROM pushers WHERE user_id = $1 ORDER BY created, app_id, pushkey")


async def pushers_of(tx: Tx, user_id: str) -> list[bytes]:
    """The user's pushers as the API shows them, JSON objects, the oldest first."""
    return [row["json"] for row in await tx.fetch(_OF_USER, user_id)]


_SET = sql(
    """
    INSERT INTO pushers (user_id, app_id, pushkey, device_id, created, json) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (user_id, app_id, pushkey) DO UPDATE SET device_id = excluded.device_id, json = excluded.json
"""
)


async def set_pusher(
    tx: Tx, user_id: str, app_id: str, pushkey: str, device_id: str | None, created: int, json: bytes
) -> None:
    """Keeps the pusher, in the place of the user's one with this app ID and pushkey."""
    await tx.execute(_SET, user_id, app_id, pushkey, device_id, created, json)


_DELETE = sql("DELETE FROM pushers WHERE user_id = $1 AND app_id = $2 AND pushkey = $3")


async def delete_pusher(tx: Tx, user_id: str, app_id: str, pushkey: str) -> None:
    """Forgets the pusher, if it is there."""
    await tx.execute(_DELETE, user_id, app_id, pushkey)


_DELETE_OTHERS = sql("DELETE FROM pushers WHERE user_id <> $1 AND app_id = $2 AND pushkey = $3")


async def delete_others_pushers(tx: Tx, user_id: str, app_id: str, pushkey: str) -> None:
    """Forgets the pushers of other users with this app ID and pushkey."""
    await tx.execute(_DELETE_OTHERS, user_id, app_id, pushkey)
