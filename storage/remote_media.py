"""What is cached: files of other servers, and pictures of previews (files of nobody's); and which go when there are too many."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from storage.database import Tx
from storage.media import Media
from storage.statement import sql


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that is here, and when somebody last asked for it. Its thumbnails stand under `origin/media_id`."""

    media: Media
    used: int


def kept_id(origin: str, media_id: str) -> str:
    """What stands for a media ID where files of ours and of others stand side by side; ours have no slash in theirs."""
    return f"{origin}/{media_id}"


_GET = sql("""
    SELECT r.fetched, r.used, r.size, r.content_type, r.file_name, r.digest FROM remote_media AS r
    WHERE r.origin = $1 AND r.media_id = $2
""")


async def get(tx: Tx, origin: str, media_id: str) -> Kept | None:
    """The file, None when it is not kept."""
    row = await tx.fetchrow(_GET, origin, media_id)
    if row is None:
        return None
    described = (row["size"], row["content_type"], row["file_name"], row["digest"])
    return Kept(Media(kept_id(origin, media_id), "", row["fetched"], *described), row["used"])


_ADD = sql("""
    INSERT INTO remote_media (origin, media_id, fetched, used, size, content_type, file_name, digest)
    VALUES ($1, $2, $3, $3, $4, $5, $6, $7)
    ON CONFLICT (origin, media_id) DO UPDATE SET fetched = excluded.fetched, used = excluded.used,
        size = excluded.size, content_type = excluded.content_type, file_name = excluded.file_name,
        digest = excluded.digest
""")


async def add(tx: Tx, origin: str, media_id: str, media: Media) -> None:
    """Keeps what is known of a file that was fetched."""
    described = (media.size, media.content_type, media.file_name, media.digest)
    await tx.execute(_ADD, origin, media_id, media.created, *described)


_IS_QUARANTINED = sql("""
    SELECT EXISTS (
        SELECT FROM quarantined_media AS q WHERE q.origin = $1 AND q.media_id = $2
            OR q.digest = (SELECT r.digest FROM remote_media AS r WHERE r.origin = $1 AND r.media_id = $2)
    )
""")


async def is_quarantined(tx: Tx, origin: str, media_id: str) -> bool:
    """Whether the file, of another server, is in quarantine."""
    return bool(await tx.fetchval(_IS_QUARANTINED, origin, media_id))


_CACHED = sql("""
    SELECT ((SELECT coalesce(sum(size), 0) FROM remote_media)
        + (SELECT coalesce(sum(size), 0) FROM media WHERE user_id = ''))::bigint
""")


async def cached_bytes(tx: Tx) -> int:
    """How much is cached."""
    return int(await tx.fetchval(_CACHED))


_SHRINK = sql("""
    WITH cached AS (
        SELECT origin, media_id, size, used FROM remote_media
        UNION ALL
        SELECT '', media_id, size, coalesce(used, created) FROM media WHERE user_id = '' AND NOT protected
    ), due AS (
        SELECT origin, media_id FROM (
            SELECT origin, media_id, sum(size) OVER (ORDER BY used DESC, origin, media_id) AS newer FROM cached
        ) AS s WHERE newer > $1
    ), dropped AS (
        DELETE FROM remote_media AS r USING due AS d WHERE r.origin = d.origin AND r.media_id = d.media_id
        RETURNING r.origin || '/' || r.media_id AS media_id, r.digest
    ), pictures AS (
        DELETE FROM media AS m USING due AS d WHERE d.origin = '' AND m.media_id = d.media_id AND m.user_id = ''
        RETURNING m.media_id, m.digest
    ), smaller AS (
        DELETE FROM thumbnails AS t USING (SELECT media_id FROM dropped UNION ALL SELECT media_id FROM pictures) AS d
        WHERE t.media_id = d.media_id
        RETURNING t.digest
    )
    SELECT digest FROM dropped UNION SELECT digest FROM pictures UNION SELECT digest FROM smaller
""")


async def shrink(tx: Tx, most: int) -> list[bytes]:
    """Forgets the files that were used longest ago, until the rest has no more bytes than that; their blobs' digests,
    thumbnails included.
    """
    return [row["digest"] for row in await tx.fetch(_SHRINK, most)]


_NEEDED = sql("""
    SELECT digest FROM unnest($1::bytea[]) AS w (digest)
    WHERE EXISTS (SELECT FROM media AS m WHERE m.digest = w.digest)
        OR EXISTS (SELECT FROM remote_media AS r WHERE r.digest = w.digest)
        OR EXISTS (SELECT FROM thumbnails AS t WHERE t.digest = w.digest)
""")


async def needed_among(tx: Tx, digests: Collection[bytes]) -> frozenset[bytes]:
    """Those of the blobs that some file or thumbnail still is."""
    return frozenset(row["digest"] for row in await tx.fetch(_NEEDED, list(digests)))


# One lock for all blobs of a tenant: shared by those who name a blob, alone for who deletes some.
_HOLD = sql("SELECT pg_advisory_xact_lock_shared(hashtextextended(current_schema() || ' blobs', 0))")
_CLEAR = sql("SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || ' blobs', 0))")


async def hold_blobs(tx: Tx) -> None:
    """Until this transaction ends no blob goes away."""
    await tx.execute(_HOLD)


async def clear_blobs(tx: Tx) -> None:
    """Until this transaction ends nobody else names a blob, so that one that nobody names can go."""
    await tx.execute(_CLEAR)
