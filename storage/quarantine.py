"""Files in quarantine: nobody is given them, nor others with equal bytes; their bytes stay for who has to look into it."""

from __future__ import annotations

from storage.database import Tx
from storage.statement import sql

_ADD = """
    INSERT INTO quarantined_media (origin, media_id, digest, quarantined_by, since)
    SELECT w.origin, w.media_id, coalesce(m.digest, r.digest), $2, $3 FROM wanted AS w
    LEFT JOIN media AS m ON w.origin = $1 AND m.media_id = w.media_id
    LEFT JOIN remote_media AS r ON r.origin = w.origin AND r.media_id = w.media_id
    WHERE m.protected IS NOT TRUE
    ON CONFLICT (origin, media_id) DO UPDATE SET digest = coalesce(excluded.digest, quarantined_media.digest)
"""

_ONE = sql("WITH wanted AS (SELECT $4::text AS origin, $5::text AS media_id)" + _ADD)


async def quarantine(tx: Tx, ours: str, origin: str, media_id: str, by: str, now: int) -> int:
    """Puts a file there, of our server (whose name is `ours`) or of another; how many: 0 if it is protected."""
    return _count(await tx.execute(_ONE, ours, by, now, origin, media_id))


_BYTES = sql("""
    INSERT INTO quarantined_media (origin, media_id, digest, quarantined_by, since) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING
""")


async def quarantine_bytes(
    tx: Tx, origin: str, media_id: str, digest: bytes | None, by: str, now: int
) -> None:
    """Puts a file there of which nothing else is known yet."""
    await tx.execute(_BYTES, origin, media_id, digest, by, now)


_OF_USER = sql(
    "WITH wanted AS (SELECT $1::text AS origin, u.media_id FROM media AS u WHERE u.user_id = $4)" + _ADD  # noqa: S608
)


async def quarantine_of_user(tx: Tx, ours: str, user_id: str, by: str, now: int) -> int:
    """Puts all files of a user there, but for protected ones; how many."""
    return _count(await tx.execute(_OF_USER, ours, by, now, user_id))


_IN_ROOM = sql(
    "WITH wanted AS (SELECT DISTINCT n.origin, n.media_id FROM media_in_events AS n WHERE n.room_id = $4)"  # noqa: S608
    + _ADD
)


async def quarantine_in_room(tx: Tx, ours: str, room_id: str, by: str, now: int) -> int:
    """Puts all files that events of a room name there, but for protected ones; how many."""
    return _count(await tx.execute(_IN_ROOM, ours, by, now, room_id))


_END = sql("""
    DELETE FROM quarantined_media AS q
    WHERE q.origin = $1 AND q.media_id = $2 OR q.digest IN (
        SELECT o.digest FROM quarantined_media AS o WHERE o.origin = $1 AND o.media_id = $2
        UNION SELECT m.digest FROM media AS m WHERE m.media_id = $2 AND $1 = $3
        UNION SELECT r.digest FROM remote_media AS r WHERE r.origin = $1 AND r.media_id = $2
    )
""")


async def end_quarantine(tx: Tx, ours: str, origin: str, media_id: str) -> None:
    """The file may be had again, and so may others with equal bytes."""
    await tx.execute(_END, origin, media_id, ours)


_PROTECT = sql("UPDATE media SET protected = $2 WHERE media_id = $1")


async def protect(tx: Tx, media_id: str, protected: bool) -> bool:
    """Whether a file of ours is kept from quarantine and from being deleted for its age; False when there is none."""
    return await tx.execute(_PROTECT, media_id, protected) == "UPDATE 1"


def _count(tag: str) -> int:
    return int(tag.rpartition(" ")[2])
