"""What the database has of a room, for tests of what changes rooms; and paths of rooms."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import orjson

from tests.fixtures.homeserver import Homeserver


def path(room_id: str, *rest: str) -> str:
    """The path of something in a room."""
    return "/".join(("rooms", quote(room_id, safe=""), *(quote(part, safe="") for part in rest)))


async def events_of(homeserver: Homeserver, room_id: str) -> list[dict[str, Any]]:
    """The room's events in their order; `json` is the federation format."""
    async with homeserver.tenant.database.read() as tx:
        found = await tx.fetch("SELECT * FROM events WHERE room_id = $1 ORDER BY position", room_id)
    return [{**row, "json": orjson.loads(row["json"])} for row in found]


async def state_of(homeserver: Homeserver, room_id: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The content of each event of the room's state."""
    async with homeserver.tenant.database.read() as tx:
        found = await tx.fetch(
            "SELECT c.type, c.state_key, e.json FROM current_state AS c JOIN events AS e USING (event_id) "
            "WHERE c.room_id = $1",
            room_id,
        )
    return {(row["type"], row["state_key"]): orjson.loads(row["json"])["content"] for row in found}


async def membership(homeserver: Homeserver, room_id: str, user_id: str) -> dict[str, Any]:
    """The row of the memberships, `stripped` parsed; empty if there is none."""
    async with homeserver.tenant.database.read() as tx:
        row = await tx.fetchrow(
            "SELECT * FROM memberships WHERE room_id = $1 AND user_id = $2", room_id, user_id
        )
    if row is None:
        return {}
    return {**row, "stripped": row["stripped"] and orjson.loads(row["stripped"])}
