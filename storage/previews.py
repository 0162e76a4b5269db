"""Previews of URLs that are kept: each as it was at a time, and in a language."""

from __future__ import annotations

from storage.database import Tx
from storage.statement import sql

_ADD = sql("""
    INSERT INTO url_previews (url, languages, fetched, preview, media_id) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING
""")


async def add(tx: Tx, url: str, languages: str, fetched: int, preview: bytes, media_id: str | None) -> None:
    """Keeps a preview; `media_id` is the picture that is stored for it."""
    await tx.execute(_ADD, url, languages, fetched, preview, media_id)


# The last from before that time, if it is not too old; else the first one after it. One whose picture is not kept any more
# does not count: the page is asked again.
_AT = sql("""
    SELECT preview FROM (
        (SELECT preview, media_id, 0 AS place FROM url_previews
         WHERE url = $1 AND languages = $2 AND fetched > $3::bigint - $4 AND fetched <= $3 ORDER BY fetched DESC LIMIT 1)
        UNION ALL
        (SELECT preview, media_id, 1 AS place FROM url_previews
         WHERE url = $1 AND languages = $2 AND fetched > $3 ORDER BY fetched LIMIT 1)
    ) AS found
    WHERE media_id IS NULL OR EXISTS (SELECT FROM media AS m WHERE m.media_id = found.media_id)
    ORDER BY place LIMIT 1
""")


async def at(tx: Tx, url: str, languages: str, time: int, lifetime: int) -> bytes | None:
    """The preview as it was at that time, or soon after; None when there is none."""
    preview: bytes | None = await tx.fetchval(_AT, url, languages, time, lifetime)
    return preview


_FORGET = sql("""
    DELETE FROM url_previews WHERE (url, languages, fetched) IN (
        SELECT url, languages, fetched FROM url_previews WHERE fetched < $1 ORDER BY fetched LIMIT $2
    ) RETURNING media_id
""")


async def forget(tx: Tx, before: int, most: int) -> list[str | None]:
    """Forgets old previews; of each the picture that is not needed any more."""
    return [row["media_id"] for row in await tx.fetch(_FORGET, before, most)]
