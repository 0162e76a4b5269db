"""The power levels of a room that is replaced, and of the one that replaces it (§Room Upgrades)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from protocol.auth.levels import creators_of, parse_level
from protocol.errors import Rejected
from protocol.events import CREATE, POWER_LEVELS, StateMap
from protocol.ids import UserID, is_user_id
from protocol.json import JsonObject
from protocol.room_versions import RoomVersion
from services.rooms.presets import CREATOR_LEVEL, PRESETS, power_levels

_SINGLE = ("users_default", "events_default", "state_default", "ban", "redact", "kick", "invite")
_TABLES = ("events", "users", "notifications")
_TOMBSTONE = "m.room.tombstone"
_TOMBSTONE_OF_CREATORS = 150


def copied_levels(
    old: RoomVersion, new: RoomVersion, state: StateMap, creators: Collection[UserID]
) -> JsonObject:
    """The old room's power levels as the new version has them; `creators` are the new room's."""
    before = state.get((POWER_LEVELS, ""))
    if before is None:
        content = power_levels(new, PRESETS["private_chat"], next(iter(creators)), ())
    else:
        content = integer_levels(before.content, old)
    users: dict[str, int] = {
        user: level for user, level in content.get("users", {}).items() if is_user_id(user)
    }
    events: dict[str, int] = dict(content.get("events", {}))
    if new.creator_power:
        # «Remove the upgrading user and the new additional_creators from the copied power levels»
        users = {user: level for user, level in users.items() if user not in creators}
        events[_TOMBSTONE] = max(events.get(_TOMBSTONE, 0), _TOMBSTONE_OF_CREATORS)
    elif old.creator_power:
        users |= dict.fromkeys(creators_of(state[CREATE, ""]), CREATOR_LEVEL)
        if _TOMBSTONE in events:
            events[_TOMBSTONE] = min(events[_TOMBSTONE], CREATOR_LEVEL)
    return {**content, "users": users, "events": events}


def raised_levels(content: JsonObject, user_id: UserID) -> JsonObject:
    """The power levels with enough for the user to send all that the room begins with; the same if that is so."""
    tables = [level for name in ("events", "notifications") for level in content.get(name, {}).values()]
    singles = [content.get(name, 50) for name in _SINGLE]
    needed = max((*tables, *singles))
    if content["users"].get(user_id, content.get("users_default", 0)) >= needed:
        return content
    return {**content, "users": {**content["users"], user_id: needed}}


def closed_levels(content: JsonObject, version: RoomVersion) -> JsonObject:
    """The power levels with which the old room is left: those without power of their own may not talk in it."""
    levels = integer_levels(content, version)
    least = max(50, levels.get("users_default", 0) + 1)
    raised = {name: max(levels.get(name, 0), least) for name in ("events_default", "invite")}
    return {**levels, **raised}


def integer_levels(content: JsonObject, version: RoomVersion) -> JsonObject:
    """The content with integers only, as events of ours must have them; nonsense is left out."""
    levels = {**content}
    for name in _SINGLE:
        if name in levels and _level(levels[name], version) is None:
            del levels[name]
        elif name in levels:
            levels[name] = _level(levels[name], version)
    for name in _TABLES:
        table = levels.get(name)
        if isinstance(table, dict):
            read = {key: _level(value, version) for key, value in table.items()}
            levels[name] = {key: level for key, level in read.items() if level is not None}
        else:
            levels.pop(name, None)
    return levels


def _level(value: Any, version: RoomVersion) -> int | None:
    try:
        return parse_level(value, version)
    except Rejected:
        return None
