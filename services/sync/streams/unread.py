"""Unread counts of joined rooms, told with everything that may change them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from protocol.ids import RoomID
from services.push.counts import Counts, Unread
from services.push.unread import unread, with_any_unread
from services.sync.look import Look
from storage.sync_user_data import hears_otherwise


async def changes(look: Look, room_ids: Collection[str]) -> dict[str, dict[str, Any]]:
    """The members `unread_notifications` (and `unread_thread_notifications`) of each of the rooms."""
    if not room_ids:
        return {}
    rooms = [RoomID(room_id) for room_id in room_ids]
    found = await unread(
        look.tenant, look.user_id, rooms, look.upto.position, look.ignored, look.connection.tx
    )
    by_thread = look.filter.room.timeline.unread_thread_notifications
    return {
        room_id: _by_thread(counts) if by_thread else _in_all(counts) for room_id, counts in found.items()
    }


async def recounted(look: Look) -> set[str]:
    """The rooms whose counts may be others because since then the user ignores other people, or has other push rules."""
    if look.since is None or (look.noted is not None and not look.noted.account_data):
        return set()
    tx = await look.connection.tx()
    if not await hears_otherwise(tx, look.user_id, look.after):
        return set()
    return await with_any_unread(tx, look.user_id, [room for room in look.joined if look.wants_room(room)])


def _in_all(counts: Unread) -> dict[str, Any]:
    return {"unread_notifications": _json(counts.total)}


def _by_thread(counts: Unread) -> dict[str, Any]:
    members: dict[str, Any] = {"unread_notifications": _json(counts.main)}
    if counts.threads:
        members["unread_thread_notifications"] = {root: _json(c) for root, c in counts.threads.items()}
    return members


def _json(counts: Counts) -> dict[str, int]:
    return {"notification_count": counts.notify, "highlight_count": counts.highlight}
