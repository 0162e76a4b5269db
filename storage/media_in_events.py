"""Which events name which files, kept true by a follower of the journal."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import asyncpg

from storage.database import Tx
from storage.statement import each, sql


@dataclass(frozen=True, slots=True)
class Naming:
    """An event that names a file."""

    origin: str
    media_id: str
    event_id: str
    room_id: str
    redacted: int | None


_BEGIN = sql("INSERT INTO followers (name, position) VALUES ('media', 0) ON CONFLICT DO NOTHING")
_TAKE = sql("SELECT position FROM followers WHERE name = 'media' FOR UPDATE SKIP LOCKED")


async def take_follower(tx: Tx) -> int | None:
    """Up to which position it is known; it is ours to go on until the transaction ends. None: it is somebody else's now."""
    await tx.execute(_BEGIN)
    position: int | None = await tx.fetchval(_TAKE)
    return position


_FOLLOWED = sql("UPDATE followers SET position = $1 WHERE name = 'media'")


async def mark_followed(tx: Tx, position: int) -> None:
    """It is known up to this position."""
    await tx.execute(_FOLLOWED, position)


_NEWEST = sql("SELECT position FROM journal")


async def newest(tx: Tx) -> int:
    """The journal's position."""
    return int(await tx.fetchval(_NEWEST))


# Members' pictures are their profiles' business. What an event said that was redacted at once may still be known.
_NEWS = sql("""
    SELECT e.event_id, e.room_id, e.redacted_by IS NOT NULL AS is_redacted, coalesce(o.json, e.json) AS json
    FROM events AS e LEFT JOIN redacted_originals AS o ON o.event_id = e.event_id AND e.redacted_by IS NOT NULL
    WHERE e.position > $1 AND e.position <= $2 AND e.standing <= 1 AND e.type NOT IN ('m.room.member', 'm.room.encrypted')
        AND position('mxc://'::bytea IN coalesce(o.json, e.json)) > 0
""")


async def naming_after(tx: Tx, position: int, last: int) -> Sequence[asyncpg.Record]:
    """Events at the positions up to `last` that may name files: event_id, room_id, is_redacted, json."""
    return await tx.fetch(_NEWS, position, last)


_ADD = sql("""
    INSERT INTO media_in_events (origin, media_id, event_id, room_id, redacted)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[]) ON CONFLICT DO NOTHING
""")


async def add(tx: Tx, found: Collection[Naming]) -> None:
    """Keeps which events name which files."""
    rows = [(n.origin, n.media_id, n.event_id, n.room_id, n.redacted) for n in found]
    if rows:
        await tx.execute(_ADD, *map(list, zip(*rows, strict=True)))


# For who writes an event where the follower does not come by. Values: the file's origin and media ID, event ID, room ID.
NAME_FILE = each("""
    INSERT INTO media_in_events (origin, media_id, event_id, room_id)
    SELECT $2, $3, $4, $5 WHERE $1::bigint IS NOT NULL ON CONFLICT DO NOTHING
""")


_REDACT = sql("""
    UPDATE media_in_events AS n SET redacted = $3
    FROM events AS e JOIN redactions AS r ON r.redaction = e.event_id AND r.applied
    WHERE e.position > $1 AND e.position <= $2 AND e.type = 'm.room.redaction'
        AND n.event_id = r.target AND n.redacted IS NULL
""")


async def mark_redacted(tx: Tx, position: int, last: int, now: int) -> None:
    """What redactions at these positions have redacted names no files any more."""
    await tx.execute(_REDACT, position, last, now)
