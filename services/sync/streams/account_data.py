"""Account data: what the user's clients keep with us, globally and for rooms."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from protocol.filters import EventFilter
from protocol.ids import RoomID
from services.push.rules import push_rules_event
from services.sync.look import Look
from storage.account_data import GLOBAL
from storage.sync_user_data import account_data_changes

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Item:
    """What filters look at: account data has no sender."""

    type: str
    content: Mapping[str, Any]
    sender: str | None = None


async def changes(look: Look, whole_rooms: Collection[str]) -> dict[str, list[Event]]:
    """What changed, by room (GLOBAL for what is of no room); of `whole_rooms` everything."""
    if look.noted is not None and not look.noted.account_data:
        return {}
    tx = await look.connection.tx()
    told: dict[str, list[Event]] = {}
    for row in await account_data_changes(tx, look.user_id, look.after, look.upto.position, whole_rooms):
        room_id: str = row["room_id"]
        wanted = look.filter.account_data if room_id == GLOBAL else look.filter.room.account_data
        content = orjson.loads(row["content"])
        if not _is_wanted(wanted, room_id, _Item(row["type"], content)):
            continue
        if room_id == GLOBAL or (room_id in look.joined and look.wants_room(room_id)):
            told.setdefault(room_id, []).append({"type": row["type"], "content": content})
    push_rules = await push_rules_event(tx, look.user_id, look.after, look.upto.position)
    if push_rules is not None and _is_wanted(look.filter.account_data, GLOBAL, _Item(**push_rules)):
        told.setdefault(GLOBAL, []).append(push_rules)
    return told


def _is_wanted(wanted: EventFilter, room_id: str, item: _Item) -> bool:
    if wanted.is_everything:
        return True
    in_wanted_room = room_id == GLOBAL or wanted.allows_room(RoomID(room_id))
    return in_wanted_room and wanted.matches(item)
