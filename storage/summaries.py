"""What rooms look like from outside: their names, who may enter, and, of spaces, their children."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import asyncpg

from storage.database import Tx
from storage.directory import SHOWN_TYPES
from storage.statement import sql

_TYPES = (*SHOWN_TYPES, "m.room.encryption")


@dataclass(slots=True)
class StoredSummary:
    """A room that somebody of ours is in, with the JSON of its state events that are shown to others."""

    room_id: str
    room_version: str
    joined: int
    state: dict[str, bytes] = field(default_factory=dict)


_SUMMARIES = sql(
    """
    SELECT r.room_id, r.room_version, r.joined, c.type, e.json
    FROM rooms AS r
    LEFT JOIN current_state AS c ON c.room_id = r.room_id AND c.state_key = '' AND c.type = ANY($2::text[])
    LEFT JOIN events AS e ON e.event_id = c.event_id
    WHERE r.room_id = ANY($1::text[]) AND EXISTS (
        SELECT FROM memberships AS m WHERE m.room_id = r.room_id AND m.membership = 'join' AND m.is_local
    )
"""
)


async def summaries(tx: Tx, room_ids: Collection[str]) -> dict[str, StoredSummary]:
    """Those of the rooms whose state we know to be the newest, since somebody of ours is in them."""
    found: dict[str, StoredSummary] = {}
    for row in await tx.fetch(_SUMMARIES, list(room_ids), list(_TYPES)):
        room_id = row["room_id"]
        room = found.setdefault(room_id, StoredSummary(room_id, row["room_version"], row["joined"]))
        if row["json"] is not None:
            room.state[row["type"]] = row["json"]
    return found


_CHILDREN = sql(
    """
    SELECT c.room_id, c.state_key, e.json
    FROM current_state AS c JOIN events AS e ON e.event_id = c.event_id
    WHERE c.room_id = ANY($1::text[]) AND c.type = 'm.space.child'
"""
)


async def space_children(tx: Tx, room_ids: Collection[str]) -> list[asyncpg.Record]:
    """The m.space.child events of these rooms."""
    return await tx.fetch(_CHILDREN, list(room_ids)) if room_ids else []


_OF_USER = sql("SELECT room_id, membership FROM memberships WHERE user_id = $1 AND room_id = ANY($2::text[])")


async def memberships_in(tx: Tx, user_id: str, room_ids: Collection[str]) -> dict[str, set[str]]:
    """The user's membership in each of the rooms, as the one element of a set."""
    return {row["room_id"]: {row["membership"]} for row in await tx.fetch(_OF_USER, user_id, list(room_ids))}


_OF_SERVER = sql(
    """
    SELECT DISTINCT room_id, membership FROM memberships
    WHERE room_id = ANY($2::text[]) AND substr(user_id, strpos(user_id, ':') + 1) = $1 AND NOT is_local
"""
)


async def memberships_of_server(tx: Tx, server: str, room_ids: Collection[str]) -> dict[str, set[str]]:
    """The memberships that users of another server have in each of the rooms."""
    found: dict[str, set[str]] = {}
    for row in await tx.fetch(_OF_SERVER, server, list(room_ids)):
        found.setdefault(row["room_id"], set()).add(row["membership"])
    return found
