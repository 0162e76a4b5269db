"""Typing: who is writing something in a room now."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from protocol.ids import RoomID
from services.sync.look import Look

TYPING = "m.typing"


def changes(look: Look, whole_rooms: Collection[str]) -> dict[str, dict[str, Any]]:
    """An m.typing event for each room where it has changed; of `whole_rooms` those where somebody types."""
    wanted = look.filter.room.ephemeral
    if not wanted.allows_type(TYPING):
        return {}
    ephemeral = look.tenant.ephemeral
    since = look.since.ephemeral if look.since is not None else 0
    changed = (
        ephemeral.typing_changed_since(since, look.joined, look.upto.ephemeral)
        if look.since is not None
        else []
    )
    rooms = dict.fromkeys(changed) | dict.fromkeys(room for room in whole_rooms if ephemeral.typing(room))
    return {
        room_id: _event(look, room_id)
        for room_id in rooms
        if look.wants_room(room_id) and wanted.allows_room(RoomID(room_id))
    }


def _event(look: Look, room_id: str) -> dict[str, Any]:
    users = [user for user in look.tenant.ephemeral.typing(room_id) if user not in look.ignored]
    return {"type": TYPING, "content": {"user_ids": users}}
