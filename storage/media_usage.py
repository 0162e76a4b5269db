"""Who uses how much: files and bytes of users and rooms, and how often files were downloaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from storage.database import Tx
from storage.statement import sql

_OF_USER = sql("SELECT coalesce(sum(size), 0)::bigint FROM media WHERE user_id = $1")


async def bytes_of_user(tx: Tx, user_id: str) -> int:
    """What the user's files have in all."""
    return int(await tx.fetchval(_OF_USER, user_id))


_OF_ALL = sql("SELECT coalesce(sum(size), 0)::bigint FROM media WHERE user_id <> ''")


async def bytes_of_all(tx: Tx) -> int:
    """What all files that users have uploaded have."""
    return int(await tx.fetchval(_OF_ALL))


_COUNT = sql("""
    UPDATE media AS m SET downloads = m.downloads + w.times, used = greatest(m.used, w.at)
    FROM unnest($1::text[], $2::integer[], $3::bigint[]) AS w (media_id, times, at) WHERE m.media_id = w.media_id
""")
_COUNT_REMOTE = sql("""
    UPDATE remote_media AS r SET downloads = r.downloads + w.times, used = greatest(r.used, w.at)
    FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[]) AS w (origin, media_id, times, at)
    WHERE r.origin = w.origin AND r.media_id = w.media_id
""")


async def count_downloads(tx: Tx, counted: Mapping[str, tuple[int, int]]) -> None:
    """Adds up downloads: of each file (as in `Media.media_id`: another server's with its name) how many, and when the last was.

    In order, lest two processes wait for each other.
    """
    ours = [(file, *how) for file, how in sorted(counted.items()) if "/" not in file]
    theirs = [(*file.split("/", 1), *how) for file, how in sorted(counted.items()) if "/" in file]
    if ours:
        await tx.execute(_COUNT, *map(list, zip(*ours, strict=True)))
    if theirs:
        await tx.execute(_COUNT_REMOTE, *map(list, zip(*theirs, strict=True)))


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a table: in which order, from which row on, how many rows."""

    order: str
    backwards: bool
    start: int
    limit: int


ORDERS = {
    "media_id": "m.media_id",
    "upload_name": "m.file_name",
    "created_ts": "m.created",
    "last_access_ts": "m.used",
    "media_length": "m.size",
    "media_type": "m.content_type",
    "quarantined_by": "quarantined_by",
    "safe_from_quarantine": "m.protected",
    "downloads": "m.downloads",
}


def _page_of_user(order: str, direction: str) -> str:
    return sql(f"""
        SELECT m.media_id, m.file_name, m.created, m.used, m.size, m.content_type, m.protected, m.downloads, (
            SELECT q.quarantined_by FROM quarantined_media AS q
            WHERE q.origin = $1 AND q.media_id = m.media_id OR q.digest = m.digest LIMIT 1
        ) AS quarantined_by
        FROM media AS m WHERE m.user_id = $2 AND m.digest IS NOT NULL
        ORDER BY {order} {direction} NULLS LAST, m.media_id LIMIT $4 OFFSET $3
    """)  # noqa: S608 - nothing but constants


_PAGES = {
    (name, backwards): _page_of_user(order, "DESC" if backwards else "ASC")
    for name, order in ORDERS.items()
    for backwards in (False, True)
}
_NUMBER_OF_USER = sql("SELECT count(*) FROM media WHERE user_id = $1 AND digest IS NOT NULL")


async def files_of_user(tx: Tx, ours: str, user_id: str, page: Page) -> tuple[int, Sequence[asyncpg.Record]]:
    """How many files a user has, and a page of them; `page.order` is one of ORDERS."""
    statement = _PAGES[page.order, page.backwards]
    total = int(await tx.fetchval(_NUMBER_OF_USER, user_id))
    return total, await tx.fetch(statement, ours, user_id, page.start, page.limit)


_FILE = sql("""
    SELECT m.media_id, m.file_name, m.created, m.used, m.size, m.content_type, m.protected, m.downloads, m.user_id,
        (SELECT q.quarantined_by FROM quarantined_media AS q
            WHERE q.origin = $1 AND q.media_id = m.media_id OR q.digest = m.digest LIMIT 1) AS quarantined_by
    FROM media AS m WHERE m.media_id = $2 AND $1 = $3 AND m.digest IS NOT NULL
    UNION ALL
    SELECT r.media_id, r.file_name, r.fetched, r.used, r.size, r.content_type, false, r.downloads, NULL,
        (SELECT q.quarantined_by FROM quarantined_media AS q
            WHERE q.origin = $1 AND q.media_id = r.media_id OR q.digest = r.digest LIMIT 1)
    FROM remote_media AS r WHERE r.origin = $1 AND r.media_id = $2
""")


async def file_of(tx: Tx, ours: str, origin: str, media_id: str) -> asyncpg.Record | None:
    """What is known of one file, of ours or another server's; None when it is not here."""
    return await tx.fetchrow(_FILE, origin, media_id, ours)


_IN_ROOM = sql(
    "SELECT DISTINCT origin, media_id FROM media_in_events WHERE room_id = $1 AND redacted IS NULL"
)


async def named_in_room(tx: Tx, room_id: str) -> list[tuple[str, str]]:
    """The files that events of a room name."""
    return [(row["origin"], row["media_id"]) for row in await tx.fetch(_IN_ROOM, room_id)]


_USERS = sql("""
    SELECT user_id, count(*) AS files, coalesce(sum(size), 0)::bigint AS bytes, count(*) OVER () AS total
    FROM media WHERE digest IS NOT NULL AND user_id <> '' AND ($1::text IS NULL OR position(lower($1) IN lower(user_id)) > 0)
    GROUP BY user_id ORDER BY bytes DESC, user_id LIMIT $3 OFFSET $2
""")


async def users_by_usage(tx: Tx, term: str | None, start: int, limit: int) -> Sequence[asyncpg.Record]:
    """Users (whose ID contains the term), those who keep most first: user_id, files, bytes, and the total of such users."""
    return await tx.fetch(_USERS, term, start, limit)


_ROOMS = sql("""
    SELECT n.room_id, count(*) AS files, coalesce(sum(coalesce(m.size, r.size)), 0)::bigint AS bytes,
        count(*) OVER () AS total
    FROM (SELECT DISTINCT room_id, origin, media_id FROM media_in_events WHERE redacted IS NULL) AS n
    LEFT JOIN media AS m ON n.origin = $1 AND m.media_id = n.media_id
    LEFT JOIN remote_media AS r ON r.origin = n.origin AND r.media_id = n.media_id
    WHERE m.digest IS NOT NULL OR r.digest IS NOT NULL
    GROUP BY n.room_id ORDER BY bytes DESC, n.room_id LIMIT $3 OFFSET $2
""")


async def rooms_by_usage(tx: Tx, ours: str, start: int, limit: int) -> Sequence[asyncpg.Record]:
    """Rooms whose events name files that are here, the fullest first: room_id, files, bytes, and the total of such rooms."""
    return await tx.fetch(_ROOMS, ours, start, limit)
