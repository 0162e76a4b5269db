"""In which rooms a user may search: those that the user is in, and those that the user has left, as far as the filter goes."""

from __future__ import annotations

from collections.abc import Collection

import orjson

from protocol.filters import EventFilter
from services.requester import Requester
from storage.database import Tx
from storage.membership import Membership, memberships_of_user
from storage.search.find import create_events

_MEMBERSHIPS = ("join", "leave", "ban")
_MAX_UPGRADES = 20


async def rooms_to_search(
    tx: Tx, requester: Requester, filter: EventFilter, room: str | None = None
) -> list[str]:
    """Their IDs; rooms that the named ones have replaced are searched with them. Only `room`, if that is one of them."""
    own = {one.room_id for one in await memberships_of_user(tx, requester.user_id, _MEMBERSHIPS)}
    if filter.rooms is not None:
        own &= await _with_predecessors(tx, filter.rooms)
    own -= filter.not_rooms
    return sorted(own if room is None else own & {room})


async def memberships_in(tx: Tx, requester: Requester, room_ids: Collection[str]) -> dict[str, Membership]:
    """What the user is now, or was, to those of the rooms in which the user may search."""
    found = await memberships_of_user(tx, requester.user_id, _MEMBERSHIPS)
    return {one.room_id: one for one in found if one.room_id in room_ids}


async def _with_predecessors(tx: Tx, named: Collection[str]) -> set[str]:
    found, newest = set(named), set(named)
    for _ in range(_MAX_UPGRADES):
        newest = {room for json in await create_events(tx, newest) if (room := _predecessor(json))} - found
        if not newest:
            break
        found |= newest
    return found


def _predecessor(create: bytes) -> str | None:
    predecessor = orjson.loads(create)["content"].get("predecessor")
    room_id = predecessor.get("room_id") if isinstance(predecessor, dict) else None
    return room_id if isinstance(room_id, str) and "\0" not in room_id else None
