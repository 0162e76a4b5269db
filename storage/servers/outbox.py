"""What waits for other servers and must not be lost: messages to devices of their users, as ready EDUs; events now and then."""

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

# Events that a server is to be told of although it was not in the room then. Values: server, number of the part, the event in
# brackets (`as_mail`).
APPEND_EVENT_TO_OUTBOX = rows("""
    WITH n AS (
        SELECT * FROM unnest($1::bigint[], $2::text[], $3::integer[], $4::bytea[]) AS n (position, server, part, edu)
    ), known AS (
        INSERT INTO destinations (server, position) SELECT server, min(position) - 1 FROM n GROUP BY server ORDER BY server
        ON CONFLICT DO NOTHING
    )
    INSERT INTO outbox (position, server, part, edu) SELECT position, server, part, edu FROM n
""")
_BEFORE, _BEHIND = b'{"pdu":', b"}"


def as_mail(pdu: bytes) -> bytes:
    """An event, such that it is told from the EDUs in the outbox."""
    return _BEFORE + pdu + _BEHIND


def pdu_in(mail: bytes) -> bytes | None:
    """The event; None for an EDU."""
    return mail[len(_BEFORE) : -len(_BEHIND)] if mail.startswith(_BEFORE) else None


_WAITING = sql("""
    SELECT position, part, edu FROM outbox WHERE server = $1 AND (position, part) > ($2, $3)
    ORDER BY position, part LIMIT $4
""")


async def waiting_in_outbox(
    tx: Tx, server: str, after: tuple[int, int], limit: int
) -> list[tuple[int, int, bytes]]:
    """The first EDUs (and events, `as_mail`) for the server behind a place, in their order: (position, part, EDU)."""
    found = await tx.fetch(_WAITING, server, *after, limit)
    return [(row["position"], row["part"], row["edu"]) for row in found]


_DELETE = sql("""
    DELETE FROM outbox AS o USING unnest($1::text[], $2::bigint[], $3::integer[]) AS n (server, position, part)
    WHERE o.server = n.server AND (o.position, o.part) <= (n.position, n.part)
""")


async def delete_delivered(tx: Tx, delivered: Collection[tuple[str, int, int]]) -> None:
    """The servers have their EDUs up to these: (server, position, part)."""
    await tx.execute(_DELETE, *map(list, zip(*delivered, strict=True)))
