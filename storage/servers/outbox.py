"""What waits for other servers and must not be lost: messages to devices of their users, as ready EDUs."""

from __future__ import annotations

from collections.abc import Collection

from storage.database import Tx
from storage.statement import rows, sql

# Values: digest of the sender's transaction and the server, time, server, number of the part, the EDU (JSON). As with the
# inboxes of our own devices (storage/to_device.py), of transactions with one digest only the first is written.
APPEND_TO_OUTBOX = rows("""
    WITH message AS (
        SELECT n.*, min(position) OVER (PARTITION BY digest) AS first
        FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::text[], $5::integer[], $6::bytea[])
            AS n (position, digest, at, server, part, edu)
    ), fresh AS (
        INSERT INTO to_device_txns (digest, at) SELECT DISTINCT ON (digest) digest, at FROM message
        ON CONFLICT DO NOTHING
        RETURNING digest
    ), known AS (
        INSERT INTO destinations (server, position)
        SELECT server, min(position) - 1 FROM message GROUP BY server ORDER BY server
        ON CONFLICT DO NOTHING
    )
    INSERT INTO outbox (position, server, part, edu)
    SELECT m.position, m.server, m.part, m.edu FROM message AS m JOIN fresh ON fresh.digest = m.digest
    WHERE m.position = m.first
""")

_WAITING = sql("""
    SELECT position, part, edu FROM outbox WHERE server = $1 AND (position, part) > ($2, $3)
    ORDER BY position, part LIMIT $4
""")


async def waiting_in_outbox(
    tx: Tx, server: str, after: tuple[int, int], limit: int
) -> list[tuple[int, int, bytes]]:
    """The first EDUs for the server behind a place, in their order: (position, part, EDU)."""
    found = await tx.fetch(_WAITING, server, *after, limit)
    return [(row["position"], row["part"], row["edu"]) for row in found]


_DELETE = sql("""
    DELETE FROM outbox AS o USING unnest($1::text[], $2::bigint[], $3::integer[]) AS n (server, position, part)
    WHERE o.server = n.server AND (o.position, o.part) <= (n.position, n.part)
""")


async def delete_delivered(tx: Tx, delivered: Collection[tuple[str, int, int]]) -> None:
    """The servers have their EDUs up to these: (server, position, part)."""
    await tx.execute(_DELETE, *map(list, zip(*delivered, strict=True)))
