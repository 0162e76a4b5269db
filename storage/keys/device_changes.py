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

_PRUNE = sql("""
    DELETE FROM device_changes AS c
    WHERE c.device_id <> ''
        AND NOT EXISTS (SELECT FROM devices AS d WHERE d.user_id = c.user_id AND d.device_id = c.device_id)
        AND EXISTS (
            SELECT FROM device_changes AS n
            WHERE n.user_id = c.user_id AND n.device_id <> '' AND n.position > c.position
        )
        AND NOT EXISTS (
            SELECT FROM memberships AS m
            JOIN room_servers AS s ON s.room_id = m.room_id AND s.joined > 0
            JOIN destinations AS d ON d.server = s.server
            WHERE m.user_id = c.user_id AND m.is_local AND m.membership = 'join' AND d.position < c.position
                AND (d.failing_since IS NULL OR d.failing_since > $1)
        )
""")


async def prune(tx: Tx, since: int) -> None:
    """Forgets the changes of devices that are no more, once every server that is to be told has been told: those that have been
    away since before a time (ms) are not waited for. The last change of each user stays, for its number.
    """
    await tx.execute(_PRUNE, since)


_STREAM = sql("SELECT max(position) FROM device_changes WHERE user_id = $1 AND device_id <> ''")


async def stream_of(tx: Tx, user_id: str) -> int:
    """The number of the last change of the user's devices; 0 if there never was one."""
    number: int | None = await tx.fetchval(_STREAM, user_id)
    return number or 0
