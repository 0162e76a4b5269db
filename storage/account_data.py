"""Account data: what clients keep with the server for their user, globally or for a room."""

from __future__ import annotations

from collections.abc import Collection

from storage import topics
from storage.database import Tx
from storage.journal import Change, Row
from storage.statement import each, rows, sql

GLOBAL = ""
"""The room ID of account data that is of no room."""

# Values: user ID, room ID or GLOBAL, type, content (a JSON object).
SET_ACCOUNT_DATA = rows(
    """
    INSERT INTO account_data (position, user_id, room_id, type, content)
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bytea[])
    ON CONFLICT (user_id, room_id, type) DO UPDATE SET position = excluded.position, content = excluded.content
""",
    key=(0, 1, 2),
)

# What is empty has been deleted (MSC3391); the row tells clients so.
_ONE = sql("""
    SELECT content FROM account_data WHERE user_id = $1 AND room_id = $2 AND type = $3 AND content <> '{}'
""")


async def account_data_of(tx: Tx, user_id: str, room_id: str, type: str) -> bytes | None:
    """The content, a JSON object; None when none was set, or it was deleted."""
    content: bytes | None = await tx.fetchval(_ONE, user_id, room_id, type)
    return content


_TYPES = sql("""
    SELECT type, content FROM account_data
    WHERE user_id = $1 AND room_id = $2 AND type = ANY($3::text[]) AND content <> '{}'
""")


async def account_data_of_types(
    tx: Tx, user_id: str, room_id: str, types: Collection[str]
) -> dict[str, bytes]:
    """The contents of those of the types that were set."""
    return {row["type"]: row["content"] for row in await tx.fetch(_TYPES, user_id, room_id, list(types))}


# Tags are written one by one, and two clients may do so at once: so it is done inside the database, where the
# journal's order settles it. What a client has put there that is no tag is written over.

# Values: user ID, room ID, tag, the tag's own content (JSON text).
ADD_TAG = each(
    """
    INSERT INTO account_data AS a (position, user_id, room_id, type, content)
    VALUES ($1, $2, $3, 'm.tag',
        convert_to(jsonb_build_object('tags', jsonb_build_object($4::text, $5::text::jsonb))::text, 'UTF8'))
    ON CONFLICT (user_id, room_id, type) DO UPDATE SET position = excluded.position, content = convert_to((
        SELECT jsonb_set(old, '{tags}',
            CASE WHEN jsonb_typeof(old -> 'tags') = 'object' THEN old -> 'tags' ELSE '{}' END
            || jsonb_build_object($4::text, $5::text::jsonb))::text
        FROM (SELECT convert_from(a.content, 'UTF8')::jsonb AS old) AS a
    ), 'UTF8')
"""
)

# Values: user ID, room ID, tag.
REMOVE_TAG = each(
    """
    UPDATE account_data SET position = $1, content = CASE
        WHEN jsonb_typeof(convert_from(content, 'UTF8')::jsonb -> 'tags') = 'object'
        THEN convert_to((convert_from(content, 'UTF8')::jsonb #- ARRAY['tags', $4::text])::text, 'UTF8')
        ELSE content END
    WHERE user_id = $2 AND room_id = $3 AND type = 'm.tag'
"""
)


def account_data_change(user_id: str, room_id: str, type: str, content: bytes) -> Change:
    """Sets account data of the user, in a room or GLOBAL; the content is a JSON object."""
    row = Row(SET_ACCOUNT_DATA, (user_id, room_id, type, content))
    return Change(rows=(row,), wake=(topics.account_data(user_id),), size=len(content) + 256)


def account_data_deletion(user_id: str, room_id: str, type: str) -> Change:
    """Deletes account data of the user, in a room or GLOBAL: «equivalent to setting it to an empty object» (MSC3391)."""
    return account_data_change(user_id, room_id, type, b"{}")


def tag_change(user_id: str, room_id: str, tag: str, content: str) -> Change:
    """Puts a tag on the user's room, with its own content, a JSON object without NUL characters."""
    row = Row(ADD_TAG, (user_id, room_id, tag, content))
    return Change(rows=(row,), wake=(topics.account_data(user_id),), size=len(content) + 256)


def untag_change(user_id: str, room_id: str, tag: str) -> Change:
    """Takes a tag off the user's room, if it is there."""
    return Change(rows=(Row(REMOVE_TAG, (user_id, room_id, tag)),), wake=(topics.account_data(user_id),))
