"""Media: what was uploaded, by whom, and which thumbnails of it exist; the bytes are blobs, named by their digest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from storage.database import Tx
from storage.statement import sql

NOBODY = ""
"""Whose file the picture of a preview is: it is cached, as other servers' files are."""


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
    SELECT m.media_id, m.user_id, m.created, m.size, m.content_type, m.file_name, m.digest FROM media AS m
    WHERE m.media_id = $2 AND m.digest IS NOT NULL AND (m.protected OR NOT EXISTS (
        SELECT FROM quarantined_media AS q WHERE (q.origin = $1 AND q.media_id = m.media_id) OR q.digest = m.digest
    ))
""")


async def get(tx: Tx, origin: str, media_id: str) -> Media | None:
    """The file of ours (`origin` is our name), None when there is none of that ID, or it is in quarantine."""
    row = await tx.fetchrow(_GET, origin, media_id)
    return None if row is None else Media(**row)


@dataclass(frozen=True, slots=True)
class Slot:
    """A media ID that was given out: to whom, until when it may be filled, and whether it has been."""

    user_id: str
    expires: int | None
    is_filled: bool


_CREATE = sql("INSERT INTO media (media_id, user_id, created, expires) VALUES ($1, $2, $3, $4)")


async def create(tx: Tx, media_id: str, user_id: str, now: int, expires: int) -> None:
    """Gives out a media ID whose file is still to come."""
    await tx.execute(_CREATE, media_id, user_id, now, expires)


_SLOT = sql("SELECT user_id, expires, digest IS NOT NULL AS is_filled FROM media WHERE media_id = $1")


async def slot(tx: Tx, media_id: str) -> Slot | None:
    """What is known of a media ID, None when it was never given out (or is forgotten)."""
    row = await tx.fetchrow(_SLOT, media_id)
    return None if row is None else Slot(**row)


_PENDING = sql("""
    SELECT count(*) AS pending, coalesce(min(expires), 0) AS first FROM media
    WHERE user_id = $1 AND digest IS NULL AND expires > $2
""")


async def pending(tx: Tx, user_id: str, now: int) -> tuple[int, int]:
    """How many files of the user are still to come, and when the first of them is given up."""
    row = await tx.fetchrow(_PENDING, user_id, now)
    assert row is not None
    return row["pending"], row["first"]


_FILL = sql("""
    UPDATE media SET created = $2, size = $3, content_type = $4, file_name = $5, digest = $6, expires = NULL
    WHERE media_id = $1 AND digest IS NULL AND expires > $2
""")


async def fill(tx: Tx, media: Media) -> bool:
    """The file has come; False when it had come before, or came too late."""
    described = (media.size, media.content_type, media.file_name, media.digest)
    return await tx.execute(_FILL, media.media_id, media.created, *described) == "UPDATE 1"


_FORGET_EXPIRED = sql("DELETE FROM media WHERE digest IS NULL AND expires <= $1")


async def forget_expired(tx: Tx, now: int) -> None:
    """Gives up the files that have not come in time."""
    await tx.execute(_FORGET_EXPIRED, now)


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
