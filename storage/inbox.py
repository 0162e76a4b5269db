"""Messages to devices, as /sync delivers them."""

from __future__ import annotations

import asyncpg

from storage.database import Tx
from storage.statement import sql

_READ = sql(
    """
    SELECT position, json FROM to_device
    WHERE user_id = $1 AND device_id = $2 AND position > $3 AND position <= $4
    ORDER BY position LIMIT $5
"""
)


async def inbox(
    tx: Tx, user_id: str, device_id: str, after: int, upto: int, limit: int
) -> list[asyncpg.Record]:
    """The first messages at positions in (after, upto], in their order."""
    return await tx.fetch(_READ, user_id, device_id, after, upto, limit)


_DELETE = sql("DELETE FROM to_device WHERE user_id = $1 AND device_id = $2 AND position <= $3")


async def delete_delivered(tx: Tx, user_id: str, device_id: str, upto: int) -> None:
    """The device has what stands at or below this position."""
    await tx.execute(_DELETE, user_id, device_id, upto)
