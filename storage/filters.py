"""Filters that clients have uploaded, to be named by a number in later requests."""

from __future__ import annotations

from storage.database import Tx
from storage.statement import sql

_FIND = sql("SELECT filter_id FROM filters WHERE user_id = $1 AND digest = $2")
_ADD = sql(
    """
    INSERT INTO filters (user_id, filter_id, digest, json)
    SELECT $1, coalesce(max(filter_id), 0) + 1, $2, $3 FROM filters WHERE user_id = $1
    ON CONFLICT DO NOTHING
    RETURNING filter_id
"""
)


async def add_filter(tx: Tx, user_id: str, digest: bytes, json: bytes) -> int:
    """The user's number for this filter; the same one for the same digest."""
    while True:
        # Of two that are added at once, one gets no number, and looks again: `tx` must see what others commit.
        filter_id: int | None = await tx.fetchval(_FIND, user_id, digest)
        if filter_id is None:
            filter_id = await tx.fetchval(_ADD, user_id, digest, json)
        if filter_id is not None:
            return filter_id


_GET = sql("SELECT json FROM filters WHERE user_id = $1 AND filter_id = $2")


async def get_filter(tx: Tx, user_id: str, filter_id: int) -> bytes | None:
    """The filter as it was uploaded, JSON; None when the user has none with this number."""
    json: bytes | None = await tx.fetchval(_GET, user_id, filter_id)
    return json
