"""What rows say of blobs: which are named, a part of them at a time; and rows whose blobs are gone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from storage.database import Tx
from storage.statement import sql

_ALONE = sql("SELECT pg_try_advisory_xact_lock(hashtextextended(current_schema() || ' blobs checked', 0))")


async def is_alone(tx: Tx) -> bool:
    """Whether nobody else checks; nobody will until this transaction ends."""
    return bool(await tx.fetchval(_ALONE))


@dataclass(frozen=True, slots=True)
class Named:
    """A blob that something is: a file of ours, or what can be had again (another server's file, a preview's picture, a
    thumbnail); it may be several.
    """

    digest: bytes
    is_ours: bool


_NAMED = sql("""
    SELECT digest, bool_or(ours) AS is_ours FROM (
        SELECT digest, user_id <> '' AS ours FROM media WHERE digest >= $1 AND ($2::bytea IS NULL OR digest < $2)
        UNION ALL SELECT digest, false FROM remote_media WHERE digest >= $1 AND ($2::bytea IS NULL OR digest < $2)
        UNION ALL SELECT digest, false FROM thumbnails WHERE digest >= $1 AND ($2::bytea IS NULL OR digest < $2)
    ) AS n GROUP BY digest
""")


async def named(tx: Tx, first: int) -> Sequence[Named]:
    """The blobs that are named and whose digest begins with this byte."""
    end = bytes([first + 1]) if first < 255 else None
    return [Named(**row) for row in await tx.fetch(_NAMED, bytes([first]), end)]


_FORGET_REMOTE = sql("DELETE FROM remote_media WHERE digest = ANY($1::bytea[])")
_FORGET_PICTURES = sql("DELETE FROM media WHERE user_id = '' AND digest = ANY($1::bytea[])")
_FORGET_THUMBNAILS = sql("DELETE FROM thumbnails WHERE digest = ANY($1::bytea[])")


async def forget_lost(tx: Tx, digests: Collection[bytes]) -> None:
    """Forgets what can be had again and whose bytes are gone: other servers' files, pictures of previews, and thumbnails."""
    await tx.execute(_FORGET_REMOTE, list(digests))
    await tx.execute(_FORGET_PICTURES, list(digests))
    await tx.execute(_FORGET_THUMBNAILS, list(digests))
