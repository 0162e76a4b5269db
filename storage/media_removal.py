"""Deleting files: which ones are due, and their rows; the bytes go when nobody names them any more."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from storage.database import Tx
from storage.statement import sql

_DELETE = sql("""
    WITH dropped AS (
        DELETE FROM media WHERE media_id = ANY($1::text[]) RETURNING media_id, digest
    ), smaller AS (
        DELETE FROM thumbnails AS t USING dropped AS d WHERE t.media_id = d.media_id RETURNING t.digest
    )
    SELECT media_id, digest FROM dropped UNION ALL SELECT NULL, digest FROM smaller
""")


async def delete(tx: Tx, media_ids: Collection[str]) -> tuple[list[str], set[bytes]]:
    """Forgets files of ours: which ones there were, and the digests of what they and their thumbnails were."""
    found = await tx.fetch(_DELETE, list(media_ids))
    ids = [row["media_id"] for row in found if row["media_id"] is not None]
    return ids, {row["digest"] for row in found if row["digest"] is not None}


_DELETE_REMOTE = sql("""
    WITH dropped AS (
        DELETE FROM remote_media AS r USING unnest($1::text[], $2::text[]) AS w (origin, media_id)
        WHERE r.origin = w.origin AND r.media_id = w.media_id
        RETURNING r.origin, r.media_id, r.digest
    ), smaller AS (
        DELETE FROM thumbnails AS t USING dropped AS d WHERE t.media_id = d.origin || '/' || d.media_id
        RETURNING t.digest
    )
    SELECT media_id, digest FROM dropped UNION ALL SELECT NULL, digest FROM smaller
""")


async def delete_remote(tx: Tx, files: Collection[tuple[str, str]]) -> tuple[list[str], set[bytes]]:
    """The same of other servers' files, each by its server and media ID."""
    found = await tx.fetch(_DELETE_REMOTE, [origin for origin, _ in files], [name for _, name in files])
    return [row["media_id"] for row in found if row["media_id"] is not None], {row["digest"] for row in found}


# A picture of a profile, or of a room, is in use however long nobody has looked at it.
_IS_NO_PICTURE = """
    NOT EXISTS (
        SELECT FROM profiles AS p WHERE p.user_id = m.user_id
            AND convert_from(p.fields, 'UTF8')::jsonb ->> 'avatar_url' = 'mxc://' || $1 || '/' || m.media_id
    ) AND NOT EXISTS (
        SELECT FROM media_in_events AS n JOIN current_state AS s ON s.event_id = n.event_id
        WHERE n.origin = $1 AND n.media_id = m.media_id
    )
"""
_UNUSED = sql(
    "SELECT m.media_id FROM media AS m"  # noqa: S608 - nothing but constants
    " WHERE m.digest IS NOT NULL AND NOT m.protected AND m.user_id <> '' AND m.created < $2"
    " AND coalesce(m.used, m.created) < $2 AND m.size > $3 AND (NOT $4 OR (" + _IS_NO_PICTURE + ")) LIMIT $5"
)


async def unused(tx: Tx, ours: str, before: int, larger: int, spare_pictures: bool, limit: int) -> list[str]:
    """Files of ours that nobody has asked for since, that are larger than so many bytes; not protected ones."""
    return [row["media_id"] for row in await tx.fetch(_UNUSED, ours, before, larger, spare_pictures, limit)]


_UNUSED_REMOTE = sql("SELECT origin, media_id FROM remote_media WHERE used < $1 ORDER BY used LIMIT $2")


async def unused_remote(tx: Tx, before: int, limit: int) -> list[tuple[str, str]]:
    """Files of other servers that nobody has asked for since."""
    return [(row["origin"], row["media_id"]) for row in await tx.fetch(_UNUSED_REMOTE, before, limit)]


_UNUSED_PICTURES = sql("""
    SELECT media_id FROM media WHERE user_id = '' AND NOT protected AND coalesce(used, created) < $1 LIMIT $2
""")


async def unused_pictures(tx: Tx, before: int, limit: int) -> list[str]:
    """Pictures of previews that nobody has asked for since."""
    return [row["media_id"] for row in await tx.fetch(_UNUSED_PICTURES, before, limit)]


_UNNAMED = sql(
    "SELECT DISTINCT m.media_id FROM media_in_events AS g"  # noqa: S608 - nothing but constants
    " JOIN media AS m ON m.media_id = g.media_id AND m.digest IS NOT NULL AND NOT m.protected"
    " WHERE g.redacted < $2 AND g.origin = $1 AND NOT EXISTS (SELECT FROM media_in_events AS n"
    " WHERE n.origin = g.origin AND n.media_id = g.media_id AND (n.redacted IS NULL OR n.redacted >= $2))"
    " AND " + _IS_NO_PICTURE + " LIMIT $3"
)


async def unnamed(tx: Tx, ours: str, before: int, limit: int) -> list[str]:
    """Files of ours that events named, all of which were redacted before that time."""
    return [row["media_id"] for row in await tx.fetch(_UNNAMED, ours, before, limit)]


_OF_USER = sql(
    "SELECT media_id FROM media WHERE user_id = $1 AND digest IS NOT NULL ORDER BY created LIMIT $2"
)


async def oldest_of_user(tx: Tx, user_id: str, limit: int) -> Sequence[str]:
    """The oldest files of a user."""
    return [row["media_id"] for row in await tx.fetch(_OF_USER, user_id, limit)]
