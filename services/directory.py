"""The published room directory (§Published room directory): rooms that anybody may find."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, replace
from typing import Any

import orjson

from protocol.ids import RoomID, ServerName
from protocol.json import JsonObject
from protocol.matrix_error import Forbidden, InvalidParam, NotFound
from services.aliases import CANONICAL_ALIAS
from services.requester import Requester
from services.room_powers import may_set
from services.rooms.summary import told_summary
from services.tenant import Tenant
from storage.database import Tx
from storage.directory import (
    Mark,
    PublishedRoom,
    count_published,
    is_published,
    publish,
    published_page,
    unpublish,
)

DEFAULT_LIMIT, MAX_LIMIT = 100, 500
SEARCHED_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class DirectoryQuery:
    """What is wanted of the directory: `term` anywhere in name, topic or alias; rooms of these types (None among them:
    without a type); those of one network (None: of all)."""

    limit: int = DEFAULT_LIMIT
    since: str | None = None
    term: str | None = None
    room_types: tuple[str | None, ...] | None = None
    network: str | None = ""

    @property
    def is_everything(self) -> bool:
        """Is every room wanted?"""
        return self.term is None and self.room_types is None


async def is_in_directory(tenant: Tenant, room_id: RoomID) -> bool:
    """Does the room stand in the directory? Raises NotFound for unknown rooms."""
    async with tenant.database.read() as tx:
        published = await is_published(tx, room_id)
    if published is None:
        raise NotFound("There is no such room here")
    return published


async def set_in_directory(tenant: Tenant, requester: Requester, room_id: RoomID, published: bool) -> None:
    """Puts the room into the directory or takes it out; for administrators and those who may set the room's canonical
    alias. Raises NotFound or Forbidden."""
    await is_in_directory(tenant, room_id)
    if not requester.is_admin and not await may_set(tenant, room_id, requester.user_id, CANONICAL_ALIAS):
        raise Forbidden("You may not change this room's place in the directory")
    async with tenant.database.transaction() as tx:
        await (publish(tx, room_id) if published else unpublish(tx, room_id))


async def public_rooms(tenant: Tenant, query: DirectoryQuery) -> JsonObject:
    """A page of the directory, the largest rooms first; raises InvalidParam for a token that is none of ours."""
    mark = _parse_mark(query.since) if query.since is not None else None
    async with tenant.database.read() as tx:
        found = await _find(tx, query, mark)
        total = await count_published(tx, query.network) if query.is_everything else None
    backward = mark is not None and mark.backward
    page, more = found[: query.limit], len(found) > query.limit
    if backward:
        page.reverse()
    reply: JsonObject = {"chunk": page}
    if page and (more or backward):
        reply["next_batch"] = _text(_mark_at(page[-1]))
    if page and (more if backward else mark is not None):
        reply["prev_batch"] = _text(replace(_mark_at(page[0]), backward=True))
    if total is not None:
        reply["total_room_count_estimate"] = total
    return reply


async def public_rooms_elsewhere(tenant: Tenant, server: ServerName, query: JsonObject) -> JsonObject:
    """A page of another server's directory, without what it should not have; raises RemoteFailed."""
    told = await tenant.remotes.public_rooms(server, query)
    rooms = (told_summary(room) for room in told["chunk"])
    page: JsonObject = {"chunk": [room.json for room in rooms if room is not None]}
    for name, kind in (("next_batch", str), ("prev_batch", str), ("total_room_count_estimate", int)):
        if type(told.get(name)) is kind:
            page[name] = told[name]
    return page


async def _find(tx: Tx, query: DirectoryQuery, mark: Mark | None) -> list[JsonObject]:
    """What matches from the mark on: one more than asked for, if there are so many."""
    # Letters beyond ASCII may have two cases that the database does not know of.
    containing = orjson.dumps(query.term)[1:-1].decode() if query.term and query.term.isascii() else None
    at_once = query.limit + 1 if query.is_everything else max(query.limit + 1, SEARCHED_AT_ONCE)
    found: list[JsonObject] = []
    while len(found) <= query.limit:
        rooms = await published_page(tx, at_once, mark, query.network, containing)
        found += [shown for shown in map(_shown, rooms) if _matches(query, shown)]
        if len(rooms) < at_once:
            break
        mark = Mark(rooms[-1].joined, rooms[-1].room_id, mark is not None and mark.backward)
    return found


def _matches(query: DirectoryQuery, shown: JsonObject) -> bool:
    if query.room_types is not None and shown.get("room_type") not in query.room_types:
        return False
    if query.term is None:
        return True
    term = query.term.casefold()
    return any(term in shown.get(name, "").casefold() for name in ("name", "topic", "canonical_alias"))


def _shown(room: PublishedRoom) -> JsonObject:
    def content(event_type: str, name: str) -> Any:
        event = room.state.get(event_type)
        return orjson.loads(event)["content"].get(name) if event is not None else None

    texts = {
        "name": content("m.room.name", "name"),
        "topic": content("m.room.topic", "topic"),
        "avatar_url": content("m.room.avatar", "url"),
        "canonical_alias": content(CANONICAL_ALIAS, "alias"),
        "room_type": content("m.room.create", "type"),
        "join_rule": content("m.room.join_rules", "join_rule"),
    }
    return {
        "room_id": room.room_id,
        "num_joined_members": room.joined,
        "guest_can_join": content("m.room.guest_access", "guest_access") == "can_join",
        "world_readable": content("m.room.history_visibility", "history_visibility") == "world_readable",
        **{name: text for name, text in texts.items() if isinstance(text, str) and text},
    }


def _mark_at(shown: JsonObject) -> Mark:
    return Mark(shown["num_joined_members"], shown["room_id"])


def _text(mark: Mark) -> str:
    written = orjson.dumps([mark.joined, mark.room_id, mark.backward])
    return urlsafe_b64encode(written).rstrip(b"=").decode()


def _parse_mark(text: str) -> Mark:
    try:
        match orjson.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4))):
            case [int(joined), str(room_id), bool(backward)] if 0 <= joined < 2**31 and "\0" not in room_id:
                return Mark(joined, room_id, backward)
    except (binascii.Error, ValueError):
        pass
    raise InvalidParam("This is not a token that this server has given out")
