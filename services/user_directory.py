"""Finding users by name or ID (§User directory): those who share a room with the searcher or are in an open one.

The directory follows the memberships: whoever searches first takes in what is new, so that joining costs nothing for it.
Users of ours are found by their profiles, others by their newest member event.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import asyncpg
import orjson

from protocol.ids import RoomID, UserID
from protocol.json import JsonObject
from protocol.matrix_error import InvalidParam
from services.requester import Requester
from services.tenant import Tenant
from storage.database import Tx
from storage.user_directory import (
    BATCH,
    Entry,
    Mark,
    begin_to_follow,
    enter,
    is_behind,
    joined_after,
    mutual_rooms,
    search,
)

MAX_WORDS = 10
MUTUAL_ROOMS = 100  # on a page


async def search_users(tenant: Tenant, requester: Requester, term: str, limit: int) -> JsonObject:
    """`results`, of those that the requester may see, and whether there are more of them (`limited`)."""
    words = [_escaped(word) for word in folded(term.removeprefix("@")).split()[:MAX_WORDS]]
    if not words or limit == 0:
        return {"results": [], "limited": False}
    inside = [f"%{word}%" for word in words]
    at_start = [f"% {word}%" for word in words]
    async with tenant.database.read() as tx:
        behind = await is_behind(tx)
    if behind:
        async with tenant.database.transaction() as tx:
            await _catch_up(tx)
    async with tenant.database.read() as tx:
        found = await search(tx, requester.user_id, inside, at_start, limit + 1)
    return {"results": [_shown(row) for row in found[:limit]], "limited": len(found) > limit}


def folded(text: str) -> str:
    """The text without case and accents, and without what PostgreSQL does not store."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(part for part in parts if not unicodedata.combining(part) and part != "\0")


def _escaped(word: str) -> str:
    return word.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")


def _shown(row: asyncpg.Record) -> JsonObject:
    fields = {"display_name": row["display_name"], "avatar_url": row["avatar_url"]}
    return {"user_id": row["user_id"]} | {name: value for name, value in fields.items() if value}


async def _catch_up(tx: Tx) -> None:
    mark: Mark = (await begin_to_follow(tx) + 1, "", "")  # before every membership at the next position
    rows = None
    while rows is None or len(rows) == BATCH:
        rows = await joined_after(tx, mark)
        if not rows:
            return
        mark = rows[-1]["position"], rows[-1]["room_id"], rows[-1]["user_id"]
        await enter(tx, list(_entries(rows)), mark[0])


def _entries(rows: Iterable[asyncpg.Record]) -> Iterable[Entry]:
    newest = {row["user_id"]: row for row in rows}
    for user_id, row in newest.items():
        profile = (
            orjson.loads(row["fields"] or b"{}") if row["is_local"] else orjson.loads(row["json"])["content"]
        )
        name, avatar = _text(profile, "displayname"), _text(profile, "avatar_url")
        # A space before each word that one may begin with: the localpart, the words of the name.
        localpart, _, server = user_id[1:].partition(":")
        words = folded(f" {localpart}:{server} {localpart} {name or ''}")
        yield Entry(user_id, row["position"], name, avatar, words)


def _text(profile: JsonObject, key: str) -> str | None:
    value = profile.get(key)
    return value.replace("\0", "") if isinstance(value, str) and value else None


@dataclass(frozen=True, slots=True)
class MutualRooms:
    """A page of room IDs, how many there are in all, and the ID to go on behind; None at the end."""

    rooms: list[str]
    count: int
    following: str | None


async def rooms_shared_with(
    tenant: Tenant, requester: Requester, other: UserID, after: RoomID | None
) -> MutualRooms:
    """The rooms that the requester shares with the other user; raises InvalidParam for the requester's own ID."""
    if other == requester.user_id:
        raise InvalidParam("That is yourself")
    async with tenant.database.read() as tx:
        rooms = await mutual_rooms(tx, requester.user_id, other)
    rest = rooms if after is None else [room for room in rooms if room > after]
    page = rest[:MUTUAL_ROOMS]
    return MutualRooms(page, len(rooms), page[-1] if len(rest) > MUTUAL_ROOMS else None)
