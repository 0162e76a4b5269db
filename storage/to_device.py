"""Messages to devices: writing them into the inboxes; /sync reads them through storage/inbox.py."""

from __future__ import annotations

from storage.database import Tx
from storage.statement import rows, sql

ALL_DEVICES = "*"

# Values: digest of the sender's transaction, time, user ID, device ID or ALL_DEVICES, the event (JSON). Of transactions
# with one digest only the first is written: the journal's row lock lets one batch after another in here, whatever the
# process, and within a batch the first position counts. What is for a device by name goes before what is for all.
APPEND_TO_DEVICE = rows("""
    WITH message AS (
        SELECT n.*, min(position) OVER (PARTITION BY digest) AS first
        FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::text[], $5::text[], $6::bytea[])
            AS n (position, digest, at, user_id, device_id, json)
    ), fresh AS (
        INSERT INTO to_device_txns (digest, at) SELECT DISTINCT ON (digest) digest, at FROM message
        ON CONFLICT DO NOTHING
        RETURNING digest
    )
    INSERT INTO to_device (position, user_id, device_id, json)
    SELECT DISTINCT ON (m.position, d.user_id, d.device_id) m.position, d.user_id, d.device_id, m.json
    FROM message AS m
    JOIN fresh ON fresh.digest = m.digest
    JOIN devices AS d ON d.user_id = m.user_id AND m.device_id IN (d.device_id, '*')
    WHERE m.position = m.first
    ORDER BY m.position, d.user_id, d.device_id, m.device_id = '*'
""")

_DELETE_TXNS = sql("DELETE FROM to_device_txns WHERE at < $1")


async def delete_txns_before(tx: Tx, at: int) -> None:
    """Forgets old transactions: nobody tries them again."""
    await tx.execute(_DELETE_TXNS, at)
