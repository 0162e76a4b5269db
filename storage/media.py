"""Media: what was uploaded, by whom, and which thumbnails of it exist; the bytes are blobs, named by their digest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from storage.database import Tx
from storage.statement import sql


@dataclass(frozen=True, slots=True)
class Media:
    """A file that is there: `digest` names its blob."""

    media_id: str
    user_id: str
    created: int
    size: int
    content_type: str
    file_name: str | None
    digest: bytes


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A smaller picture of a file, and the blob that holds it."""

    width: int
    height: int
    method: str
    animated: bool
    content_type: str
    size: int
    digest: bytes


_ADD = sql("""
    INSERT INTO media (media_id, user_id, created, size, content_type, file_name, digest)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
""")


async def add(tx: Tx, media: Media) -> None:
    """Keeps what is known of a new file."""
    values = (media.size, media.content_type, media.file_name, media.digest)
    await tx.execute(_ADD, media.media_id, media.user_id, media.created, *values)


_GET = sql("""
    SELECT media_id, user_id, created, size, content_type, file_name, digest FROM media
    WHERE media_id = $1 AND digest IS NOT NULL
""")


async def get(tx: Tx, media_id: str) -> Media | None:
    """The file, None when there is none of that ID."""
    row = await tx.fetchrow(_GET, media_id)
    return None if row is None else Media(**row)


_ADD_THUMBNAIL = sql("""
    INSERT INTO thumbnails (media_id, width, height, method, animated, content_type, size, digest)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT DO NOTHING
""")


async def add_thumbnail(tx: Tx, media_id: str, thumbnail: Thumbnail) -> None:
    """Keeps a thumbnail; a second one of the same kind is the same picture."""
    t = thumbnail
    values = (t.width, t.height, t.method, t.animated, t.content_type, t.size, t.digest)
    await tx.execute(_ADD_THUMBNAIL, media_id, *values)


_THUMBNAILS = sql("""
    SELECT width, height, method, animated, content_type, size, digest FROM thumbnails WHERE media_id = $1
""")


async def thumbnails(tx: Tx, media_id: str) -> Sequence[Thumbnail]:
    """All thumbnails of a file."""
    return [Thumbnail(**row) for row in await tx.fetch(_THUMBNAILS, media_id)]
