"""Changes of our users' devices, each with its number in the stream that other servers follow."""

from __future__ import annotations

from storage.database import Tx
from storage.statement import each, sql

CROSS_SIGNING = ""
"""In the place of a device ID: the user's cross-signing keys, which have no numbers."""

# Values: user ID, device ID or CROSS_SIGNING. The position is the update's number, so that each wants a change of its own.
APPEND_DEVICE_CHANGE = each("""
    INSERT INTO device_changes (position, previous, user_id, device_id)
    SELECT $1::bigint, (SELECT max(position) FROM device_changes WHERE user_id = $2 AND device_id <> ''), $2, $3
    ON CONFLICT (user_id, device_id) DO UPDATE SET position = excluded.position, previous = excluded.previous
""")

_STREAM = sql("SELECT max(position) FROM device_changes WHERE user_id = $1 AND device_id <> ''")


async def stream_of(tx: Tx, user_id: str) -> int:
    """The number of the last change of the user's devices; 0 if there never was one."""
    number: int | None = await tx.fetchval(_STREAM, user_id)
    return number or 0
