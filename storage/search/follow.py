"""Keeping the index true: what has happened since it was, and what is written of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import asyncpg

from storage.database import Tx
from storage.statement import rows, sql

# An event whose position is not the journal's, and which the index would not come across. Value: event ID.
INDEX_HISTORY = rows(
    """
    INSERT INTO search_history (event_id)
    SELECT n.event_id FROM unnest($1::bigint[], $2::text[]) AS n (position, event_id)
"""
)

_BEGIN = sql("INSERT INTO followers (name, position) VALUES ('search', 0) ON CONFLICT DO NOTHING")
_TAKE = sql("SELECT position FROM followers WHERE name = 'search' FOR UPDATE SKIP LOCKED")


async def take_index(tx: Tx) -> int | None:
    """Up to which position the index is true; it is ours to go on until the transaction ends. None: it is somebody else's now."""
    await tx.execute(_BEGIN)
    position: int | None = await tx.fetchval(_TAKE)
    return position


_FOLLOWED = sql("UPDATE followers SET position = $1 WHERE name = 'search'")


async def mark_followed(tx: Tx, position: int) -> None:
    """The index is true up to this position."""
    await tx.execute(_FOLLOWED, position)


# What may be found, what changes what may be found, or is changed by it.
_CONCERNS = """
    e.standing <= 1 AND e.redacted_by IS NULL AND e.type NOT IN ('m.room.encrypted', 'm.reaction')
    AND (e.state_key IS NULL OR (e.state_key = '' AND e.type IN ('m.room.name', 'm.room.topic')))
"""
_EDITED = (
    "(SELECT r.parent FROM relations AS r WHERE r.child = e.event_id AND r.rel_type = 'm.replace') AS edited"
)
_NEWS = sql(
    "SELECT j.position AS newest, n.* FROM journal AS j LEFT JOIN LATERAL ( SELECT e.event_id, e.type, "  # noqa: S608
    + _EDITED
    + " FROM events AS e WHERE e.position > $1 AND e.position <= $1 + $2 AND "
    + _CONCERNS
    + ") AS n ON true"
)


async def news_after(tx: Tx, position: int, window: int) -> tuple[int, list[asyncpg.Record]]:
    """The newest position of all, and of what is at the next `window` positions: event_id, type, and which event it edits."""
    found = await tx.fetch(_NEWS, position, window)
    return found[0]["newest"], [row for row in found if row["event_id"] is not None]


_TAKEN = """
    WITH taken AS (
        DELETE FROM search_history
        WHERE number IN (SELECT number FROM search_history ORDER BY number LIMIT $1)
        RETURNING event_id
    )
"""
_TAKE_HISTORY = sql(
    _TAKEN  # noqa: S608 - nothing but constants
    + "SELECT e.event_id, e.type, "
    + _EDITED
    + " FROM taken AS t JOIN events AS e ON e.event_id = t.event_id WHERE "
    + _CONCERNS
)
_HAS_HISTORY = sql("SELECT EXISTS (SELECT FROM search_history)")


async def take_history(tx: Tx, limit: int) -> tuple[list[asyncpg.Record], bool]:
    """The same of events that wait in the queue, which they leave; and whether there are more."""
    if not await tx.fetchval(_HAS_HISTORY):
        return [], False
    found = await tx.fetch(_TAKE_HISTORY, limit)
    return found, bool(await tx.fetchval(_HAS_HISTORY))


_REDACTED = sql(
    """
    SELECT e.event_id, (
        SELECT p.event_id FROM search_documents AS d JOIN events AS p ON p.position = d.position
        WHERE d.edit = e.position LIMIT 1
    ) AS edited
    FROM redactions AS r JOIN events AS e ON e.event_id = r.target
    WHERE r.redaction = ANY($1::text[]) AND r.applied
"""
)


async def redacted_by(tx: Tx, redactions: Collection[str]) -> list[asyncpg.Record]:
    """What these redactions have redacted, and of an edit the event that is found by it."""
    return await tx.fetch(_REDACTED, list(redactions)) if redactions else []


# «the newest edit», as it is bundled with the event.
_SOURCES = sql(
    """
    SELECT e.event_id, e.position, e.origin_server_ts, e.room_id, e.sender, e.type, e.json,
        x.position AS edit, x.json AS edit_json
    FROM events AS e LEFT JOIN LATERAL (
        SELECT c.position, c.json FROM relations AS r JOIN events AS c ON c.event_id = r.child
        WHERE r.parent = e.event_id AND r.room_id = e.room_id AND r.rel_type = 'm.replace' AND r.sender = e.sender
            AND r.type = e.type AND c.state_key IS NULL AND c.redacted_by IS NULL AND c.standing <= 1
            AND position('"m.new_content":{'::bytea IN c.json) > 0
        ORDER BY c.origin_server_ts DESC, c.event_id DESC LIMIT 1
    ) AS x ON e.state_key IS NULL
    WHERE e.event_id = ANY($1::text[]) AND e.standing <= 1
"""
)


async def sources(tx: Tx, event_ids: Collection[str]) -> list[asyncpg.Record]:
    """What documents are made of: the events, as redacted as they are, each with its newest edit."""
    return await tx.fetch(_SOURCES, list(event_ids)) if event_ids else []


_ROOMS = sql("SELECT room_id, number FROM search_rooms WHERE room_id = ANY($1::text[])")
_NEW_ROOMS = sql(
    """
    INSERT INTO search_rooms (room_id) SELECT * FROM unnest($1::text[]) ON CONFLICT DO NOTHING
"""
)


async def room_numbers(tx: Tx, room_ids: Collection[str]) -> dict[str, int]:
    """The numbers of those of the rooms that the index knows."""
    return {row["room_id"]: row["number"] for row in await tx.fetch(_ROOMS, list(room_ids))}


async def numbered_rooms(tx: Tx, room_ids: Collection[str]) -> dict[str, int]:
    """The numbers of all the rooms, which the index knows from now on."""
    known = await room_numbers(tx, room_ids)
    new = set(room_ids) - known.keys()
    if new:
        await tx.execute(_NEW_ROOMS, sorted(new))
        known = await room_numbers(tx, room_ids)
    return known


@dataclass(frozen=True, slots=True)
class Document:
    """An event as the index has it; `words` is the text of a tsvector."""

    position: int
    at: int
    edit: int | None
    room: int
    words: str


_FORGET = sql("DELETE FROM search_documents WHERE position = ANY($1::bigint[])")
_WRITE = sql(
    """
    INSERT INTO search_documents (position, at, edit, room, words)
    SELECT n.position, n.at, n.edit, n.room, n.words::tsvector
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::integer[], $5::text[])
        AS n (position, at, edit, room, words)
    ON CONFLICT (position) DO UPDATE SET edit = excluded.edit, words = excluded.words
"""
)


async def write_documents(tx: Tx, documents: Sequence[Document], gone: Collection[int]) -> None:
    """These are found from now on, and what is `gone` (positions) is not."""
    if gone:
        await tx.execute(_FORGET, list(gone))
    if documents:
        columns = [
            [document.position for document in documents],
            [document.at for document in documents],
            [document.edit for document in documents],
            [document.room for document in documents],
            [document.words for document in documents],
        ]
        await tx.execute(_WRITE, *columns)


_EMPTY = [
    sql("TRUNCATE search_documents, search_history"),
    sql("UPDATE followers SET position = 0 WHERE name = 'search'"),
    sql(
        """
        INSERT INTO search_history (event_id)
        SELECT event_id FROM events WHERE standing = 1 ORDER BY position DESC
"""
    ),
]


async def empty_index(tx: Tx) -> None:
    """Nothing is found any more until the index has been made again from the events. The words stay, which other processes know
    to be written.
    """
    for statement in _EMPTY:
        await tx.execute(statement)
